package explain

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/evidence"
)

// claimed reports whether one of the claims that did not hold is about one of some
// subjects, such as "path".
func (c *facts) claimed(subjects ...string) bool {
	return slices.ContainsFunc(c.Verdicts, func(v evidence.Verdict) bool {
		key := strings.TrimPrefix(v.Key, "expect.")
		return slices.ContainsFunc(subjects, func(s string) bool { return strings.HasPrefix(key, s) })
	})
}

// wanted reports whether one of the claims that did not hold is of a sort.
func (c *facts) wanted(sort func(*evidence.Verdict) bool) bool {
	return slices.ContainsFunc(c.Verdicts, func(v evidence.Verdict) bool { return sort(&v) })
}

// failing matches statuses by which a proxy refuses a request.
var failing = regexp.MustCompile(`\b(502|503)\b`)

// blockedWanted reports whether a claim is that the request is blocked.
func blockedWanted(v *evidence.Verdict) bool {
	key := strings.TrimPrefix(v.Key, "expect.")
	switch {
	case strings.HasPrefix(key, "path"):
		return strings.Contains(v.Want, "blocked")
	case strings.HasPrefix(key, "exitCode"):
		return v.Got == "0" && !slices.Contains(networks, v.Want)
	case strings.HasPrefix(key, "log"):
		return strings.Contains(v.Want, evidence.BlackHole) || strings.Contains(v.Want, "block_all")
	}
	return strings.Contains(key, "status") && failing.MatchString(v.Want)
}

// networks are exit codes of curl that no sidecar brings about: it has accepted the
// connection by then. The empty one is none.
var networks = []string{"", "0", "6", "7", "28"}

// directWanted reports whether a claim is that the request goes past the sidecar.
func directWanted(v *evidence.Verdict) bool {
	return strings.HasPrefix(strings.TrimPrefix(v.Key, "expect."), "path") && v.Want == "direct"
}

// connected reports whether the command made a connection, as far as it tells.
func (c *facts) connected() bool {
	return c.Attempt == nil || len(c.Attempt.Transfers) == 0 ||
		slices.ContainsFunc(c.Attempt.Transfers, func(t evidence.Transfer) bool { return t.Local != "" || t.Remote != "" || t.Status != 0 })
}

// gatewayWanted reports whether a claim is that the request goes through a gateway.
func gatewayWanted(v *evidence.Verdict) bool {
	return gatewayHop.MatchString(v.Want) && !gatewayHop.MatchString(v.Got)
}

var gatewayHop = regexp.MustCompile(`egressgateway|gateway/|istio-egress|deploy/[a-z0-9-]*gateway`)

// meshConfigMap is the name of the mesh's configuration for the pod's revision.
func (c *facts) meshConfigMap() string {
	rev := ""
	if pod := c.source(); !pod.none() {
		rev = pod.GetAnnotations()["istio.io/rev"]
		if rev == "" {
			rev = pod.GetLabels()["istio.io/rev"]
		}
	}
	if rev == "" || rev == "default" {
		return "istio"
	}
	return "istio-" + rev
}

// policyMode returns the mode of the outbound traffic policy in a mesh's
// configuration, "" where it says none.
func policyMode(text string) string {
	var config struct {
		Policy struct {
			Mode string `yaml:"mode"`
		} `yaml:"outboundTrafficPolicy"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return ""
	}
	return config.Policy.Mode
}
