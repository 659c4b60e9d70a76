//go:build lab

package e2e

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Where no lab runs one is started for the run, and goes with it: no process,
// mount, interface or file is left, however the run ends.

func TestLabOfARunsOwn(t *testing.T) {
	dir := folder(t)
	tr := traceLab(t, dir)
	flag, read := reportFlag(t)
	p := beginWith(t, []string{"EGRESSPLAY_LAB_DIR=" + dir}, "run", "tls-origination.yaml", flag)
	p.await("A request by HTTP is redirected")
	assert.Greater(t, tr.look(t), 10, "processes of the lab")
	e := p.wait()
	e.exits(t, 0)
	tr.gone(t)

	first, _, _ := strings.Cut(e.stdout, "\n")
	assert.Contains(t, first, "lab of its own")
	assert.Contains(t, e.stdout, "built-in playbook tls-origination.yaml")
	for _, line := range []string{"HTTP/1.1 301 Moved Permanently", "HTTP/2 200", "HTTP/1.1 200 OK"} {
		assert.Contains(t, e.stdout, line)
	}
	r := read()
	assert.Equal(t, "passed", r.only(t).Status)
	assert.NotEmpty(t, r.Versions["envoy"])
}

func TestLabOfARunThatIsInterrupted(t *testing.T) {
	dir := folder(t)
	tr := traceLab(t, dir)
	flag, read := reportFlag(t)
	p := beginWith(t, []string{"EGRESSPLAY_LAB_DIR=" + dir}, "run", "tls-origination", flag)
	eventually(t, func() bool {
		tr.look(t)
		return tr.has("kube-apiserver")
	}, "no lab is being started")
	p.signal(syscall.SIGINT)
	p.wait().exits(t, 130)
	tr.gone(t)
	assert.Zero(t, read().Summary.Passed)
}

// A run that is killed cannot take its lab down, so the lab goes by itself.
func TestLabOfARunThatIsKilled(t *testing.T) {
	dir := folder(t)
	tr := traceLab(t, dir)
	p := beginWith(t, []string{"EGRESSPLAY_LAB_DIR=" + dir}, "run", "tls-origination")
	p.await("Deploy the sleep sample")
	tr.look(t)
	p.signal(syscall.SIGKILL)
	p.wait().exits(t, 128+int(syscall.SIGKILL))
	eventually(t, func() bool { return len(naming(t, dir)) == 0 }, "the lab does not end")
	tr.gone(t)
}
