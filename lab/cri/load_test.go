package cri

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/egressplay/egressplay/lab/image"
	"github.com/egressplay/egressplay/lab/image/imagetest"
)

// loadOne loads an image with one file, which has a text.
func loadOne(t *testing.T, s *Server, text, user string, names ...string) (ImageInfo, error) {
	t.Helper()
	archive, err := image.Open(t.Context(), "-", bytes.NewReader(imagetest.Docker(imagetest.Source{
		Names: names, Config: map[string]any{"User": user},
		Layers: [][]byte{imagetest.Layer(
			imagetest.File{Name: "text", Text: text, UID: os.Getuid(), GID: os.Getgid()},
			imagetest.File{Name: "etc/passwd", Text: "app:x:1000:1000::/:\n", UID: os.Getuid(), GID: os.Getgid()},
		)},
	})), "")
	require.NoError(t, err)
	defer archive.Close()
	var sent bytes.Buffer
	require.NoError(t, archive.Images[0].Send(t.Context(), &sent))
	return s.Load(t.Context(), &sent)
}

// textOf returns the text of the image that a reference means; "" if there is no such
// image.
func textOf(t *testing.T, s *Server, ref string) string {
	t.Helper()
	im, err := s.find(ref)
	if err != nil || im.loaded == nil {
		return ""
	}
	text, err := os.ReadFile(im.rootFS() + "/text")
	require.NoError(t, err)
	return string(text)
}

func TestLoadedImagesByName(t *testing.T) {
	s := &Server{root: t.TempDir(), images: Images(ImagePaths{})}
	info, err := loadOne(t, s, "one", "", "app:1", "app:stable")
	require.NoError(t, err)
	assert.Equal(t, []string{"docker.io/library/app:1", "docker.io/library/app:stable"}, info.Names)
	assert.Empty(t, info.InPlaceOf)
	_, err = loadOne(t, s, "two", "", "app:2", "app:stable")
	require.NoError(t, err)
	_, err = loadOne(t, s, "two", "", "app:3")
	require.NoError(t, err)
	for ref, want := range map[string]string{
		"app:1": "one", "app:stable": "two", "app:2": "two", "docker.io/library/app:3": "two", "app": "", "app:4": "", info.ID: "one",
	} {
		assert.Equal(t, want, textOf(t, s, ref), ref)
	}
	info, err = loadOne(t, s, "three", "", "curl:8")
	require.NoError(t, err)
	assert.Equal(t, "curl", info.InPlaceOf)
	assert.Equal(t, "three", textOf(t, s, "curl:8"))
	own, err := s.find("curlimages/curl:8")
	require.NoError(t, err)
	assert.Equal(t, "lab/curl", own.id(), "under every other name there is the lab's own")

	_, err = loadOne(t, s, "four", "", "istio/proxyv2:1")
	require.ErrorContains(t, err, "pods of the lab's own are made of the image proxyv2")
	_, err = loadOne(t, s, "five", "bob", "app:5")
	require.ErrorContains(t, err, `"bob", who is not in its /etc/passwd`)
	folders, err := os.ReadDir(s.root + "/images")
	require.NoError(t, err)
	assert.Len(t, folders, 3, "what was refused or replaced takes no memory")
}

// An image that was replaced stays as long as a container uses it.
func TestReplacedImageOfAContainer(t *testing.T) {
	s := &Server{root: t.TempDir()}
	_, err := loadOne(t, s, "one", "", "app")
	require.NoError(t, err)
	im, err := s.acquire("app")
	require.NoError(t, err)
	_, err = loadOne(t, s, "two", "", "app")
	require.NoError(t, err)
	assert.Equal(t, "two", textOf(t, s, "app"))
	assert.FileExists(t, im.rootFS()+"/text")
	require.NoError(t, s.release(im))
	assert.NoDirExists(t, im.rootFS())
	assert.Equal(t, "two", textOf(t, s, "app"))
}

// A user by name is reported by name: the kubelet must not take it for a number other
// than 0.
func TestUserOfALoadedImage(t *testing.T) {
	s := &Server{root: t.TempDir()}
	for user, want := range map[string]*runtimeapi.Image{
		"app":  {Username: "app"},
		"1000": {Uid: &runtimeapi.Int64Value{Value: 1000}},
		"":     {Uid: &runtimeapi.Int64Value{}},
	} {
		_, err := loadOne(t, s, user, user, "app")
		require.NoError(t, err)
		r, err := s.ImageStatus(t.Context(), &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: "app"}})
		require.NoError(t, err)
		assert.Equal(t, want.Username, r.Image.Username, user)
		assert.Equal(t, want.Uid.GetValue(), r.Image.Uid.GetValue(), user)
	}
}
