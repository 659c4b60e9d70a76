package lab

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVersionsAreThoseOfGoMod(t *testing.T) {
	tests := []struct{ file, line string }{
		{"go.mod", "k8s.io/kubernetes " + Kubernetes},
		{"go.mod", "go.etcd.io/etcd/server/v3 " + Etcd},
		{"go.mod", "istio.io/istio " + IstioModule},
		{"coredns/go.mod", "github.com/coredns/coredns " + CoreDNS},
	}
	for _, tt := range tests {
		content, err := os.ReadFile(tt.file)
		require.NoError(t, err)
		assert.Contains(t, string(content), tt.line+"\n", tt.file)
	}
}

// If egressplay and the lab use a module in the same version, its packages are compiled
// once for both. Those below differ for a reason.
func TestEgressplayHasTheVersionsOfTheLab(t *testing.T) {
	apart := map[string]string{
		"golang.org/x/sys":   "mvdan.cc/sh needs a newer one, with which all of the lab would be compiled again",
		"golang.org/x/term":  "the same",
		"golang.org/x/tools": "it is linked into neither",
	}
	line := regexp.MustCompile(`(?m)^\t(\S+) (v\S+)`)
	versions := func(file string) map[string]string {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		found := map[string]string{}
		for _, m := range line.FindAllStringSubmatch(string(content), -1) {
			found[m[1]] = m[2]
		}
		return found
	}
	ours, lab := versions("../go.mod"), versions("go.mod")
	compared := 0
	for path, version := range ours {
		if other, ok := lab[path]; ok && apart[path] == "" {
			compared++
			assert.Equal(t, other, version, "%s: go get %s@%s in the root module", path, path, other)
		}
	}
	assert.NotZero(t, compared)
}
