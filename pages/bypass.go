package pages

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// included is the annotation of a pod that confines its sidecar to ranges of
// addresses, as the setting global.proxy.includeIPRanges does for all new pods.
// Source: istio.io, reference page of the resource annotations.
const included = "traffic.sidecar.istio.io/includeOutboundIPRanges"

var rangesSetting = regexp.MustCompile(`^(?:values\.)?global\.proxy\.includeIPRanges=(.+)$`)

// A deployment is one that the page deploys.
type deployment struct{ name, namespace string }

// A bypass is a setting of the ranges of addresses that sidecars take.
type bypass struct {
	file string // whose pods have it
	line int    // of the command
}

// bypass confines the sidecars of deployments to ranges of addresses, "" for all
// addresses again. The page sets it for the whole mesh and has its pods deployed
// anew; here it is set for these pods alone, which are replaced by that.
func (m *mapper) bypass(c *command, ranges string, all []deployment) ([]*yaml.Node, error) {
	if len(all) == 0 {
		return nil, cannot("deploy the pods first", "the page has deployed nothing whose sidecar can be confined to %s", ranges)
	}
	var value any // null takes the annotation away
	if ranges != "" {
		value = ranges
	}
	merge, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]any{included: value}}}}})
	if err != nil {
		return nil, err
	}
	var nodes []*yaml.Node
	for _, d := range all {
		object := "deployment/" + d.name
		nodes = append(nodes,
			c.at.mapping("title", c.title, "patch", c.at.mapping("object", object, "namespace", d.namespace, "merge", string(merge))),
			c.at.mapping("title", "The pods of "+d.name+" are there anew", "wait", c.at.mapping("object", object, "namespace", d.namespace, "for", "rollout")))
	}
	return nodes, nil
}

// bypassAll confines the sidecars of all deployments of the page.
func (m *mapper) bypassAll(c *command, ranges string) ([]*yaml.Node, error) {
	nodes, err := m.bypass(c, ranges, m.deployments)
	if err != nil {
		return nil, err
	}
	m.bypassed, m.ranges = slices.Clone(m.deployments), ranges
	var names []string
	for _, d := range m.bypassed {
		names = append(names, "deployment/"+d.name)
	}
	m.note(c.at, false, "the mesh stays as it is: the setting is made for the pods of %s alone, by their annotation, and they are deployed anew", strings.Join(names, ", "))
	return nodes, nil
}

// bypassNew confines the sidecars of what the page deploys while the setting holds.
func (m *mapper) bypassNew(c *command, nodes []*yaml.Node) ([]*yaml.Node, error) {
	all := m.deploymentsOf(nodes)
	if m.ranges == "" || len(all) == 0 {
		return nodes, nil
	}
	m.bypassed = append(m.bypassed, all...)
	confined, err := m.bypass(c, m.ranges, all)
	return append(nodes, confined...), err
}

// endBypass takes the setting away where the page installs Istio without it.
func (m *mapper) endBypass(c *command) ([]*yaml.Node, error) {
	all := slices.DeleteFunc(m.bypassed, func(d deployment) bool { return !slices.Contains(m.deployments, d) })
	slices.SortFunc(all, func(a, b deployment) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	all = slices.Compact(all)
	m.bypassed, m.ranges = nil, ""
	if len(all) == 0 {
		return nil, nil
	}
	return m.bypass(c, "", all)
}

// otherRanges reports whether the sidecars of a file's pods were confined before in
// the same section, and what stands between names a platform: each platform has
// ranges of its own, and a reader takes those of one.
func (m *mapper) otherRanges(c *command, file string) bool {
	last := m.lastBypass
	if last == nil || last.file != baseOf(file) || m.page.headingBefore(last.line) != m.page.headingBefore(c.at.line) {
		return false
	}
	return slices.ContainsFunc(m.page.prose, func(t prose) bool {
		return t.at > last.line && t.at < c.at.line && platforms.MatchString(t.text)
	})
}

// injectedFlags are the flags of istioctl kube-inject.
type injectedFlags struct{ file, ranges string }

// readInjected reads the words behind istioctl kube-inject.
func readInjected(words []string) (f injectedFlags, err error) {
	for i := 0; i < len(words); i++ {
		name, value, given := strings.Cut(words[i], "=")
		if !given {
			if i++; i == len(words) {
				return f, fmt.Errorf("%s has no value", name)
			}
			value = words[i]
		}
		switch name {
		case "-f", "--filename":
			f.file = value
		case "--includeIPRanges":
			f.ranges = value
		default:
			return f, fmt.Errorf("%s is not known here", name)
		}
	}
	if f.file == "" {
		return f, fmt.Errorf("it names no file")
	}
	return f, nil
}

// deploymentsOf returns the deployments of the manifests of apply steps.
func (m *mapper) deploymentsOf(nodes []*yaml.Node) (all []deployment) {
	for _, n := range nodes {
		v := key(n, "apply")
		for _, text := range m.manifestsOf(v) {
			objects, err := objectsOfText(text)
			if err != nil {
				continue // what is wrong with it is told where the playbook is checked
			}
			for _, o := range objects {
				if o.kind != "Deployment" {
					continue
				}
				d := deployment{o.name, o.namespace}
				if d.namespace == "" {
					d.namespace = valueOf(v, "namespace")
				}
				all = append(all, d)
			}
		}
	}
	return all
}
