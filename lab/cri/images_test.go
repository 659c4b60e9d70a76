package cri

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestImagesByReference(t *testing.T) {
	s := &Server{images: Images(ImagePaths{})}
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
		"curl-ssl":                                   "",
		"mycurl":                                     "",
		"curl/other":                                 "",
		"":                                           "",
	} {
		im, err := s.image(ref)
		if want == "" {
			assert.Equal(t, codes.NotFound, status.Code(err), ref)
			continue
		}
		require.NoError(t, err, ref)
		assert.Equal(t, want, im.id(), ref)
	}
	_, err := s.image("nginx:1.27")
	assert.Equal(t, `the lab has no image "nginx:1.27"; it has: coredns, curl, governmentpaas/curl-ssl, pilot, proxyv2, sleep`,
		status.Convert(err).Message())
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
