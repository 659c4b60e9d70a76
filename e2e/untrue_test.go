//go:build lab

package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// In a world in which a claim of a tutorial is untrue its playbook must fail,
// at the step that makes the claim. So each of these tests takes one thing away
// on which a claim rests, or claims something else.
func TestUntrueClaimsFail(t *testing.T) {
	withSample(t)

	const (
		accessing = "accessing-external-services"
		setPolicy = "Change to the blocking-by-default policy"
		policy    = "Only registered services may be reached now"
		baidu     = "The request to www.baidu.com is blocked"
		entry     = "Create a ServiceEntry to allow access to an external HTTP service"
		allowed   = "A request to the external HTTP service gets there, through the sidecar"
		redeploy  = "Redeploy the sample so that its sidecar handles the cluster's own addresses only"
		direct    = "The request reaches the service directly, past the sidecar"

		origination = "tls-origination"
		register    = "Configure access to an external service"
		redirected  = "A request by HTTP is redirected, and made again by HTTPS"
		originate   = "Redefine the VirtualService to go to port 443, and have TLS originated there"
		atOnce      = "The same request by HTTP gets its page at once, without a redirect"
	)
	for _, c := range []struct {
		name     string
		playbook string
		change   func(*script)
		at       string   // the step that shows it
		shows    []string // what the transcript says about it
	}{
		{
			"the policy is not set", accessing,
			func(s *script) { s.without(setPolicy) },
			policy, []string{"REGISTRY_ONLY", "ALLOW_ANY"},
		},
		{
			"the policy is not set and nobody looks", accessing,
			func(s *script) { s.without(setPolicy, policy) },
			baidu, []string{"exitCode", "35"},
		},
		{
			"the ServiceEntry is missing", accessing,
			func(s *script) { s.without(entry) },
			allowed, []string{"status", "200", "502"},
		},
		{
			"the sidecar handles all addresses", accessing,
			func(s *script) {
				s.replace(redeploy, `
          annotations:
            traffic.sidecar.istio.io/includeOutboundIPRanges: "${SERVICE_RANGE}"`, "")
			},
			direct, []string{"status", "200", "502"},
		},
		{
			"the DestinationRule is missing", origination,
			func(s *script) { s.withoutDocument(originate, "kind: DestinationRule") },
			atOnce, []string{"status", "200", "503"},
		},
		{
			"the ServiceEntry and its routes are missing", origination,
			func(s *script) { s.without(register) },
			redirected, []string{"outbound|80||edition.cnn.com", "PassthroughCluster"},
		},
		{
			"another status", origination,
			func(s *script) { s.replace(redirected, "status: 301", "status: 302") },
			redirected, []string{"302", "301"},
		},
		{
			"another place", origination,
			func(s *script) {
				s.replace(redirected, "https://edition.cnn.com/politics", "https://edition.cnn.com/sport")
			},
			redirected, []string{"https://edition.cnn.com/sport", "https://edition.cnn.com/politics"},
		},
		{
			"another cluster in the access log", origination,
			func(s *script) { s.replace(redirected, "outbound|443||edition.cnn.com", "PassthroughCluster") },
			redirected, []string{"PassthroughCluster", "outbound|443||edition.cnn.com"},
		},
		{
			"a redirect where there is none any more", origination,
			func(s *script) { s.replace(atOnce, "proto: HTTP/1.1, status: 200", "proto: HTTP/1.1, status: 301") },
			atOnce, []string{"301", "200"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := builtin(t, c.playbook)
			c.change(s)
			s.within(c.at, "3s")
			file := s.file()
			before := settledWorld(t)

			flag, read := reportFlag(t)
			e := egressplay(t, "run", file, "--namespace", sample, flag)
			e.exits(t, 1)
			place := fmt.Sprintf("%s:%d", file, s.line(c.at))
			assert.Contains(t, e.stdout, place, "the step that shows it")
			for _, text := range c.shows {
				assert.Contains(t, e.stdout, text)
			}
			step := read().only(t).stopped(t, "failed")
			assert.Equal(t, c.at, step.Title)
			assert.Equal(t, s.line(c.at), step.Line)
			require.NotNil(t, step.Error)
			for _, text := range c.shows {
				assert.Contains(t, *step.Error, text)
			}
			before.leavesNothing(t)
		})
	}
}
