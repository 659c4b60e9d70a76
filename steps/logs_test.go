package steps

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/runner"
)

var playbookBegan = time.Date(2026, 11, 24, 12, 59, 37, 500_000_000, time.UTC)

func TestLogsAreThoseOfThePlaybook(t *testing.T) {
	c := sleeper(nil)
	var asked cluster.LogRequest
	c.LogsFunc = func(_ context.Context, r cluster.LogRequest) (io.ReadCloser, error) {
		asked = r
		return io.NopCloser(strings.NewReader("2026-11-24T12:59:37.400Z a line of another playbook\n2026-11-24T12:59:37.600Z a line\n")), nil
	}
	s := scope(c)
	s.Started = playbookBegan
	l := &Logs{In: Pod{Selector: "app=sleep"}, Container: "istio-proxy", Tail: 10}
	o, err := l.Try(t.Context(), s)
	require.NoError(t, err)
	assert.Equal(t, "a line\n", o.Command.Stdout)
	assert.Equal(t, "sleep-1", o.Command.Pod.Name)
	assert.Equal(t, cluster.LogRequest{
		Namespace: "default", Pod: "sleep-1", Container: "istio-proxy", Since: playbookBegan, Tail: 10, Timestamps: true,
	}, asked)

	// By the clock of the cluster it began an hour later.
	c.ClockAhead = time.Hour
	o, err = l.Try(t.Context(), s)
	require.NoError(t, err)
	assert.Empty(t, o.Command.Stdout)
	assert.Equal(t, playbookBegan.Add(time.Hour), asked.Since)
	c.ClockAhead = -time.Hour
	o, err = l.Try(t.Context(), s)
	require.NoError(t, err)
	assert.Equal(t, "a line of another playbook\na line\n", o.Command.Stdout)
}

func TestLinesFromBeforeAreLeftOut(t *testing.T) {
	const at = "2026-11-24T12:59:37.6Z "
	long := strings.Repeat("x", 100_000) + "\n"
	for name, test := range map[string]struct{ log, want string }{
		"none":                           {"", ""},
		"one from before":                {"2026-11-24T12:59:37.499999999Z a\n", ""},
		"one of the same moment":         {"2026-11-24T12:59:37.5Z a\n", "a\n"},
		"another time zone":              {"2026-11-24T13:59:37.4+01:00 a\n2026-11-24T13:59:37.6+01:00 b\n", "b\n"},
		"an empty line":                  {at + "\n", "\n"},
		"a line without its end":         {at + "a\n" + at + "b", "a\nb"},
		"a long line":                    {at + long, long},
		"a long line from before":        {"2026-11-24T12:59:37Z " + long + at + "a\n", "a\n"},
		"what a kubelet says":            {"unable to retrieve container logs for containerd://1\n", "unable to retrieve container logs for containerd://1\n"},
		"a proxy's line of before":       {at + `[2026-11-24T12:59:37.499Z] "GET / HTTP/1.1" 200` + "\n", ""},
		"a proxy's line":                 {at + `[2026-11-24T12:59:37.500Z] "GET / HTTP/1.1" 200` + "\n", `[2026-11-24T12:59:37.500Z] "GET / HTTP/1.1" 200` + "\n"},
		"a proxy's JSON line of before":  {at + `{"path":"/","start_time":"2026-11-24T12:59:36.000Z"}` + "\n", ""},
		"a proxy's JSON line":            {at + `{"start_time":"2026-11-24T12:59:38.000Z","path":"/"}` + "\n", `{"start_time":"2026-11-24T12:59:38.000Z","path":"/"}` + "\n"},
		"a line that begins with a time": {at + "2020-01-01T00:00:00.0Z was long ago\n", "2020-01-01T00:00:00.0Z was long ago\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(test.log), iotest.OneByteReader(strings.NewReader(test.log))} {
				var b strings.Builder
				require.NoError(t, copySince(&b, r, playbookBegan, true))
				assert.Equal(t, test.want, b.String())
			}
		})
	}
	assert.ErrorIs(t, copySince(io.Discard, iotest.ErrReader(io.ErrUnexpectedEOF), playbookBegan, true), io.ErrUnexpectedEOF)
}

func TestLogsOfWhatHasEnded(t *testing.T) {
	job := clustertest.Object("batch/v1", "Job", "default", "once", nil)
	c := clustertest.NewFake(job)
	owner, err := c.Get(t.Context(), cluster.RefOf(job))
	require.NoError(t, err)
	ended := map[string]any{"name": "main", "state": map[string]any{"terminated": map[string]any{"exitCode": int64(0)}}}
	first := map[string]any{"name": "init", "state": map[string]any{"terminated": map[string]any{"exitCode": int64(0)}}}
	pod := clustertest.Object("v1", "Pod", "default", "once-1", map[string]any{
		"spec": map[string]any{
			"containers":     []any{map[string]any{"name": "main"}},
			"initContainers": []any{map[string]any{"name": "init"}},
		},
		"status": map[string]any{"phase": "Succeeded", "containerStatuses": []any{ended}, "initContainerStatuses": []any{first}},
	})
	pod.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "once", UID: owner.GetUID()}})
	c.Put(pod)
	c.LogsFunc = func(_ context.Context, r cluster.LogRequest) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("of " + r.Container + "\n")), nil
	}
	for container, want := range map[string]string{"": "of main\n", "main": "of main\n", "init": "of init\n"} {
		o, err := (&Logs{In: Pod{Name: "job/once"}, Container: container}).Try(t.Context(), scope(c))
		require.NoError(t, err)
		assert.Equal(t, want, o.Command.Stdout)
	}
	e := finished(play(t, c, false, &Logs{In: Pod{Name: "job/once"}, Container: "other"}))[0]
	assert.Equal(t, runner.Errored, e.Status)
	assert.ErrorContains(t, e.Problem, "pod once-1 has no container other; it has: main, init")
}

// What a program writes in front of its lines does not hide them.
func TestAProgramsOwnTimesHideNoLine(t *testing.T) {
	for _, line := range []string{
		`[2020-01-01T00:00:00.000Z] ERROR` + "\n",
		`{"level":"error","start_time":"2020-01-01T00:00:00.000Z"}` + "\n",
	} {
		var b strings.Builder
		require.NoError(t, copySince(&b, strings.NewReader("2026-11-24T12:59:37.6Z "+line), playbookBegan, false))
		assert.Equal(t, line, b.String())
	}
}
