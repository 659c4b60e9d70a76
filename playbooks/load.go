package playbooks

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/steps"
)

// What a playbook says of itself.
const (
	apiVersion = "egressplay/v1"
	kind       = "Playbook"
)

// defaultWithin is how long expectations may take where nothing says.
const defaultWithin = 30 * time.Second

// Options are what the command line says that playbooks depend on.
type Options struct {
	// Namespace and IstioNamespace are the values of the variables NAMESPACE
	// and ISTIO_NAMESPACE, "default" and "istio-system" where they are empty.
	Namespace, IstioNamespace string
	// Set overrides variables of the playbooks, NAME=VALUE each; of two for
	// one name the last counts.
	Set []string
	// SetSecret is as Set and counts behind it. That no text shows the values is
	// the caller's business; no error about the settings themselves does.
	SetSecret []string

	rules bool // have the objects that are applied held to the rules of lint

	// Stdin returns the playbook that the argument - means; nil where it means none.
	Stdin func() ([]byte, error)
	// Readers read the files that are no YAML, by the ending of their names, such as
	// ".md".
	Readers map[string]Reader
}

// Load reads the playbooks that args name, as [Find] finds them, and checks
// all that can be checked without a cluster. The error is an [Errors] with
// all that is wrong in all of them.
func Load(args []string, o Options) ([]*runner.Playbook, error) {
	return load(builtin, args, o)
}

// Lint is [Load], and also holds the objects that the playbooks apply to the rules of
// package lint.
func Lint(args []string, o Options) ([]*runner.Playbook, error) {
	o.rules = true
	return load(builtin, args, o)
}

func load(builtin fs.FS, args []string, o Options) ([]*runner.Playbook, error) {
	settings, errs := parseSettings(o.Set, o.SetSecret)
	var playbooks []*runner.Playbook
	var names []string // of the variables in all of them
	for _, arg := range args {
		sources, findErrs := findIn(builtin, arg, o.Readers)
		if arg == "-" && o.Stdin != nil {
			sources, findErrs = fromStdin(o.Stdin)
		}
		errs = append(errs, findErrs...)
		for _, s := range sources {
			l := &loader{decoder: fill.Decoder{File: s.File}, source: s, options: o, settings: settings}
			playbooks = append(playbooks, l.playbook(s.reader(builtin)))
			names = append(names, l.names...)
			errs = append(errs, l.decoder.Errs.Sorted()...)
		}
	}
	if len(args) == 0 {
		errs = append(errs, &Error{File: "egressplay", Msg: "no playbook is named", Hint: "egressplay list shows the built-in playbooks"})
	}
	if len(errs) == 0 {
		errs = unusedSettings(settings, names)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return playbooks, nil
}

// unusedSettings tells the settings that are for no variable.
func unusedSettings(settings []setting, names []string) Errors {
	var errs Errors
	slices.Sort(names)
	names = slices.Compact(names)
	for _, s := range settings {
		if slices.Contains(names, s.name) {
			continue
		}
		hint := fill.DidYouMean(s.name, names)
		switch {
		case hint == "" && len(names) == 0:
			hint = "none has any vars"
		case hint == "":
			hint = "known are " + strings.Join(names, ", ")
		}
		errs = append(errs, &Error{File: s.flag, Msg: "no playbook that is to be run has this variable under vars", Hint: hint})
	}
	return errs
}

// A loader makes a playbook of one source.
type loader struct {
	decoder  fill.Decoder
	source   Source
	options  Options
	settings []setting

	names    []string // of the variables in vars
	header   header
	defaults defaults
	steps    []*step
	setBy    map[string]int // the first step that sets a variable, from 1
}

// header is what a playbook says beside its steps.
type header struct {
	APIVersion  *yaml.Node     `yaml:"apiVersion"`
	Kind        *yaml.Node     `yaml:"kind"`
	Name        string         `yaml:"name,required"`
	Title       string         `yaml:"title"`
	Text        string         `yaml:"text"`
	Description string         `yaml:"description"` // an older name of text
	Source      string         `yaml:"source"`
	Tags        []string       `yaml:"tags"`
	Topic       int            `yaml:"topic"`
	Requires    []string       `yaml:"requires"`
	Internet    *yaml.Node     `yaml:"internet"`
	Timeout     *time.Duration `yaml:"timeout"`
	Vars        *yaml.Node     `yaml:"vars"`
	Defaults    *yaml.Node     `yaml:"defaults"`
	Steps       *yaml.Node     `yaml:"steps,required"`
}

// defaults are what a playbook's defaults give to steps.
type defaults struct {
	steps.Defaults
	Within *time.Duration `yaml:"within"`
}

// playbook returns the source's playbook. It is of use only where l.decoder.Errs stays
// empty.
func (l *loader) playbook(read readFunc) *runner.Playbook {
	root, errs := l.read()
	l.decoder.Errs = errs
	if root == nil || !l.isPlaybook(root) {
		return nil
	}
	l.decoder.Lines = strings.Split(strings.TrimPrefix(string(l.source.Data), bom), "\n")
	// The variables come first: a number in the header may be one.
	vars, found := fill.Find(root, []string{"vars"})
	if !found {
		vars = nil
	}
	l.names = l.resolveVars(vars)
	l.decoder.Root = "the playbook"
	l.decoder.Struct(root, &l.header, nil)
	l.decoder.Place(root, l.header.check(root), 0)
	l.checkInternet()
	if n := l.header.Defaults; n != nil {
		l.decoder.Fill(n, &l.defaults, "defaults")
		l.decoder.Place(n, positive("within", l.defaults.Within), 0)
	}
	l.readSteps(read)
	l.checkDefaults()
	if l.decoder.Spent() {
		at, _ := fill.Find(root, []string{"vars"})
		l.decoder.Errorf(at, "", "vars: where they stand, the values of the variables are longer than %d MiB together", fill.MaxValues>>20)
	}
	l.decoder.ExplainUnset(l.setBy)
	if l.options.rules {
		l.checkObjects()
	}
	return l.result()
}

// read returns the nodes of the source.
func (l *loader) read() (*yaml.Node, Errors) {
	reader := l.options.Readers[filepath.Ext(l.source.File)]
	if reader == nil {
		return parse(l.source)
	}
	root, errs := reader(l.source)
	if root == nil {
		return nil, errs
	}
	p := &parser{file: l.source.File, errs: errs}
	p.checkNodes(root, 1)
	return root, p.errs
}

// checkDefaults judges defaults that no step may need.
func (l *loader) checkDefaults() {
	if l.header.Defaults == nil {
		return
	}
	_, err := fill.Expand(l.defaults.Defaults, func(name string) (string, bool) {
		value, known := l.decoder.Lookup(name)
		return value, known || l.setBy[name] > 0
	})
	l.decoder.Place(l.header.Defaults, err, 0)
}

// isPlaybook reports whether root is what this version of egressplay reads. If
// not, its other keys are not worth looking at.
func (l *loader) isPlaybook(root *yaml.Node) bool {
	missing, unknown := 0, 0
	for _, want := range []struct{ key, value string }{{"apiVersion", apiVersion}, {"kind", kind}} {
		n, found := fill.Find(root, []string{want.key})
		hint := "write " + want.key + ": " + want.value
		switch {
		case !found:
			missing++
			l.decoder.Errorf(n, hint, "the playbook has no %s", want.key)
		case n.Kind != yaml.ScalarNode:
			unknown++
			l.decoder.Errorf(n, hint, "unknown %s: %s", want.key, fill.Describe(n))
		case n.Value != want.value:
			unknown++
			l.decoder.Errorf(n, hint, "unknown %s: %s", want.key, fill.Quote(n.Value))
		}
	}
	return missing < 2 && unknown == 0
}

// namePattern matches the names of playbooks and the ids of steps.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// check returns what is wrong with the header's values.
func (h *header) check(root *yaml.Node) error {
	var errs []error
	fail := func(field, hint, format string, args ...any) {
		errs = append(errs, &runner.FieldError{Field: strings.Split(field, "."), Err: fmt.Errorf(format, args...), Hint: hint})
	}
	if stated(root, "name") && !namePattern.MatchString(h.Name) {
		fail("name", "write small letters, digits and -, as in tls-origination", "name: %s is no name of a playbook", fill.Quote(h.Name))
	}
	errs = append(errs, oneLine(root), positive("timeout", h.Timeout))
	if h.Topic < 0 || h.Topic > 7 {
		fail("topic", "1 to 7 are the topics of Istio's egress tutorial, 0 is something else", "topic: want 0 to 7, got %d", h.Topic)
	}
	if h.Text != "" && h.Description != "" {
		fail("description", "keep text", "description is an older name of text, and both are there")
	}
	if u, err := url.Parse(h.Source); h.Source != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		fail("source", "write the URL of the page that the playbook follows, such as https://istio.io/latest/docs/", "source: %s is no URL of a page", fill.Quote(h.Source))
	}
	for i, tag := range h.Tags {
		if !namePattern.MatchString(tag) {
			fail(fmt.Sprintf("tags.%d", i), "write small letters, digits and -, as in egress-gateway", "tags: %s is no tag", fill.Quote(tag))
		}
	}
	for i, r := range h.Requires {
		if !slices.Contains(mesh.Requirements, r) {
			hint := cmp.Or(fill.DidYouMean(r, mesh.Requirements), "known are "+strings.Join(mesh.Requirements, ", "))
			fail(fmt.Sprintf("requires.%d", i), hint, "requires: unknown requirement %s", fill.Quote(r))
		}
	}
	if n := h.Steps; n != nil && n.Kind == yaml.SequenceNode && len(n.Content) == 0 || n != nil && fill.IsNull(n) {
		fail("steps", "a step has a title and a verb such as exec", "no steps")
	} else if n != nil && n.Kind != yaml.SequenceNode {
		fail("steps", "", "steps: want a list, got %s", fill.Describe(n))
	}
	return errors.Join(errs...)
}

// stated reports whether a mapping has a text at a key.
func stated(n *yaml.Node, key string) bool {
	value, found := fill.Find(n, []string{key})
	return n.Kind == yaml.MappingNode && found && value.Kind == yaml.ScalarNode && !fill.IsNull(value)
}

// oneLine returns what keeps the title of n from being one line of plain text.
func oneLine(n *yaml.Node) error {
	if !stated(n, "title") {
		return nil
	}
	title, _ := fill.Find(n, []string{"title"})
	var msg string
	switch {
	case strings.TrimSpace(title.Value) == "":
		msg = "title is empty"
	case strings.Contains(title.Value, "${"):
		msg = "title: a title holds no variables, so ${ is not replaced in it"
	case strings.ContainsFunc(title.Value, unicode.IsControl):
		msg = "title: a title is one line without control characters"
	default:
		return nil
	}
	return &runner.FieldError{Field: []string{"title"}, Err: errors.New(msg)}
}

// positive refuses a duration of no length.
func positive(field string, d *time.Duration) error {
	if d == nil || *d > 0 {
		return nil
	}
	return &runner.FieldError{Field: []string{field}, Err: fmt.Errorf("%s: want more than 0s", field)}
}

// result returns the playbook of what was read.
func (l *loader) result() *runner.Playbook {
	p := &runner.Playbook{
		Name:     l.header.Name,
		Title:    cmp.Or(l.header.Title, l.header.Name),
		Text:     strings.TrimSpace(cmp.Or(l.header.Text, l.header.Description)),
		Source:   l.header.Source,
		Tags:     l.header.Tags,
		Topic:    l.header.Topic,
		File:     l.source.File,
		Requires: l.header.Requires,
		Timeout:  first(l.header.Timeout),
		Vars:     l.decoder.Vars,
	}
	if l.header.Internet != nil {
		p.Internet = string(l.source.Data)
	}
	for _, s := range l.steps {
		p.Steps = append(p.Steps, s.bindable(l.source.File, l.defaults.Within))
	}
	return p
}

// first returns the first duration that is given, 0 where none is.
func first(durations ...*time.Duration) time.Duration {
	for _, d := range durations {
		if d != nil {
			return *d
		}
	}
	return 0
}
