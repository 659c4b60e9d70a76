package explain

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/nearest"
)

// missingFamily is about what a step looks for and does not find.
var missingFamily = family{"Not there", missing, []Cause{
	{"labels-select-nothing", "a set or a wait finds nothing", "No object has the labels.", "Correct the labels: those that are there are told."},
	{"object-missing", "a step finds no object", "There is no object of that name.", "Correct the name: those that are there are told."},
	{"no-such-container", "exit code 3", "The pod has no such container.", "Name one that it has."},
	{"pod-not-ready", "exit code 3, or a wait that does not end", "A pod is not ready: a container waits or has ended.", "Look at the container's reason and message."},
}}

var (
	noneWithLabels = regexp.MustCompile(`there is no (\S+) with the labels (\S+)(?: in namespace (\S+))?`)
	getCommand     = regexp.MustCompile(`kubectl (?:-n (\S+) )?(?:get|wait|rollout status)\b[^\n]*?-l '?([^ '\n]+)`)
	waitSelected   = regexp.MustCompile(`^(\S+) with the labels (\S+)$`)
	notFound       = regexp.MustCompile(`([a-z]+)(?:\.[a-z0-9.]+)? "([^"]+)" not found`)
)

func missing(c *facts) []evidence.Finding {
	if e, ok := errors.AsType[*cluster.NotReadyError](c.Error); ok {
		return c.notReady(e)
	}
	text := errorText(c.Error)
	if m := noneWithLabels.FindStringSubmatch(text); m != nil {
		return c.nothingSelected(m[1], m[2], cmp.Or(m[3], c.in()))
	}
	for i := range c.Verdicts {
		v := &c.Verdicts[i]
		if m := waitedObject.FindStringSubmatch(v.Subject()); m != nil && c.Kind == "delete" && v.Got == "none" && v.Why == "" {
			return c.nothingToDelete(m[1], m[2])
		}
		if m := waitSelected.FindStringSubmatch(v.Subject()); m != nil && v.Got == "no such object" {
			return c.nothingSelected(m[1], m[2], c.in())
		}
	}
	if found := c.notConfigured(); found != nil {
		return found
	}
	if m := notFound.FindStringSubmatch(text); m != nil && slices.Contains([]string{"set", "exec", "shell", "logs"}, c.Kind) {
		return c.noSuch(m[1], m[2])
	}
	return nil
}

// author matches how a proxy's configuration names the object that it comes from.
var author = regexp.MustCompile(`/namespaces/([a-z0-9-]+)/(virtual-service|destination-rule)/([a-z0-9.-]+)`)

// notConfigured reports that an object does not exist that a claim wants to find in a
// proxy's configuration.
func (c *facts) notConfigured() []evidence.Finding {
	for i := range c.Verdicts {
		v := &c.Verdicts[i]
		m := author.FindStringSubmatch(v.Want)
		if m == nil || strings.Contains(v.Got, m[0]) {
			continue
		}
		kind := map[string]string{"virtual-service": "VirtualService", "destination-rule": "DestinationRule"}[m[2]]
		if _, gone := c.get(cluster.Ref{APIVersion: networkingAPIVersion, Kind: kind, Namespace: m[1], Name: m[3]}); gone {
			return one(c.found("object-missing", object{}, "metadata.name", fmt.Sprintf("kubectl -n %s get %ss", m[1], strings.ToLower(kind)),
				"There is no %s %s in namespace %s, which the proxy's configuration was to name.", kind, m[3], m[1]))
		}
	}
	return nil
}

// in returns the namespace of a step, as its command has it.
func (c *facts) in() string {
	if m := getCommand.FindStringSubmatch(c.Command); m != nil && m[1] != "" {
		return m[1]
	}
	if m := regexp.MustCompile(`kubectl -n (\S+) `).FindStringSubmatch(c.Command); m != nil {
		return m[1]
	}
	return c.Namespace
}

// nothingSelected reports which labels the objects of a kind have.
func (c *facts) nothingSelected(kind, selector, namespace string) []evidence.Finding {
	all, err := c.e.Cluster.List(c.ctx, kind, namespace, "")
	if err != nil {
		return nil
	}
	var texts []string
	key, _, _ := strings.Cut(selector, "=")
	for i := range all {
		labels := all[i].GetLabels()
		if value, has := labels[key]; has {
			labels = map[string]string{key: value}
		}
		delete(labels, "pod-template-hash")
		if text := labelsText(labels); text != "" && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	there := fmt.Sprintf("there is no %s at all", kind)
	switch {
	case len(texts) > 3:
		there = "there are " + strings.Join(texts[:3], "; ") + " and others"
	case len(texts) > 0:
		there = "there is " + strings.Join(texts, "; ")
	case len(all) > 0:
		there = "those that are there have no labels"
	}
	return one(c.found("labels-select-nothing", object{}, "selector", fmt.Sprintf("kubectl -n %s get %s --show-labels", namespace, kind),
		"No %s in namespace %s has the labels %s: %s.", kind, namespace, selector, there))
}

// noSuch reports which objects of a kind exist instead.
func (c *facts) noSuch(kind, name string) []evidence.Finding {
	namespace := c.in()
	all, err := c.e.Cluster.List(c.ctx, kind, namespace, "")
	if err != nil {
		return nil
	}
	return one(c.found("object-missing", object{}, "metadata.name", fmt.Sprintf("kubectl -n %s get %s", namespace, kind),
		"There is no %s among the %s of namespace %s%s.", name, kind, namespace, others(name, all)))
}

// nothingToDelete reports which objects of a kind are there instead of one to be deleted.
func (c *facts) nothingToDelete(kind, name string) []evidence.Finding {
	namespace := c.in()
	all, err := c.e.Cluster.List(c.ctx, kind, namespace, "")
	if err != nil || slices.ContainsFunc(all, func(o unstructuredObject) bool { return o.GetName() == name }) {
		return nil
	}
	return one(c.found("object-missing", object{}, "metadata.name", fmt.Sprintf("kubectl -n %s get %s", namespace, kind),
		"There is no %s %s in namespace %s%s.", kind, name, namespace, others(name, all)))
}

// others returns the text that follows "There is no NAME": the names that exist
// instead.
func others[O any](name string, all []O) string {
	var names []string
	for i := range all {
		if o, ok := any(&all[i]).(interface{ GetName() string }); ok {
			names = append(names, o.GetName())
		}
	}
	if near, ok := nearest.Name(name, names); ok {
		return ": there is " + near
	}
	switch {
	case len(names) == 0:
		return ", nor any other"
	case len(names) > 3:
		return ": there are " + strings.Join(names[:3], ", ") + " and others"
	}
	return ": there is " + strings.Join(names, ", ")
}

// nearOf returns the text "; there is NAME" with the one of names that was probably
// meant, "" if there is none.
func nearOf(name string, names []string) string {
	if near, ok := nearest.Name(name, names); ok {
		return "; there is " + near
	}
	return ""
}

// lacksProxy matches how a pod is told whose sidecar a step wants and which has none.
var lacksProxy = regexp.MustCompile(`\bpod (\S+) has no container istio-proxy\b`)

// onePod matches why the only pod that may be meant is not ready.
var onePod = regexp.MustCompile(`^pod (\S+): [^;]*$`)

// noProxy explains a pod that was to have a sidecar and has none; in a namespace of
// ambient mode no pod has one.
func (c *facts) noProxy(namespace, reason string) []evidence.Finding {
	m := lacksProxy.FindStringSubmatch(reason)
	if m == nil {
		return nil
	}
	pod, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: m[1]})
	ns, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "Namespace", Name: namespace})
	if pod.none() || ns.none() || ns.GetLabels()["istio.io/dataplane-mode"] == "ambient" || pod.GetLabels()["istio.io/dataplane-mode"] == "ambient" {
		return nil
	}
	return c.whyNoSidecar(pod)
}

// notReady explains a pod in which a command was to run.
func (c *facts) notReady(e *cluster.NotReadyError) []evidence.Finding {
	kind, name, named_ := strings.Cut(e.Query, "/")
	namespace := cmp.Or(e.Namespace, c.in())
	describe := fmt.Sprintf("kubectl -n %s describe pods", namespace)
	if e.Final {
		if found := c.noProxy(namespace, e.Reason); found != nil {
			return found
		}
		return one(c.found("no-such-container", object{}, "container", describe, "%s: %s.", e.Query, strings.TrimSuffix(e.Reason, ".")))
	}
	if named_ {
		all, err := c.e.Cluster.List(c.ctx, kind, namespace, "")
		if err == nil && !slices.ContainsFunc(all, func(o unstructuredObject) bool { return o.GetName() == name }) {
			return one(c.found("object-missing", object{}, "metadata.name", fmt.Sprintf("kubectl -n %s get %s", namespace, kind),
				"There is no %s %s in namespace %s%s.", kind, name, namespace, others(name, all)))
		}
	}
	if m := onePod.FindStringSubmatch(e.Reason); m != nil {
		pod, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: m[1]})
		if !pod.none() {
			if found := c.podOf(pod); len(found) > 0 && found[0].Code != "container-not-ready" { // which says no more
				return found
			}
		}
	}
	return one(c.found("pod-not-ready", object{}, "status.containerStatuses", describe, "No pod of %s is ready: %s.", e.Query, strings.TrimSuffix(short(e.Reason, 220), ".")))
}
