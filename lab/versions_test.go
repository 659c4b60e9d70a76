package lab

import (
	"os"
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
