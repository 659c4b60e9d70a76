package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// conditionFamily is about objects of the Gateway API whose status says that they were
// not accepted.
var conditionFamily = family{"The Gateway API", conditions, []Cause{
	{"not-accepted", "`Accepted`, `ResolvedRefs` or `Programmed` is False", "A Gateway, a route or a policy is not accepted: its status says why.", "Do what the condition's message says."},
	{"backend-missing", "`ResolvedRefs` is False: BackendNotFound", "A route leads to a host that no ServiceEntry has, or to a Service that is not there.", "Apply the ServiceEntry or the Service, or correct `backendRefs`."},
	{"reference-not-granted", "`ResolvedRefs` is False: RefNotPermitted", "A route or a Gateway refers to an object of another namespace, and no ReferenceGrant there allows that.", "Apply a ReferenceGrant in that namespace."},
	{"parent-missing", "a route has no effect", "A route names a parent that is not there.", "Correct `spec.parentRefs`."},
}}

// conditions explains a failure by the status of the objects on the request's way.
func conditions(c *facts) (found []evidence.Finding) {
	if c.Kind == "exec" && c.asked.url == nil || c.Kind == "apply" {
		return nil
	}
	for _, kind := range []string{httpRoutes, tlsRoutes, backendTLSPolicies} {
		for _, o := range c.list(kind) {
			if !c.onWay(o, kind) {
				continue
			}
			found = append(found, c.parents(o)...)
		}
	}
	for _, g := range c.list(apiGateways) {
		if c.changed(g) || c.gatewayOnWay(g) {
			found = append(found, c.unprogrammed(g)...)
		}
	}
	if len(found) > 2 {
		return found[:1] // the first one on the way
	}
	return found
}

// onWay reports whether an object is about the host that was asked for. If no request
// was made, it reports whether this run has changed the object.
func (c *facts) onWay(o object, kind string) bool {
	if c.asked.host == "" {
		return c.changed(o)
	}
	if kind == backendTLSPolicies {
		return slices.ContainsFunc(o.maps("spec", "targetRefs"), func(r map[string]any) bool {
			return textAt(r, "name") == c.asked.host || slices.ContainsFunc(c.registered(c.asked.host, c.asked.port), func(t target) bool { return t.GetName() == textAt(r, "name") })
		})
	}
	return c.routeHas(o, c.asked.host)
}

func (c *facts) gatewayOnWay(g object) bool {
	if c.asked.host == "" {
		return strings.Contains(c.Command, "gateway") && strings.Contains(c.Command, "/"+g.GetName())
	}
	for _, kind := range []string{httpRoutes, tlsRoutes} {
		for _, r := range c.list(kind) {
			if c.routeHas(r, c.asked.host) && slices.ContainsFunc(r.maps("spec", "parentRefs"), func(p map[string]any) bool {
				return textAt(p, "name") == g.GetName() && (textAt(p, "kind") == "" || textAt(p, "kind") == "Gateway")
			}) {
				return true
			}
		}
	}
	return false
}

// parents explains what a route's or a policy's status says about its parents.
func (c *facts) parents(o object) (found []evidence.Finding) {
	statuses := append(o.maps("status", "parents"), o.maps("status", "ancestors")...)
	for _, p := range statuses {
		ref := mapAt(p, "parentRef")
		if ref == nil {
			ref = mapAt(p, "ancestorRef")
		}
		found = append(found, c.falseOnes(o, mapsAt(p, "conditions"), " for "+refText(ref))...)
	}
	if len(found) > 0 {
		return found[:1]
	}
	for i, ref := range o.maps("spec", "parentRefs") {
		field := fmt.Sprintf("spec.parentRefs[%d]", i)
		if f := c.parentMissing(o, ref, field); f != nil {
			return one(*f)
		}
	}
	return nil
}

func refText(ref map[string]any) string {
	kind := textAt(ref, "kind")
	if kind == "" {
		kind = "Gateway"
	}
	text := kind + " " + textAt(ref, "name")
	if ns := textAt(ref, "namespace"); ns != "" {
		text += " in namespace " + ns
	}
	return text
}

// falseOnes explains conditions that are False.
func (c *facts) falseOnes(o object, conditions []map[string]any, of string) []evidence.Finding {
	for _, name := range []string{"Accepted", "ResolvedRefs", "Programmed"} {
		for _, cond := range conditions {
			if textAt(cond, "type") != name || textAt(cond, "status") != "False" {
				continue
			}
			if found := c.badReference(o, textAt(cond, "reason")); name == "ResolvedRefs" && found != nil {
				return found
			}
			return one(c.found("not-accepted", o, "status.conditions", c.kubectl("describe", o),
				"%s: %s is False%s: %s, %s", c.name(o), name, of, textAt(cond, "reason"), short(textAt(cond, "message"), 140)))
		}
	}
	return nil
}

// parentMissing reports that a route names a parent that does not exist.
func (c *facts) parentMissing(o object, ref map[string]any, field string) *evidence.Finding {
	kind, namespace, name := textAt(ref, "kind"), textAt(ref, "namespace"), textAt(ref, "name")
	if namespace == "" {
		namespace = o.GetNamespace()
	}
	list := map[string]string{"": apiGateways, "Gateway": apiGateways, "ServiceEntry": serviceEntries, "Service": services}[kind]
	if list == "" || !c.mayList(list) {
		return nil
	}
	var names []string
	for _, g := range c.list(list) {
		if g.GetNamespace() != namespace {
			continue
		}
		if g.GetName() == name {
			return nil
		}
		names = append(names, g.GetName())
	}
	f := c.found("parent-missing", o, field, c.kubectl("edit", o),
		"%s names %s in namespace %s (%s), which is not there%s.", c.name(o), strings.TrimSuffix(refText(map[string]any{"kind": kind, "name": name}), " "), namespace, field, nearOf(name, names))
	return &f
}

// unprogrammed explains a Gateway of the Gateway API that is not in force.
func (c *facts) unprogrammed(g object) (found []evidence.Finding) {
	for i, l := range g.maps("status", "listeners") {
		for _, f := range c.falseOnes(g, mapsAt(l, "conditions"), " for listener "+textAt(l, "name")) {
			f.Field = fmt.Sprintf("status.listeners[%d].conditions", i)
			return one(f)
		}
	}
	if found = c.falseOnes(g, g.maps("status", "conditions"), ""); found != nil {
		return found
	}
	return nil
}
