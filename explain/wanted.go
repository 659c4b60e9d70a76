package explain

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/evidence"
)

// claimed reports whether one of the claims that did not hold is about one of the
// subjects, such as "path".
func (c *facts) claimed(subjects ...string) bool {
	return slices.ContainsFunc(c.Verdicts, func(v evidence.Verdict) bool {
		key := strings.TrimPrefix(v.Key, "expect.")
		return slices.ContainsFunc(subjects, func(s string) bool { return strings.HasPrefix(key, s) })
	})
}

// wanted reports whether sort returns true for one of the claims that did not hold.
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

// timeoutWanted reports whether a claim is that a proxy gives up waiting for the answer.
func timeoutWanted(v *evidence.Verdict) bool {
	return strings.Contains(v.Key, "status") && anyStatus.FindString(v.Want) == "504"
}

// networks are exit codes of curl that no sidecar brings about: it has accepted the
// connection by then. The empty one stands for no exit code.
var networks = []string{"", "0", "6", "7", "28"}

// directWanted reports whether a claim is that the request goes past the sidecar.
func directWanted(v *evidence.Verdict) bool {
	return strings.HasPrefix(strings.TrimPrefix(v.Key, "expect."), "path") && v.Want == "direct"
}

// anyStatus matches a status in what a claim shows of responses.
var anyStatus = regexp.MustCompile(`\b[1-5]\d\d\b`)

// noRedirectWanted reports whether a claim is that the first response is no
// redirect, where it was one.
func noRedirectWanted(v *evidence.Verdict) bool {
	key := strings.TrimPrefix(v.Key, "expect.")
	if key != "responses" && key != "responses[0].status" && key != "status" {
		return false
	}
	want, got := anyStatus.FindString(v.Want), anyStatus.FindString(v.Got)
	return want != "" && !strings.HasPrefix(want, "3") && strings.HasPrefix(got, "3")
}

// plainlyBlocked reports whether a claim itself says that the sidecar must have no
// route for the request.
func plainlyBlocked(v *evidence.Verdict) bool {
	key := strings.TrimPrefix(v.Key, "expect.")
	return strings.HasPrefix(key, "path") && v.Want == "blocked" ||
		strings.HasPrefix(key, "log") && (strings.Contains(v.Want, evidence.BlackHole) || strings.Contains(v.Want, "block_all"))
}

// clusterName matches the name of an upstream cluster.
var clusterName = regexp.MustCompile(`outbound\|(\d+)\|([^|\s]*)\|([A-Za-z0-9.*-]+)`)

// wantedUpstream returns the upstream to which the claims about the sidecar's log
// want the request to go, and whether they name one and it went elsewhere.
func (c *facts) wantedUpstream() (u upstream, ok bool) {
	for i := range c.Verdicts {
		v := &c.Verdicts[i]
		key := strings.TrimPrefix(v.Key, "expect.")
		if key != "log" && key != "log[0].cluster" {
			continue
		}
		names := clusterName.FindAllString(v.Want, -1)
		slices.Sort(names)
		if names = slices.Compact(names); len(names) != 1 {
			continue
		}
		m := clusterName.FindStringSubmatch(names[0])
		port, err := strconv.Atoi(m[1])
		if err != nil {
			return u, false
		}
		u = upstream{port, m[2], m[3]}
		got, _ := upstreamOf(c.line)
		return u, c.line != nil && got != u
	}
	return u, false
}

// elsewhere reports whether claims name another upstream, or a gateway, than the one to
// which the sidecar sent the request.
func (c *facts) elsewhere() bool {
	_, other := c.wantedUpstream()
	return other || c.line != nil && c.wanted(gatewayWanted)
}

// connected reports whether the command made a connection, as far as it reports that.
func (c *facts) connected() bool {
	return c.Attempt == nil || len(c.Attempt.Transfers) == 0 ||
		slices.ContainsFunc(c.Attempt.Transfers, func(t evidence.Transfer) bool { return t.Local != "" || t.Remote != "" || t.Status != 0 })
}

// gatewayWanted reports whether a claim is that the request goes through a gateway.
func gatewayWanted(v *evidence.Verdict) bool {
	return gatewayHop.MatchString(v.Want) && !gatewayHop.MatchString(v.Got)
}

var gatewayHop = regexp.MustCompile(`egressgateway|gateway/|istio-egress|deploy/[a-z0-9-]*gateway`)

// meshConfigMap returns the name of the mesh's configuration for the pod's revision.
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

// policyMode returns the mode of the outbound traffic policy in a mesh's configuration,
// "" if it sets none.
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
