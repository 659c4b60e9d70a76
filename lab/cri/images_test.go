package cri

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestImagesByReference(t *testing.T) {
	dir := t.TempDir()
	s := &Server{images: Images(ImagePaths{Nginx: dir, Squid: dir})}
	for ref, want := range map[string]string{
		"curl":                                       "lab/curl",
		"curlimages/curl":                            "lab/curl",
		"docker.io/curlimages/curl:8.1.2":            "lab/curl",
		"lab/curl":                                   "lab/curl",
		"sleep:latest":                               "lab/sleep",
		"governmentpaas/curl-ssl:latest":             "lab/sleep",
		"gcr.io/istio-release/pilot:1.31-dev":        "lab/pilot",
		"localhost:5000/pilot":                       "lab/pilot",
		"istio/proxyv2@sha256:0123":                  "lab/proxyv2",
		"registry.k8s.io/coredns/coredns:v1@sha256:": "lab/coredns",
		"docker.io/mccutchen/go-httpbin:v2.15.0":     "lab/go-httpbin",
		"nginx":                                      "lab/nginx",
		"docker.io/library/nginx:1.27":               "lab/nginx",
		"sameersbn/squid:3.5.27":                     "lab/squid",
		"ubuntu/squid":                               "lab/squid",
		"curl-ssl":                                   "",
		"mycurl":                                     "",
		"curl/other":                                 "",
		"":                                           "",
	} {
		im, err := s.find(ref)
		if want == "" {
			assert.Equal(t, codes.NotFound, status.Code(err), ref)
			continue
		}
		require.NoError(t, err, ref)
		assert.Equal(t, want, im.id(), ref)
	}
	_, err := s.find("redis:7")
	assert.Equal(t, `the lab has no image "redis:7"; it has: coredns, curl, go-httpbin, governmentpaas/curl-ssl, nginx, pilot, proxyv2, sleep, squid. Load one with `+"`egressplay lab load ARCHIVE`",
		status.Convert(err).Message())
}

// An optional image is missing until its files exist.
func TestImageWhoseFilesAreNotThere(t *testing.T) {
	layer := filepath.Join(t.TempDir(), "nginx")
	s := &Server{images: Images(ImagePaths{Nginx: layer})[6:7]}
	_, err := s.images[0].check()
	require.NoError(t, err)
	_, err = s.PullImage(t.Context(), &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: "nginx:1.27"}})
	assert.Equal(t, codes.NotFound, status.Code(err))
	assert.Equal(t, "the files of the lab's image nginx are not there: run `make images` in the checkout of egressplay; the pod then starts by itself",
		status.Convert(err).Message())
	there := func() int {
		list, err := s.ListImages(t.Context(), &runtimeapi.ListImagesRequest{})
		require.NoError(t, err)
		return len(list.Images)
	}
	assert.Zero(t, there())
	require.NoError(t, os.Mkdir(layer, 0o755))
	_, err = s.PullImage(t.Context(), &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: "nginx:1.27"}})
	require.NoError(t, err)
	assert.Equal(t, 1, there())
}

func TestImagesAreChecked(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, make([]byte, 1000), 0o644))
	size, err := (&Image{Names: []string{"a"}, Files: map[string]string{"/x": file}, Layers: []string{dir}}).check()
	require.NoError(t, err)
	assert.EqualValues(t, 2000, size)
	for message, im := range map[string]Image{
		"without a name":         {},
		"no such file":           {Names: []string{"a"}, Files: map[string]string{"/x": dir + "/no"}},
		"no folder inside /usr":  {Names: []string{"a"}, Layers: []string{"/usr/share"}},
		"layer: lstat":           {Names: []string{"a"}, Layers: []string{dir + "/no"}},
		"want ids up to 65535":   {Names: []string{"a"}, UID: 65536},
		"no ':', ',' or '\\' in": {Names: []string{"a"}, Layers: []string{dir + "/a:b"}},
	} {
		_, err := im.check()
		assert.ErrorContains(t, err, message)
	}
}
