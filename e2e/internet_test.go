//go:build lab

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Hosts of one's own come into the lab for the time of a run, however that ends.

// bringing gives a playbook hosts of its own.
func (s *script) bringing(hosts string) *script {
	s.t.Helper()
	require.Contains(s.t, s.text, "\nsteps:\n")
	s.text = strings.Replace(s.text, "\nsteps:\n", "\ninternet:\n"+hosts+"\nsteps:\n", 1)
	return s
}

// addedHosts is what egressplay-lab says was added to the internet of the shared lab.
func addedHosts(t *testing.T) string {
	t.Helper()
	out, err := command(t.Context(), "egressplay-lab", "internet", "list").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// ownRequest is a step that asks a host for its page.
func ownRequest(name string) string {
	return "A request to " + name + "\nexec: {in: deploy/sleep, container: sleep, command: curl -sS http://" + name + "/}\nexpect: {body: {equals: mine}}"
}

func TestHostsOfAPlaybook(t *testing.T) {
	withSample(t)
	const hosts = "- {names: [mine.example.net], body: mine, fail: 1}"
	with := playbook(t, ownRequest("mine.example.net")).bringing(hosts).file()
	e := egressplay(t, "run", with, with, "--namespace", sample)
	e.exits(t, 0)
	assert.Empty(t, addedHosts(t), "they are gone when the playbook ends, so the next may bring the same")

	e = egressplay(t, "run", playbook(t, ownRequest("mine.example.net")).within("A request to mine.example.net", "1ms").file(), "--namespace", sample)
	e.exits(t, 1)

	file := filepath.Join(t.TempDir(), "hosts.yaml")
	require.NoError(t, os.WriteFile(file, []byte("apiVersion: egressplay/v1\nkind: Internet\nhosts:\n- {names: [ours.example.net], body: mine}\n"), 0o600))
	e = egressplay(t, "run", playbook(t, ownRequest("mine.example.net"), ownRequest("ours.example.net")).bringing(hosts).file(), "--namespace", sample, "--internet", file)
	e.exits(t, 0)
	assert.Empty(t, addedHosts(t))

	e = egressplay(t, "run", playbook(t, ownRequest("ours.example.net")).bringing("- {names: [ours.example.net]}").file(), "--namespace", sample, "--internet", file)
	e.exits(t, 3)
	assert.Contains(t, e.stdout, "there are two hosts with the name ours.example.net")

	bad := playbook(t, ownRequest("mine.example.net")).bringing("- {nmaes: [mine.example.net]}").file()
	for _, verb := range []string{"lint", "run"} {
		e = egressplay(t, verb, bad)
		e.exits(t, 2)
		assert.Contains(t, e.stderr, bad+`:5:4: unknown key "nmaes": want one of names,`)
	}
}

func TestHostsOfARunThatEndsEarly(t *testing.T) {
	withSample(t)
	slow := playbook(t, strings.Replace(ownRequest("mine.example.net"), "net/", "net/slow", 1)).
		bringing("- {names: [mine.example.net], paths: {/slow: {delay: 5m}}}").file()
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGKILL: 137} {
		p := begin(t, "run", slow, "--namespace", sample)
		eventually(t, func() bool { return strings.Contains(addedHosts(t), "mine.example.net") }, "the hosts do not come")
		p.signal(signal)
		p.wait().exits(t, code)
		if signal == syscall.SIGINT {
			assert.Empty(t, addedHosts(t))
			continue
		}
		eventually(t, func() bool { return addedHosts(t) == "" }, "the hosts of a run that was killed stay")
	}
}

func TestHostsInALabOfARunsOwn(t *testing.T) {
	dir := folder(t)
	s := builtin(t, "tls-origination").upTo("Set SOURCE_POD to the name of the sample's pod").bringing("- {names: [mine.example.net], body: mine}")
	s.text += "- title: " + strings.ReplaceAll(ownRequest("mine.example.net"), "\n", "\n  ") + "\n"
	beginWith(t, []string{"EGRESSPLAY_LAB_DIR=" + dir}, "run", s.file()).wait().exits(t, 0)
}
