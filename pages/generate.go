package pages

import (
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"
)

// isGenerate reports whether the words of a command are istioctl manifest generate.
func isGenerate(texts []string) bool {
	return len(texts) > 2 && texts[0] == "istioctl" && texts[1] == "manifest" && texts[2] == "generate"
}

// generate notes the file into which istioctl manifest generate writes, with the
// gateways that its settings have: nothing is generated here, so that applying the
// file means that they must be there.
func (m *mapper) generate(c *command, stmt *syntax.Stmt, args []string) ([]*yaml.Node, bool, error) {
	doc, out := hereDocument(stmt), ofFile(stmt)
	if doc == nil || out == nil || out.Op != syntax.RdrOut || len(c.stages) != 1 {
		return nil, false, cannot("", "istioctl manifest generate is known here for settings in a here-document, written to a file")
	}
	for i := 0; i < len(args); i++ {
		switch {
		case (args[i] == "-f" || args[i] == "--filename") && i+1 < len(args) && args[i+1] == "-":
			i++
		case args[i] == "--set" && i+1 < len(args) && harmless.MatchString(args[i+1]):
			i++
		default:
			return nil, false, cannot("", "istioctl manifest generate with %s is not known here", args[i])
		}
	}
	text, ok := document(doc)
	file := wordOf(out.Word)
	if !ok || file.dynamic || strings.Contains(file.text, "${") {
		return nil, false, cannot("write it out", "what istioctl manifest generate is to write is known to a shell alone")
	}
	gateways, err := gatewaysOf(text)
	if err != nil {
		return nil, false, err
	}
	m.note(c.at, false, "not run: nothing is generated, and the gateway %s must be there where %s is applied", gateways[0].name, baseOf(file.text))
	m.generated[baseOf(file.text)] = gateways
	return nil, true, nil
}

// gatewaysOf returns the gateways that the settings of an installation have, and
// nothing else: an IstioOperator, or the values of charts before it.
func gatewaysOf(text string) (all []deployment, err error) {
	type gateway struct {
		Name, Namespace string
		Enabled         bool
	}
	var settings struct {
		Kind string
		Spec struct {
			Profile    string
			Components map[string]yaml.Node
		}
		Gateways map[string]yaml.Node
	}
	if err := yaml.Unmarshal([]byte(text), &settings); err != nil {
		return nil, cannot("", "the settings are no YAML: %v", err)
	}
	if settings.Kind == "IstioOperator" && settings.Spec.Profile != "empty" {
		return nil, cannot("", "settings that install more than gateways are not known here: profile is not empty")
	}
	add := func(g gateway) {
		if g.Enabled && g.Name != "" {
			all = append(all, deployment{g.Name, "istio-system"})
			if g.Namespace != "" {
				all[len(all)-1].namespace = g.Namespace
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(settings.Spec.Components)) {
		var list []gateway
		component := settings.Spec.Components[name]
		if name != "egressGateways" && name != "ingressGateways" || component.Decode(&list) != nil {
			return nil, cannot("", "settings that install more than gateways are not known here: components.%s", name)
		}
		for _, g := range list {
			add(g)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(settings.Gateways)) {
		g, values := gateway{}, settings.Gateways[name]
		if name != "enabled" && values.Decode(&g) == nil {
			g.Name = name
			add(g)
		}
	}
	if len(all) == 0 {
		return nil, cannot("", "the settings have no gateway")
	}
	return all, nil
}

// mustBeThere returns the steps that wait for the gateways of a generated file; nil
// where the file is none.
func (m *mapper) mustBeThere(c *command, file string) (nodes []*yaml.Node) {
	for _, g := range m.generated[baseOf(file)] {
		nodes = append(nodes, m.gatewayThere(c, g))
	}
	return nodes
}

// gatewayThere returns the step that waits for a gateway.
func (m *mapper) gatewayThere(c *command, g deployment) *yaml.Node {
	return c.at.mapping("title", "The gateway "+g.name+" is there, as Istio's installation makes it",
		"wait", c.at.mapping("object", "deployment/"+g.name, "namespace", g.namespace, "for", "rollout"))
}
