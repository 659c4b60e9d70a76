package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
)

// proxied returns a cluster with a proxy whose administration interface answers through
// a port-forward; through pilot-agent, it answers that pilot-agent was used.
func proxied(t *testing.T, answer http.HandlerFunc) *clustertest.Fake {
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	c := clustertest.NewFake(clustertest.ReadyPod("default", "sleep-1", nil, "sleep", Sidecar))
	c.DialFunc = func(ctx context.Context, namespace, pod string, port int) (net.Conn, error) {
		assert.Equal(t, "default/sleep-1:15000", fmt.Sprintf("%s/%s:%d", namespace, pod, port))
		return new(net.Dialer).DialContext(ctx, "tcp", s.Listener.Addr().String())
	}
	c.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
		assert.Equal(t, Sidecar, r.Container)
		fmt.Fprint(r.Stdout, r.Command)
		return cluster.ExecResult{Trusted: true}, nil
	}
	return c
}

func calls(c *clustertest.Fake, verb string) (n int) {
	for _, call := range c.Calls() {
		if call.Verb == verb {
			n++
		}
	}
	return n
}

func TestAProxyIsAskedOverOneConnection(t *testing.T) {
	c := proxied(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "answer to "+r.URL.Path) })
	m := &Mesh{Cluster: c}
	defer m.Close()
	for range 3 {
		text, err := m.Ask(t.Context(), "default", "sleep-1", "clusters")
		require.NoError(t, err)
		assert.Equal(t, "answer to /clusters", text)
	}
	assert.Equal(t, 1, calls(c, "dial"))
	assert.Zero(t, calls(c, "exec"))
}

// If port-forward is not allowed, pilot-agent is used; that is found out once.
func TestAProxyIsAskedByPilotAgentWhereItMust(t *testing.T) {
	c := proxied(t, nil)
	c.DialFunc = func(context.Context, string, string, int) (net.Conn, error) { return nil, errors.New("forbidden") }
	m := &Mesh{Cluster: c}
	defer m.Close()
	for range 2 {
		text, err := m.Ask(t.Context(), "default", "sleep-1", "clusters")
		require.NoError(t, err)
		assert.Equal(t, "[pilot-agent request GET clusters]", text)
	}
	assert.Equal(t, 1, calls(c, "dial"))
}

func TestAnAnswerThatIsNoneIsAnError(t *testing.T) {
	c := proxied(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	for _, result := range []cluster.ExecResult{{ExitCode: 1, Trusted: true}, {ExitCode: 0, Trusted: false}} {
		c.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
			fmt.Fprint(r.Stdout, "half an ans")
			return result, nil
		}
		m := &Mesh{Cluster: c}
		_, err := m.Ask(t.Context(), "default", "sleep-1", "clusters")
		assert.ErrorContains(t, err, "ask sleep-1 for clusters")
		m.Close()
	}
}
