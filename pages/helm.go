package pages

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"
)

// helmOfOld matches an installation of Istio by the charts that it had before 1.5.
var helmOfOld = regexp.MustCompile(`^helm template install/kubernetes/helm/istio\s`)

// A release is what helm is told to install.
type release struct {
	name, chart, namespace string
	settings               []string // NAME=VALUE, as the chart names them
	files                  []string
}

// helmTakes are the flags of helm install and helm upgrade that have a value, helmAlone
// those that have none. Either changes nothing of what is installed but those that
// [readRelease] reads.
var (
	helmTakes = []string{"-n", "--namespace", "--version", "--set", "--set-string", "-f", "--values", "--timeout", "--name", "--description"}
	helmAlone = []string{"--install", "-i", "--create-namespace", "--wait", "--atomic", "--debug", "--devel", "--skip-crds", "--force", "--cleanup-on-fail", "--reuse-values", "--reset-values"}
)

// readRelease reads the words behind helm install or helm upgrade.
func readRelease(args []string) (r release, err error) {
	var operands []string
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		switch {
		case slices.Contains(helmAlone, name):
			continue
		case !strings.HasPrefix(args[i], "-"):
			operands = append(operands, args[i])
			continue
		case !slices.Contains(helmTakes, name) || !given && i+1 == len(args):
			return r, cannot("", "helm with %s is not known here", args[i])
		case !given:
			i++
			value = args[i]
		}
		switch name {
		case "-n", "--namespace":
			r.namespace = value
		case "--name":
			r.name = value
		case "-f", "--values":
			r.files = append(r.files, value)
		case "--set", "--set-string":
			r.settings = append(r.settings, strings.Split(value, ",")...)
		}
	}
	if r.name == "" && len(operands) == 2 {
		r.name, operands = operands[0], operands[1:]
	}
	if len(operands) != 1 || r.name == "" {
		return r, cannot("", "helm: want a release and a chart")
	}
	r.chart = operands[0]
	return r, nil
}

// ofIstio matches the charts of Istio: in its repository, in its registry, and in the
// folder of its release. A variable may stand for the registry.
var ofIstio = regexp.MustCompile(`^(?:istio/|istio-official/|oci://(?:[\w.-]+/)*(?:charts|istio-helm)/|(?:\./|\.\./)*manifests/charts/(?:istio-control/|istio-cni/|gateways/)?|install/kubernetes/helm/)(base|istiod|istio-discovery|istio|istio-init|cni|istio-cni|ztunnel|ambient|gateway|istio-egress|istio-ingress)$`)

// helm takes the charts of Istio itself as there, and over what they set of the mesh.
func (m *mapper) helm(c *command, stmt *syntax.Stmt, texts []string) ([]*yaml.Node, bool, error) {
	if strings.HasPrefix(strings.Join(texts, " "), "helm template install/kubernetes/helm/istio-init ") && len(c.stages) == 2 && m.isApplyOfInput(c.stages[1]) {
		m.note(c.at, false, "not run: Istio must be there already")
		return nil, true, nil
	}
	if helmOfOld.MatchString(strings.Join(texts, " ")) {
		return m.helmTemplate(c, texts[3:])
	}
	verb := ""
	if len(texts) > 1 {
		verb = texts[1]
	}
	switch verb {
	case "repo", "version", "search", "show", "pull", "env":
		m.note(c.at, false, "not run: it prepares helm on this machine, and nothing of it is run")
		return nil, true, nil
	case "list", "ls", "status":
		if len(c.st.shown) == 0 && len(c.stages) == 1 {
			m.note(c.at, false, "not run: it tells of helm's releases, and what they install must be there already")
			return nil, true, nil
		}
	case "uninstall", "delete":
		if rest := texts[2:]; len(rest) > 0 && slices.Contains(m.releases, rest[0]) {
			m.note(c.at, false, "not run: the mesh stays as it is")
			return nil, true, nil
		}
	case "install", "upgrade":
		r, err := readRelease(texts[2:])
		if err != nil {
			return nil, false, err
		}
		if g := ofIstio.FindStringSubmatch(m.written(r.chart)); g != nil {
			m.releases = append(m.releases, r.name)
			return m.chart(c, stmt, r, path.Base(g[1]))
		}
	}
	return nil, false, cannot("", "helm is no program that is there: nothing of this machine is run")
}

// written returns a text with the values of variables that the page writes out.
func (m *mapper) written(text string) string {
	for name, value := range m.values {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	return text
}

// chart maps one of Istio's charts.
func (m *mapper) chart(c *command, stmt *syntax.Stmt, r release, chart string) ([]*yaml.Node, bool, error) {
	for _, file := range r.files {
		text, err := m.textOf(c, stmt, file)
		if err != nil {
			return nil, false, err
		}
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(text), &n); err != nil {
			return nil, false, cannot("", "the values are no YAML: %v", err)
		}
		for _, doc := range n.Content {
			for _, s := range flatSettings("", doc) {
				r.settings = append(r.settings, strings.TrimPrefix(s, "."))
			}
		}
	}
	is := &installation{}
	switch chart {
	case "gateway", "istio-egress", "istio-ingress":
		return m.gatewayChart(c, r)
	case "cni", "istio-cni", "base", "istio-init": // which only prepare
		m.note(c.at, false, "not run: Istio must be there already")
		return nil, true, nil
	case "ztunnel", "ambient":
		is.nodes = append(is.nodes, m.ambient(c, r.in("istio-system")))
	default:
		for _, s := range r.settings {
			if !strings.HasPrefix(s, "meshConfig.") && !strings.HasPrefix(s, "profile=") && !strings.HasPrefix(s, "revision=") {
				s = "values." + s
			}
			if err := m.setting(c, is, s); err != nil {
				return nil, false, err
			}
		}
	}
	return m.installed(c, is)
}

func (r release) in(namespace string) string {
	if r.namespace != "" {
		return r.namespace
	}
	return namespace
}

// ofGateway are settings of the chart of a gateway that change nothing of the way that
// requests take to it.
var ofGateway = regexp.MustCompile(`^(?:service\.(?:type|annotations|loadBalancerIP|externalTrafficPolicy)\b|autoscaling\.|replicaCount=|resources\.|imagePullPolicy=|name=|labels\.|podDisruptionBudget\.)`)

// gatewayChart maps the chart of a gateway: it must be there. An ingress gateway is
// taken for given: requests out of the mesh do not go through it.
func (m *mapper) gatewayChart(c *command, r release) ([]*yaml.Node, bool, error) {
	name := r.name
	for _, s := range r.settings {
		if !ofGateway.MatchString(s) {
			return nil, false, cannot("", "the setting %s of a gateway is not known here", s)
		}
		if value, is := strings.CutPrefix(s, "name="); is {
			name = value
		}
	}
	if strings.Contains(name, "ingress") {
		m.note(c.at, false, "not run: the ingress gateway must be there already, where a request goes through it")
		return nil, true, nil
	}
	nodes := m.gatewaysThere(c, []deployment{{name, r.in("${NAMESPACE}")}})
	if len(nodes) == 0 {
		m.note(c.at, false, "not run: Istio's egress gateway must be there already")
	}
	return nodes, true, nil
}

// helmTemplate maps helm template ... | kubectl apply -f - of Istio's charts of old to
// what it sets, as istioctl install does.
func (m *mapper) helmTemplate(c *command, args []string) ([]*yaml.Node, bool, error) {
	if len(c.stages) != 2 || !m.isApplyOfInput(c.stages[1]) {
		return nil, false, cannot("", "helm template is known here for Istio's charts alone, with | kubectl apply -f -")
	}
	var rest []string
	for i := 0; i < len(args); i++ {
		switch {
		case (args[i] == "-x" || args[i] == "--name" || args[i] == "--namespace") && i+1 < len(args):
			i++
		case args[i] == "--set" && i+1 < len(args) && strings.HasPrefix(args[i+1], "global."):
			i++
			rest = append(rest, "--set", "values."+args[i])
		default:
			rest = append(rest, args[i])
		}
	}
	return m.install(c, c.stages[0], rest)
}
