//go:build lab

package cri

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestContainerRuns(t *testing.T) {
	c := newLab(t).sh("echo hello; echo oops >&2; exit 3")
	st := c.wait()
	assert.EqualValues(t, 3, st.ExitCode)
	assert.Equal(t, "Error", st.Reason)
	assert.ElementsMatch(t, []string{"stdout F hello", "stderr F oops"}, lines(c.logged()))
}

func TestExec(t *testing.T) {
	c := newLab(t).run(nil)
	r := c.exec("sh", "-c", "echo out; echo err >&2; exit 7")
	require.Equal(t, "out\n", string(r.Stdout))
	require.Equal(t, "err\n", string(r.Stderr))
	require.EqualValues(t, 7, r.ExitCode)
	t.Log(c.output("mount; ls -la / /dev /etc /usr/local; id; cat /proc/self/status; ps aux; curl -V"))
}
