package pages

import (
	"regexp"
	"strings"
)

// sampleOf matches the path or the URL of a sample of Istio.
var sampleOf = regexp.MustCompile(`(?:^|/)samples/([\w./-]+)$`)

// samples are those that this program has under a name of its own, by the end of
// their paths in Istio's repository. The others have their path there.
var samples = map[string]string{
	"curl/curl.yaml":   "samples/curl.yaml",
	"sleep/sleep.yaml": "samples/sleep.yaml",
}

// moved are folders of samples that had another place in an older Istio.
var moved = strings.NewReplacer("bookinfo/kube/", "bookinfo/platform/kube/")

// builtInSample returns the path of the sample that a path or a URL names, as an apply
// step takes it; "" where there is none.
func (m *mapper) builtInSample(name string) string {
	g := sampleOf.FindStringSubmatch(name)
	if g == nil || strings.Contains(name, "://") && !strings.Contains(name, "istio/istio") {
		return ""
	}
	if path := samples[g[1]]; path != "" {
		return path
	}
	for _, of := range []string{g[1], moved.Replace(g[1])} {
		if _, err := m.readFile("samples/" + of); err == nil {
			return "samples/" + of
		}
	}
	return ""
}

// sampleOfApp returns the path of the sample whose pods have the label app=NAME, for a
// reader who is to deploy it; "FILE" where there is none.
func (m *mapper) sampleOfApp(name string) string {
	for _, path := range []string{"samples/" + name + ".yaml", "samples/" + name + "/" + name + ".yaml"} {
		if _, err := m.readFile(path); err == nil {
			return path
		}
	}
	return "FILE"
}

// isAddon matches the programs beside the mesh that Istio's samples have: metrics,
// traces and dashboards, alone or as the whole folder.
var isAddon = regexp.MustCompile(`(?:^|/)samples/addons(?:/[\w.-]*)*/?$`)

// addon reports whether a file is of these, and notes that it is left out: what they
// show is looked at in a browser, and no request of a page goes through them.
func (m *mapper) addon(c *command, file string) bool {
	if !isAddon.MatchString(file) {
		return false
	}
	if _, err := m.readFile(baseOf(file)); err == nil {
		return false
	}
	m.note(c.at, false, "not run: the dashboards of Istio's samples are left out, which no request goes through: %s", baseOf(file))
	return true
}
