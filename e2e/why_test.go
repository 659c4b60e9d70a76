//go:build lab

package e2e

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var updateWhy = flag.Bool("update-why", false, "write testdata/why/session.golden anew")

// What differs from one session to the next: how long something took, the time of
// day, and what is sent with it.
var differs = []*regexp.Regexp{
	regexp.MustCompile(`  \d[\d.]*m?s\n`), regexp.MustCompile(`tried once, in \d[\d.]*m?s`),
	regexp.MustCompile(`(?m)^ +│ (date|x-envoy-upstream-service-time|content-length): .*\n`),
}

// Five questions that people ask: a host that is blocked, a port of the wrong
// protocol, TLS that nobody originates, a gateway that does not take the request, a
// certificate.
func TestWhyNamesTheCause(t *testing.T) {
	withSample(t)
	world, err := os.ReadFile("testdata/why/world.yaml")
	require.NoError(t, err)
	step := "The world\napply: |\n  " + strings.ReplaceAll(strings.TrimSpace(string(world)), "\n", "\n  ")
	e := egressplay(t, "run", playbook(t, step).file(), "--namespace", sample, "--keep")
	e.exits(t, 0)
	t.Cleanup(func() { egressplay(t, "cleanup", "--all") })
	var session strings.Builder
	for _, url := range []string{
		"https://www.google.com", "https://httpbin.org", "http://edition.cnn.com/politics", "http://shop.example.com", "http://expired.example.com",
	} {
		args := []string{"why", "deploy/sleep", "-n", sample, "--kubeconfig", shared.kubeconfig, "--color", "never", "--", "curl", "-sI", url}
		var e ended
		// The world is not in force at once.
		for end := time.Now().Add(20 * time.Second); ; {
			if e = egressplay(t, args...); strings.Contains(e.stdout, "cause: ") && !strings.Contains(e.stdout, "is not known") || time.Now().After(end) {
				break
			}
		}
		e.exits(t, 1)
		text := e.stdout
		for _, d := range differs {
			text = d.ReplaceAllStringFunc(text, func(s string) string {
				if strings.HasSuffix(s, "\n") && strings.HasPrefix(s, "  ") && !strings.Contains(s, "│") {
					return "\n"
				}
				if strings.HasPrefix(s, "tried") {
					return "tried once"
				}
				return ""
			})
		}
		session.WriteString("$ egressplay why deploy/sleep -n sample -- curl -sI " + url + "\n" + text + "\n")
	}
	const golden = "testdata/why/session.golden"
	if *updateWhy {
		require.NoError(t, os.WriteFile(golden, []byte(session.String()), 0o666))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), session.String())
}
