package transcript

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/egressplay/egressplay/evidence"
)

func TestMeaning(t *testing.T) {
	for _, c := range []struct{ key, got, command, want string }{
		{"expect.exitCode", "35", "kubectl exec a -- curl -s b", "curl's exit code 35: the TLS handshake failed"},
		{"expect.exitCode", "35", "kubectl exec a -- openssl s_client", ""},
		{"expect.exitCode", "0", "kubectl exec a -- curl -s b", ""},
		{"expect.log[0].flags", "UF,URX", "", "UF: no connection to the upstream was made; URX: it was tried as often as allowed"},
		{"expect.log[0].flags", "'-'", "", ""},
		{"expect.log[0].details", "cluster_not_found", "", "its upstream cluster is not there"},
		{"expect.grpcStatus", "14", "", "UNAVAILABLE: the server cannot be reached now"},
		{"expect.status", "14", "", ""},
	} {
		assert.Equal(t, c.want, meaning(&evidence.Verdict{Key: c.key, Got: c.got}, c.command), c.key+" "+c.got)
	}
}
