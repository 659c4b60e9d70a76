package pages

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// boilerplate puts the commands in front of a statement that the site keeps in another
// file. It does so for the one of Istio's files without which the page's own commands make
// no sense.
func (m *mapper) boilerplate(st *statement) {
	for len(m.page.boilerplates) > 0 && m.page.boilerplates[0].at < st.lines[0].line {
		b := m.page.boilerplates[0]
		m.page.boilerplates = m.page.boilerplates[1:]
		at := place{b.at, 1}
		switch b.name {
		case "before-you-begin-egress":
			m.beforeEgress(at)
		case "gateway-api-support", "gateway-api-install-crds", "gateway-api-remove-crds", "gateway-api-gamma-experimental", "gateway-api-experimental":
			m.note(at, false, "the part %q of the site is not read: the kinds of the Gateway API are taken to be there where they are used", b.name)
		default:
			m.note(at, false, "the part %q of the site is not read", b.name)
		}
	}
	if !m.builtin && m.deploysSample(st) {
		m.builtin = true
		line, column := st.place(1, 1)
		m.inject(place{line, column})
	}
}

// beforeEgress stands for the part with which Istio's egress pages begin: a pod
// from which requests are sent, and SOURCE_POD, its name.
func (m *mapper) beforeEgress(at place) {
	sample := "sleep"
	for _, st := range m.statements {
		if strings.Contains(st.text(), "-c curl") || strings.Contains(st.text(), "samples/curl/") || strings.Contains(st.text(), "app=curl") {
			sample = "curl"
		}
	}
	m.note(at, false, "the part %q of the site is not read: the sample %s is deployed, and SOURCE_POD is its pod", "before-you-begin-egress", sample)
	m.builtin = true
	m.inject(at)
	m.add(
		at.mapping("title", "Deploy the sample "+sample, "apply", at.mapping("files", at.texts([]string{"samples/" + sample + ".yaml"}))),
		at.mapping("title", "Set SOURCE_POD to its pod", "set", at.mapping("SOURCE_POD", at.mapping("get", "pod", "selector", "app="+sample, "jsonpath", "{.items[0].metadata.name}"))),
	)
	m.lastApply = "samples/" + sample + "/" + sample + ".yaml"
}

// inject has sidecars injected into the pods of the run's namespace, which Istio's
// pages take for given.
func (m *mapper) inject(at place) {
	m.note(at, false, "the namespace gets the label istio-injection=enabled, which the page takes for given")
	m.add(m.injection(at, "${NAMESPACE}"))
}

// injection returns the step that has sidecars injected into a namespace's pods.
func (m *mapper) injection(at place, namespace string) *yaml.Node {
	return at.mapping("title", "Have a sidecar injected into each pod of the namespace",
		"label", at.mapping("object", "namespace/"+namespace, "set", at.mapping("istio-injection", "enabled")))
}

// labelsOther matches a command that has sidecars injected into another namespace than
// the run's.
var labelsOther = regexp.MustCompile(`label\s+(?:--overwrite\s+)?(?:ns|namespaces?)[ /]("?\$?[\w{}-]+"?)`)

// joinsMesh matches the labels with which a namespace's pods are in the mesh: by a sidecar,
// by one of a revision, or in ambient mode.
var joinsMesh = regexp.MustCompile(`istio-injection|\bistio\.io/(?:rev|dataplane-mode)=`)

// deploysSample reports whether a statement deploys a sample of Istio into the
// run's namespace, on a page that nowhere labels that one.
func (m *mapper) deploysSample(st *statement) bool {
	text := st.text()
	if !strings.HasPrefix(text, "kubectl") || !strings.Contains(text, "samples/") || !strings.Contains(text, "apply") && !strings.Contains(text, "create") || strings.Contains(text, " -n ") || m.namespace != "" {
		return false
	}
	for _, other := range m.statements {
		if g := labelsOther.FindStringSubmatch(other.text()); g != nil && g[1] != "default" && !strings.Contains(g[1], "$") {
			continue
		}
		if joinsMesh.MatchString(other.text()) {
			return false
		}
	}
	return true
}
