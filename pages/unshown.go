package pages

import (
	"cmp"
	"strings"

	"gopkg.in/yaml.v3"
)

// unshown notes each change behind which the page shows no output: whether it does what
// the text says is compared with nothing, so that a run passes also where it does nothing.
func (m *mapper) unshown() {
	var changes []*yaml.Node
	shows := false
	for _, n := range m.steps {
		switch {
		case claims(key(n, "expect")):
			changes, shows = nil, true
		case key(n, "cleansUp") != nil:
		case key(n, "apply") != nil && !isSample(key(n, "apply")), key(n, "patch") != nil, key(n, "policy") != nil && key(key(n, "policy"), "set") != nil:
			changes = append(changes, n)
		}
	}
	if len(changes) > 0 && !shows {
		m.note(place{changes[0].Line, changes[0].Column}, false, "the page shows no output that can be compared: what its text says of requests is not tested")
		return
	}
	for _, n := range changes {
		m.note(place{n.Line, n.Column}, false, "the page shows no output behind this: whether it does what the text says is not tested")
	}
}

// madeAnew notes each deletion of an object that the page applies again before it shows any
// output: no output can tell whether it was deleted. One that makes pods is another matter,
// for its pods are new ones then.
func (m *mapper) madeAnew() {
	for i, n := range m.steps {
		d := key(n, "delete")
		if d == nil {
			continue
		}
		list := d
		if objects := key(d, "objects"); objects != nil {
			list = objects
		}
		for _, o := range list.Content {
			if o.Kind == yaml.ScalarNode && m.appliedNext(m.steps[i+1:], o.Value, textOf(key(d, "namespace"))) {
				m.note(place{n.Line, n.Column}, false, "the page applies %s again before it shows any output: whether this deletes it is not tested", o.Value)
			}
		}
	}
}

// appliedNext reports whether steps apply an object, KIND/NAME, before one that claims
// something of an output.
func (m *mapper) appliedNext(steps []*yaml.Node, deleted, namespace string) bool {
	kind, name, _ := strings.Cut(deleted, "/")
	kind, _, _ = strings.Cut(strings.ToLower(kind), ".")
	for _, pods := range []string{"pod", "po", "deploy", "statefulset", "sts", "daemonset", "ds", "replicaset", "rs", "job", "cronjob"} {
		if strings.HasPrefix(kind, pods) {
			return false
		}
	}
	for _, n := range steps {
		if claims(key(n, "expect")) {
			return false
		}
		apply := key(n, "apply")
		for _, text := range m.manifestsOf(apply) {
			all, err := objectsOfText(text)
			if err != nil {
				continue
			}
			for _, o := range all {
				is := strings.ToLower(o.kind)
				same := kind == is || kind == is+"s" || kind == is+"es" || kind == strings.TrimSuffix(is, "y")+"ies"
				if same && o.name == name && namespace == cmp.Or(o.namespace, textOf(key(apply, "namespace"))) {
					return true
				}
			}
		}
	}
	return false
}

func textOf(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return n.Value
}

// claims reports whether an expectation is of what the page shows or an author has
// written, rather than of what grep looks for.
func claims(expect *yaml.Node) bool {
	if expect == nil {
		return false
	}
	for i := 0; i+1 < len(expect.Content); i += 2 {
		name, value := expect.Content[i].Value, expect.Content[i+1]
		if matches := key(value, "matches"); name == "stdout" && matches != nil && strings.HasPrefix(matches.Value, "(?m)") {
			continue
		}
		if name != "shown" || value.Value != "" || value.Kind != yaml.ScalarNode {
			return true
		}
	}
	return false
}

// isSample reports whether a step applies the samples alone, which make requests and
// are not what a page is about.
func isSample(apply *yaml.Node) bool {
	files := key(apply, "files")
	if files == nil {
		return false
	}
	for _, f := range files.Content {
		if !strings.HasPrefix(f.Value, "samples/") {
			return false
		}
	}
	return true
}
