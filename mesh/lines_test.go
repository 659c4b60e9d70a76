package mesh

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
)

const (
	httpText = `[2026-11-24T12:59:37.629Z] "GET /politics HTTP/1.1" 301 - via_upstream - "-" 0 67 3 2 "-" "curl/7.88.1" "f16d2cc5" "edition.cnn.com" "10.244.1.4:8080" outbound|80||edition.cnn.com 10.244.1.6:38742 203.0.113.10:80 10.244.1.6:57146 - default`
	tcpText  = `[2026-11-24T12:59:38.629Z] "- - -" 0 - - - "-" 767 2026 125 - "-" "-" "-" "-" "10.244.1.4:8443" outbound|443||edition.cnn.com 10.244.1.6:51622 203.0.113.10:443 10.244.1.6:44090 edition.cnn.com -`
	unread   = `[2026-11-24T12:59:39.629Z] "GET / HTTP/1.1" x`
)

func TestLinesAreReadAsTheyCome(t *testing.T) {
	c := clustertest.NewFake(clustertest.ReadyPod("default", "sleep-1", nil, "sleep", Sidecar))
	r, w := io.Pipe()
	since := time.Now()
	c.LogsFunc = func(_ context.Context, q cluster.LogRequest) (io.ReadCloser, error) {
		assert.Equal(t, cluster.LogRequest{Namespace: "default", Pod: "sleep-1", Container: Sidecar, Follow: true, Since: since}, q)
		return r, nil
	}
	long := strings.Replace(httpText, "/politics", "/"+strings.Repeat("x", 200<<10), 1)
	go io.WriteString(w, "info\n"+httpText+"\n"+strings.Repeat("x", 200<<10)+"\n"+unread+"\n"+long+"\n"+tcpText+"\n")
	var got []string
	m := &Mesh{Cluster: c}
	for l, err := range m.lines(t.Context(), cluster.Pod{Namespace: "default", Name: "sleep-1"}, since, true) {
		text := l.Text
		if err != nil {
			require.ErrorIs(t, err, ErrUnreadable)
			text = "unreadable: " + text
		}
		if got = append(got, text); len(got) == 4 {
			break
		}
	}
	require.Len(t, got, 4)
	assert.Equal(t, httpText, got[0])
	assert.Equal(t, "unreadable: "+unread, got[1])
	assert.True(t, strings.HasPrefix(got[2], "unreadable: "+long[:1000]), "a line of which not all was read is not read")
	assert.Equal(t, tcpText, got[3])
	_, err := w.Write([]byte("x"))
	assert.ErrorIs(t, err, io.ErrClosedPipe, "the log is closed")
}

func TestWhenALogBegins(t *testing.T) {
	c := clustertest.NewFake(clustertest.ReadyPod("default", "sleep-1", nil, "sleep", Sidecar))
	c.LogsFunc = func(_ context.Context, q cluster.LogRequest) (io.ReadCloser, error) {
		assert.True(t, q.Timestamps)
		return io.NopCloser(strings.NewReader("2026-11-24T12:59:37.629123456Z info\n2026-11-24T12:59:38Z info\n")), nil
	}
	m := &Mesh{Cluster: c}
	at, err := m.logBegins(t.Context(), cluster.Pod{Namespace: "default", Name: "sleep-1"})
	require.NoError(t, err)
	assert.Equal(t, time.Date(2026, 11, 24, 12, 59, 37, 629123456, time.UTC), at)

	c.LogsFunc = nil
	_, err = m.logBegins(t.Context(), cluster.Pod{Namespace: "default", Name: "sleep-1"})
	assert.ErrorIs(t, err, io.EOF)
}
