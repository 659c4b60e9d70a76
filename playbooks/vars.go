package playbooks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/variables"
)

// predefined are the variables that each run has, and the flags that change
// them.
var predefined = map[string]string{"NAMESPACE": "--namespace", "ISTIO_NAMESPACE": "--istio-namespace"}

// A setting is a NAME=VALUE from the command line.
type setting struct {
	flag        string // by which it came, for an error
	name, value string
}

// parseSettings splits NAME=VALUE texts. No error has a text of secret in it that
// may be a value.
func parseSettings(set, secret []string) ([]setting, Errors) {
	var settings []setting
	var errs Errors
	for i, text := range slices.Concat(set, secret) {
		name, value, found := strings.Cut(text, "=")
		flag, arg := "--set "+name, "--set "+fill.Cut(text)
		if isSecret := i >= len(set); isSecret {
			arg = SecretFlag(text, i-len(set))
			flag = arg
			if !found || !variables.ValidName(name) {
				errs = append(errs, &Error{
					File: arg, Msg: "it gives no variable a value",
					Hint: "write --set-secret NAME=VALUE or NAME=@FILE; a NAME has letters, digits and _ and does not begin with a digit",
				})
				continue
			}
		}
		switch {
		case !found:
			errs = append(errs, &Error{File: arg, Msg: "no value", Hint: "write --set NAME=VALUE"})
		case !variables.ValidName(name):
			errs = append(errs, &Error{File: arg, Msg: badName(name)})
		case predefined[name] != "":
			errs = append(errs, &Error{File: arg, Msg: name + " is not set this way", Hint: "use " + predefined[name]})
		default:
			settings = append(settings, setting{flag, name, value})
		}
	}
	return settings, errs
}

// SecretFlag names the flag --set-secret with a text, the i-th from 0, in an error.
// What stands before = may be the secret itself, or a part of it, where somebody
// has left out the name: it is shown only where it looks like the name of a
// variable, in capital letters.
func SecretFlag(text string, i int) string {
	name, _, found := strings.Cut(text, "=")
	if !found || !variables.ValidName(name) || name != strings.ToUpper(name) {
		return fmt.Sprintf("--set-secret (number %d)", i+1)
	}
	return "--set-secret " + name
}

func badName(name string) string {
	return fill.Quote(name) + " is no name of a variable, which has letters, digits and _ and does not begin with a digit"
}

// A resolver finds the values of a playbook's vars, which may refer to each
// other.
type resolver struct {
	d     *fill.Decoder
	texts map[string]*yaml.Node
	given map[string]string // from the command line
	state map[string]int    // resolving, then resolved
	path  []string          // the variables that are being resolved
}

const (
	resolving = iota + 1
	resolved
)

// resolveVars gives the decoder the values of a playbook's vars, n, which may be nil,
// and returns the names in vars.
func (l *loader) resolveVars(n *yaml.Node) (names []string) {
	d, o := &l.decoder, l.options
	d.Vars = map[string]string{
		"NAMESPACE":       cmp.Or(o.Namespace, "default"),
		"ISTIO_NAMESPACE": cmp.Or(o.IstioNamespace, "istio-system"),
	}
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		if n.Kind != yaml.AliasNode {
			d.Errorf(n, "write vars: {NAME: VALUE}", "vars: want a mapping, got %s", fill.Describe(n))
		}
		return nil
	}
	r := &resolver{d: d, texts: make(map[string]*yaml.Node), given: make(map[string]string), state: make(map[string]int)}
	for name, pair := range d.Pairs(n) {
		switch {
		case !variables.ValidName(name):
			d.Errorf(pair.Key, "", "%s", badName(name))
			continue
		case predefined[name] != "":
			d.Errorf(pair.Key, "choose another name; "+predefined[name]+" says its value", "the variable %s is there in each playbook", name)
			continue
		case pair.Value.Kind == yaml.AliasNode: // parse told it
		case pair.Value.Kind != yaml.ScalarNode || fill.IsNull(pair.Value):
			d.Errorf(pair.Value, "write its value, '' for an empty text", "vars.%s: want a text, got %s", name, fill.Describe(pair.Value))
		default:
			r.texts[name] = pair.Value
		}
		names = append(names, name)
		d.Vars[name] = ""
	}
	for _, s := range l.settings {
		r.given[s.name] = s.value
	}
	for _, name := range names {
		r.resolve(name)
	}
	return names
}

// resolve finds the value of a variable. The playbook's own text for it is
// judged also where the command line gives the value.
func (r *resolver) resolve(name string) {
	text := r.texts[name]
	if text == nil || r.state[name] == resolved {
		return
	}
	if r.state[name] == resolving {
		cycle := append(slices.Clone(r.path[slices.Index(r.path, name):]), name)
		r.d.Errorf(text, "", "variables in a cycle: %s", strings.Join(cycle, " → "))
		return
	}
	r.state[name] = resolving
	r.path = append(r.path, name)
	refs, err := variables.Refs(text.Value)
	for _, ref := range refs {
		if r.state[ref.Name] != resolved {
			r.resolve(ref.Name)
		}
	}
	r.path = r.path[:len(r.path)-1]
	r.state[name] = resolved

	value := ""
	if err == nil {
		value, err = variables.Expand(text.Value, r.d.Lookup)
	}
	r.d.Place(text, err, 0)
	if given, ok := r.given[name]; ok {
		value = given
	}
	r.d.Vars[name] = value
}
