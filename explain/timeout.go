package explain

import (
	"fmt"
	"slices"

	"github.com/egressplay/egressplay/evidence"
)

// timeoutFamily is about requests that took longer than a route allows.
var timeoutFamily = family{"Time", timedOut, []Cause{
	{"route-timeout", "504 and `UT`", "A route gives requests less time than the service takes.", "Raise `timeout` of the route; of an HTTPRoute `timeouts.request`."},
	{"retry-timeout", "504 and `UT`", "A route gives each try less time than the service takes.", "Raise `retries.perTryTimeout`."},
}}

func timedOut(c *facts) (found []evidence.Finding) {
	l := c.last()
	if l == nil || !has(l, "UT") && l.Details != "upstream_response_timeout" && l.Details != "response_timeout" && l.Details != "upstream_per_try_timeout" {
		return nil
	}
	if !c.mayList(virtualServices) {
		return nil
	}
	h := c.hop(l)
	host := evidence.HostOf(l.Authority)
	if host == "" {
		host = c.asked.host
	}
	inForce, known := c.routesInForce(h, host)
	taken, _ := c.routesFor(h, host)
	for _, vs := range taken[:min(len(taken), 1)] { // of several the oldest counts
		if known && !slices.ContainsFunc(inForce, func(r routeInForce) bool { return r.author == vs.GetNamespace()+"/"+vs.GetName() }) {
			continue
		}
		for i, r := range vs.maps("spec", "http") {
			matches, sure := c.matched(vs, r, "http", h)
			if !matches {
				continue
			}
			if timeout, field := textAt(r, "timeout"), fmt.Sprintf("spec.http[%d].timeout", i); timeout != "" {
				found = append(found, c.found("route-timeout", vs, field, c.kubectl("edit", vs),
					"%s gives requests to %s %s (%s), and the service takes longer.", c.name(vs), host, timeout, field))
			} else if try := textAt(r, "retries", "perTryTimeout"); try != "" {
				field := fmt.Sprintf("spec.http[%d].retries.perTryTimeout", i)
				found = append(found, c.found("retry-timeout", vs, field, c.kubectl("edit", vs),
					"%s gives each try of a request to %s %s (%s), and the service takes longer.", c.name(vs), host, try, field))
			}
			if sure {
				break // what follows is not reached
			}
		}
	}
	for _, route := range c.list(httpRoutes) {
		if !c.routeHas(route, host) {
			continue
		}
		for i, r := range route.maps("spec", "rules") {
			for _, name := range []string{"request", "backendRequest"} {
				if timeout := textAt(r, "timeouts", name); timeout != "" {
					field := fmt.Sprintf("spec.rules[%d].timeouts.%s", i, name)
					found = append(found, c.found("route-timeout", route, field, c.kubectl("edit", route),
						"%s gives requests to %s %s (%s), and the service takes longer.", c.name(route), host, timeout, field))
					break
				}
			}
		}
	}
	return found
}

// routeHas reports whether a route of the Gateway API is for a host: by its
// hostnames, or by a parent that has the name.
func (c *facts) routeHas(route object, host string) bool {
	hosts := route.texts("spec", "hostnames")
	if slices.ContainsFunc(hosts, func(h string) bool { return serves(h, host) }) {
		return true
	}
	for _, p := range route.maps("spec", "parentRefs") {
		switch textAt(p, "kind") {
		case "Hostname":
			if serves(textAt(p, "name"), host) {
				return true
			}
		case "ServiceEntry", "Service":
			namespace := textAt(p, "namespace")
			if namespace == "" {
				namespace = route.GetNamespace()
			}
			if slices.ContainsFunc(c.registered(host, c.asked.port), func(t target) bool {
				return t.GetName() == textAt(p, "name") && t.GetNamespace() == namespace && t.GetKind() == textAt(p, "kind")
			}) {
				return true
			}
		}
	}
	return false
}
