package pages

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"
)

// harmless are settings of an installation that change nothing that a page could
// mean, or that are there.
var harmless = regexp.MustCompile(`^(?:profile=|hub=|tag=|revision=$|installPackagePath=|values\.global\.(?:istioNamespace=istio-system$|hub=|tag=|logging\.level=)|values\.defaultRevision=|meshConfig\.accessLogFile=/dev/stdout$|meshConfig\.accessLogEncoding=TEXT$|values\.global\.proxy\.accessLogFile=|meshConfig\.enableTracing=|meshConfig\.enableAutoMtls=true$|components\.(?:in|e)gressGateways\[0\]\.|components\.pilot\.k8s\.(?:resources|replicaCount|hpaSpec)\b|values\.pilot\.(?:resources|autoscale\w*|replicaCount|traceSampling)\b|values\.gateways\.istio-(?:in|e)gressgateway\.(?:enabled|runAsRoot|type|autoscale\w*)=|gateways\.istio-egressgateway\.|(?:values\.)?(?:kiali|grafana|prometheus|tracing|servicegraph|telemetry-gateway)\.|gateways\.istio-ingressgateway\.type=)`)

var modeSetting = regexp.MustCompile(`^(?:values\.global\.|meshConfig\.|values\.meshConfig\.)outboundTrafficPolicy\.mode=(ALLOW_ANY|REGISTRY_ONLY)$`)

// An installation is an installation of Istio on a page: the steps that it becomes, and
// the ranges of addresses to which it confines sidecars.
type installation struct {
	nodes  []*yaml.Node
	ranges string
}

// setting takes over one setting, NAME=VALUE as istioctl names it.
func (m *mapper) setting(c *command, to *installation, setting string) error {
	setting = strings.TrimPrefix(strings.Trim(setting, `"'`), "spec.")
	g := modeSetting.FindStringSubmatch(setting)
	of := rangesSetting.FindStringSubmatch(setting)
	switch {
	case of != nil:
		to.ranges = strings.Trim(of[1], `"'`)
	case g != nil:
		to.nodes = append(to.nodes, c.at.mapping("title", c.title, "policy", c.at.mapping("set", g[1])))
	case !harmless.MatchString(setting):
		return cannot("", "the setting %s of the mesh is not known here", setting)
	case setting == "profile=ambient":
		to.nodes = append(to.nodes, m.ambient(c, "istio-system"))
	}
	if strings.Contains(setting, "egressGateways") && !strings.HasSuffix(setting, "=false") || strings.Contains(setting, "istio-egressgateway") {
		m.require("egressGateway")
	}
	if strings.Contains(setting, "accessLogFile") {
		m.require("accessLog")
	}
	return nil
}

// ambient returns the step that looks for ambient mode, without which requests of a page
// that asks for it would take no way through the mesh, and succeed all the same.
func (m *mapper) ambient(c *command, namespace string) *yaml.Node {
	return c.at.mapping("title", "Istio's ambient mode is installed",
		"wait", c.at.mapping("object", "daemonset/ztunnel", "namespace", namespace, "for", "rollout"))
}

// installed returns the steps of an installation. Where it has none, what it installs
// must be there.
func (m *mapper) installed(c *command, is *installation) ([]*yaml.Node, bool, error) {
	confined, err := m.confine(c, is.ranges)
	if is.nodes = append(is.nodes, confined...); err == nil && len(is.nodes) == 0 {
		m.note(c.at, false, "not run: Istio must be there already")
	}
	return is.nodes, err == nil, err
}

// install maps istioctl install: to the outbound traffic policy that it sets, and
// to what must be there.
func (m *mapper) install(c *command, stmt *syntax.Stmt, args []string) ([]*yaml.Node, bool, error) {
	is := &installation{}
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		takes := slices.Contains([]string{"--set", "-s", "-f", "--filename", "--revision", "-r", "--readiness-timeout", "--manifests", "-d", "-n", "--namespace"}, name)
		if takes && !given && i+1 < len(args) {
			i++
			value, given = args[i], true
		}
		var err error
		switch {
		case (name == "--set" || name == "-s") && given:
			err = m.setting(c, is, value)
		case (name == "-f" || name == "--filename") && given:
			err = m.settingsFile(c, stmt, is, value)
		case (name == "--revision" || name == "-r") && given && value != "default":
			err = cannot("", "a revision of the mesh beside another one is not known here")
		case takes && given, name == "-y", name == "--skip-confirmation", name == "--verify", name == "--force":
		case strings.Trim(name, "_") == "" && !given: // it is left to the reader
		default:
			err = cannot("", "istioctl install with %s is not known here", args[i])
		}
		if err != nil {
			return nil, false, err
		}
	}
	return m.installed(c, is)
}

// settingsFile takes over the settings of a file: an IstioOperator, as istioctl takes
// it.
func (m *mapper) settingsFile(c *command, stmt *syntax.Stmt, to *installation, file string) error {
	text, err := m.textOf(c, stmt, file)
	if err != nil {
		return err
	}
	return m.operator(c, to, text)
}

// textOf returns the text of a file that a command names, - being its here-document.
func (m *mapper) textOf(c *command, stmt *syntax.Stmt, file string) (string, error) {
	if file == "-" {
		doc := hereDocument(stmt)
		if doc == nil {
			return "", cannot("", "-f - reads nothing")
		}
		text, ok := document(doc)
		if !ok {
			return "", cannot("put it in a variable first: export NAME=$(...)", "a $(...) stands in the file")
		}
		return text, nil
	}
	text, _, path, err := m.find(c, file)
	if err != nil || path == "" {
		return text, err
	}
	data, err := m.readFile(path)
	return string(data), err
}

// operator takes over the settings of an IstioOperator.
func (m *mapper) operator(c *command, to *installation, text string) error {
	var o struct {
		Kind string
		Spec struct {
			Components map[string]yaml.Node
			Rest       map[string]yaml.Node `yaml:",inline"`
		}
	}
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		return cannot("", "the settings are no YAML: %v", err)
	}
	if o.Kind != "IstioOperator" {
		return cannot("", "settings of the mesh are known here as an IstioOperator, and this is %q", o.Kind)
	}
	var all []string
	for name := range o.Spec.Rest {
		n := o.Spec.Rest[name]
		all = append(all, flatSettings(name, &n)...)
	}
	for name := range o.Spec.Components {
		n := o.Spec.Components[name]
		switch name {
		case "ingressGateways", "egressGateways":
			gateways, err := gatewaysIn(&n)
			if err != nil {
				return err
			}
			if name == "ingressGateways" {
				gateways = slices.DeleteFunc(gateways, func(g deployment) bool { return g.name == "istio-ingressgateway" })
			}
			to.nodes = append(to.nodes, m.gatewaysThere(c, gateways)...)
		case "base", "cni":
		default:
			all = append(all, flatSettings("components."+name, &n)...)
		}
	}
	slices.Sort(all)
	for _, s := range all {
		if err := m.setting(c, to, s); err != nil {
			return err
		}
	}
	return nil
}

// isOperator reports whether a manifest is an IstioOperator and nothing else, which was
// how an operator in the cluster installed Istio before 1.24.
func isOperator(text string) bool {
	objects, err := objectsOfText(text)
	return err == nil && len(objects) == 1 && objects[0].kind == "IstioOperator"
}

// appliedOperator maps kubectl apply of an IstioOperator to what istioctl install -f of it
// is.
func (m *mapper) appliedOperator(c *command, text string) ([]*yaml.Node, error) {
	is := &installation{}
	if err := m.operator(c, is, text); err != nil {
		return nil, err
	}
	nodes, _, err := m.installed(c, is)
	return nodes, err
}

// flatSettings returns the settings of a tree as NAME=VALUE.
func flatSettings(name string, n *yaml.Node) (all []string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			all = append(all, flatSettings(name+"."+n.Content[i].Value, n.Content[i+1])...)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			all = append(all, flatSettings(fmt.Sprintf("%s[%d]", name, i), item)...)
		}
	default:
		all = append(all, name+"="+n.Value)
	}
	return all
}

// gatewaysIn returns the gateways that a list of them has enabled.
func gatewaysIn(n *yaml.Node) (all []deployment, err error) {
	var list []struct {
		Name, Namespace string
		Enabled         *bool
	}
	if err := n.Decode(&list); err != nil {
		return nil, cannot("", "the gateways of the settings are no list: %v", err)
	}
	for _, g := range list {
		if g.Name == "" || g.Enabled != nil && !*g.Enabled {
			continue
		}
		if g.Namespace == "" {
			g.Namespace = "istio-system"
		}
		all = append(all, deployment{g.Name, g.Namespace})
	}
	return all, nil
}

// gatewaysThere returns the steps that wait for gateways. Istio's own egress gateway is
// a requirement, without which the page is skipped.
func (m *mapper) gatewaysThere(c *command, gateways []deployment) (nodes []*yaml.Node) {
	for _, g := range gateways {
		if g.name == "istio-egressgateway" && g.namespace == "istio-system" {
			m.require("egressGateway")
			continue
		}
		nodes = append(nodes, m.gatewayThere(c, g))
	}
	return nodes
}

// isInstallation reports whether a command installs Istio, so that flags which are
// left to the reader are those of an installation that is there.
func isInstallation(text string) bool {
	return strings.HasPrefix(text, "istioctl") || helmOfOld.MatchString(text)
}
