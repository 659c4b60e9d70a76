// Package lint finds what is wrong with the objects of a playbook without a cluster:
// what their schemas forbid, and what Istio takes and then does not do, such as a
// route to a host that nobody declares.
//
// A rule knows only what the playbook itself applies. Where the cluster has the rest,
// an author says so on the line, or on the one above:
//
//	# lint: ignore undeclared-host the platform team declares it
package lint

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/nearest"
	"github.com/egressplay/egressplay/schemas"
)

// A Manifest is a text of objects that a playbook applies.
type Manifest struct {
	Text      string
	Namespace string // of the objects that name none
}

// A Problem is what is wrong at one place of a manifest.
type Problem struct {
	Manifest int // its index
	schemas.Problem
}

// rules are the rules that look at all objects of a playbook, by their names. A rule
// is a function and a row.
var rules = map[schemas.Rule]func(*world) []Problem{
	"undeclared-host":  undeclaredHosts,
	"undefined-subset": undefinedSubsets,
	"port-name":        portNames,
}

// badIgnore is the rule about comments that ignore; it cannot be ignored.
const badIgnore schemas.Rule = "ignore"

// Names returns the names of the rules, sorted.
func Names() []string {
	names := []string{string(schemas.UnknownKind), string(schemas.UnknownField), string(schemas.WrongValue)}
	for name := range maps.Keys(rules) {
		names = append(names, string(name))
	}
	slices.Sort(names)
	return names
}

// Check returns what is wrong with the objects of a playbook's manifests, in their
// order. Where these are not all that it applies, whole is false, and no rule that
// compares objects is asked. A manifest that is no YAML is reported elsewhere.
func Check(manifests []Manifest, whole bool) []Problem {
	w := &world{}
	var problems []Problem
	for i, m := range manifests {
		dec := yaml.NewDecoder(strings.NewReader(m.Text))
		for {
			doc := new(yaml.Node)
			if dec.Decode(doc) != nil {
				break
			}
			if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
				continue
			}
			for _, p := range schemas.Check(doc) {
				problems = append(problems, Problem{i, p})
			}
			w.add(i, m, doc.Content[0])
		}
	}
	if whole {
		for _, name := range slices.Sorted(maps.Keys(rules)) {
			problems = append(problems, rules[name](w)...)
		}
	}
	problems = withoutIgnored(manifests, problems, whole)
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Manifest, b.Manifest), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return problems
}

// A world is all objects that a playbook applies.
type world struct{ objects []object }

// An object is one of them.
type object struct {
	manifest          int
	node              *yaml.Node
	group, kind, name string
	namespace         string
}

func (w *world) add(manifest int, m Manifest, n *yaml.Node) {
	group, _, grouped := strings.Cut(text(n, "apiVersion"), "/")
	if !grouped {
		group = ""
	}
	w.objects = append(w.objects, object{manifest, n, group, text(n, "kind"), text(n, "metadata", "name"), cmp.Or(text(n, "metadata", "namespace"), m.Namespace)})
}

// of returns the objects of a kind of Istio's networking API.
func (w *world) of(kind string) []object {
	var all []object
	for _, o := range w.objects {
		if o.kind == kind && o.group == "networking.istio.io" {
			all = append(all, o)
		}
	}
	return all
}

func (o object) problem(rule schemas.Rule, n *yaml.Node, hint, format string, args ...any) Problem {
	return Problem{o.manifest, schemas.Problem{Rule: rule, Line: n.Line, Column: n.Column, Msg: fmt.Sprintf(format, args...), Hint: hint}}
}

// at returns the values at a path; a list stands for each of its items.
func at(n *yaml.Node, path ...string) []*yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.SequenceNode {
		var all []*yaml.Node
		for _, item := range n.Content {
			all = append(all, at(item, path...)...)
		}
		return all
	}
	if len(path) == 0 {
		return []*yaml.Node{n}
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == path[0] {
			return at(n.Content[i+1], path[1:]...)
		}
	}
	return nil
}

// text returns the one text at a path, "" where there is none.
func text(n *yaml.Node, path ...string) string {
	if all := at(n, path...); len(all) == 1 && all[0].Kind == yaml.ScalarNode {
		return all[0].Value
	}
	return ""
}

var ignore = regexp.MustCompile(`#\s*lint:\s*ignore\b\s*(\S*)\s*(.*)$`)

// withoutIgnored leaves out the problems that a comment ignores, and adds those of the
// comments: an unknown rule, no reason, and where all rules were asked, nothing to
// ignore.
func withoutIgnored(manifests []Manifest, problems []Problem, whole bool) []Problem {
	for i, m := range manifests {
		lines := strings.Split(m.Text, "\n")
		for at, line := range lines {
			found := ignore.FindStringSubmatchIndex(line)
			if found == nil {
				continue
			}
			rule, reason := line[found[2]:found[3]], line[found[4]:found[5]]
			applies := at + 1
			for strings.HasPrefix(strings.TrimSpace(lines[min(applies, len(lines))-1]), "#") && applies < len(lines) {
				applies++
			}
			before := len(problems)
			problems = slices.DeleteFunc(problems, func(p Problem) bool {
				return p.Manifest == i && p.Line == applies && p.Rule == schemas.Rule(rule)
			})
			says := func(hint, format string, args ...any) {
				problems = append(problems, Problem{i, schemas.Problem{Rule: badIgnore, Line: at + 1, Column: found[0] + 1, Msg: fmt.Sprintf(format, args...), Hint: hint}})
			}
			switch {
			case !slices.Contains(Names(), rule):
				hint := "the rules are " + strings.Join(Names(), ", ")
				if near, ok := nearest.Name(rule, Names()); ok {
					hint = "did you mean " + near + "?"
				}
				says(hint, "there is no rule %q to ignore", rule)
			case strings.TrimSpace(reason) == "":
				says("write why behind it", "the rule %s is ignored without a reason", rule)
			case before == len(problems) && whole:
				says("remove the comment", "the rule %s has nothing to say of this line", rule)
			}
		}
	}
	return problems
}
