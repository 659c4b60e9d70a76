package playbooks

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/steps"
	"github.com/egressplay/egressplay/variables"
)

// A step is a step as it is written, its variables not yet replaced.
type step struct {
	Title string `yaml:"title,required"`
	// Text says in Markdown what the step is for.
	Text   string         `yaml:"text"`
	ID     string         `yaml:"id"`
	Expect *yaml.Node     `yaml:"expect"`
	Within *time.Duration `yaml:"within"`
	// Holds is a number of tries, or a duration.
	Holds    *yaml.Node     `yaml:"holds"`
	Continue bool           `yaml:"continue"`
	CleansUp bool           `yaml:"cleansUp"`
	Timeout  *time.Duration `yaml:"timeout"`
	// ChangesNothing is why leaving the step out changes no later result. A run
	// has no use for it: the mutation tester holds the playbook to it.
	ChangesNothing string `yaml:"changesNothing"`

	index        int // from 1
	file         string
	node         *yaml.Node
	verb         string
	verbNode     *yaml.Node
	kind         steps.Kind
	action       runner.Action // nil where it could not be decoded
	expectations []expectation // those that could be decoded
	targets      []changes.Target
	reads        []cluster.Access
	needs        evidence.Needs
	holds        holds
}

// holds is how often in a row, or for how long, a step's expectations must
// hold.
type holds struct {
	times int           // at least 1
	over  time.Duration // 0 where a number is given
}

// readHolds reads how long a step's expectations must hold: a number of tries
// such as 3, or a duration such as 5s.
func (l *loader) readHolds(s *step) {
	s.holds = holds{times: 1}
	n := s.Holds
	if n == nil {
		return
	}
	const want = "holds: want a number of tries or a duration, got %s"
	if n.Kind != yaml.ScalarNode || fill.IsNull(n) {
		l.decoder.Errorf(n, "", want, fill.Describe(n))
		return
	}
	text, _, ok := l.decoder.Known(n)
	if !ok {
		return
	}
	if times, err := strconv.Atoi(text); err == nil {
		if s.holds.times = times; times < 1 || times > 100 {
			l.decoder.Errorf(n, "", "holds: want 1 to 100, got %d", times)
		}
		return
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		l.decoder.Errorf(n, "write 3 for three tries in a row, or 5s for as long", want, fill.Quote(text))
	case d <= 0:
		l.decoder.Errorf(n, "", "holds: want more than 0s")
	}
	s.holds = holds{times: 1, over: d}
}

// ordinary is the hint for an expectation that expects nothing in particular.
const ordinary = "remove it: that the step succeeds is always expected"

// maxErrors is after how many mistakes no further step is looked at.
const maxErrors = 1000

// An expectation is what a step states under expect.
type expectation struct {
	key   string
	node  *yaml.Node
	value runner.Expectation
}

// readSteps reads the steps. What they do is judged when it is known of all of
// them which variables they set.
func (l *loader) readSteps(read readFunc) {
	if l.header.Steps == nil || l.header.Steps.Kind != yaml.SequenceNode {
		return
	}
	l.setBy = make(map[string]int)
	for i, n := range l.header.Steps.Content {
		if len(l.decoder.Errs) > maxErrors {
			l.decoder.Errorf(n, "", "more than %d mistakes: what follows was not looked at", maxErrors)
			return
		}
		s := l.readStep(i+1, n)
		l.readAction(s, read)
		l.readExpectations(s)
		l.steps = append(l.steps, s)
	}
	ids := make(map[string]int)
	for _, s := range l.steps {
		l.check(s, ids)
		l.try(s)
	}
}

// readStep reads a step up to its verb.
func (l *loader) readStep(index int, n *yaml.Node) *step {
	s := &step{index: index, file: l.decoder.File, node: n}
	l.decoder.Root = fmt.Sprintf("step %d", index)
	if n.Kind != yaml.MappingNode {
		if n.Kind != yaml.AliasNode {
			l.decoder.Errorf(n, "a step has a title and a verb such as exec", "%s: want a mapping, got %s", l.decoder.Root, fill.Describe(n))
		}
		return s
	}
	verbs := slices.Sorted(maps.Keys(steps.Kinds))
	var found []string
	var second *yaml.Node
	seen := l.decoder.Struct(n, s, &fill.Others{Keys: verbs, Take: func(verb string, p fill.Pair) {
		if found = append(found, verb); len(found) > 1 {
			second = cmp.Or(second, p.Key)
			return
		}
		s.verb, s.verbNode, s.kind = verb, p.Value, steps.Kinds[verb]
		s.action = s.kind.New()
	}})
	l.readHolds(s)
	switch {
	case len(found) > 1:
		l.decoder.Errorf(second, "make each a step of its own", "%s has %d verbs: %s", l.decoder.Root, len(found), strings.Join(found, ", "))
	case !slices.ContainsFunc(verbs, func(verb string) bool { return seen[verb] }):
		l.decoder.Errorf(n, "write one of "+strings.Join(verbs, ", "), "%s has no verb", l.decoder.Root)
	}
	return s
}

// readAction reads what a step does.
func (l *loader) readAction(s *step, read readFunc) {
	if s.action == nil {
		return
	}
	before := len(l.decoder.Errs)
	l.decoder.Fill(s.verbNode, s.action, s.verb)
	if d, ok := s.action.(steps.Definer); ok {
		l.readDefined(s, d.Defines())
	}
	if d, ok := s.action.(steps.Defaulter); ok {
		d.SetDefaults(l.defaults.Defaults)
	}
	if r, ok := s.action.(steps.FileReader); ok && len(l.decoder.Errs) == before {
		l.decoder.Place(s.verbNode, r.ReadFiles(func(path string) ([]byte, string, error) { return l.readFile(path, read) }), 0)
	}
	if len(l.decoder.Errs) > before {
		s.action = nil
	}
}

// readFile reads a file that a step names. Its path may have variables that are
// known before the run.
func (l *loader) readFile(path string, read readFunc) (text []byte, at string, err error) {
	name, err := variables.Expand(path, l.decoder.Lookup)
	if undefined, ok := errors.AsType[*variables.UndefinedError](err); ok {
		return nil, "", &runner.FieldError{
			Err:  fmt.Errorf("the file is read before the run, when the variable %s is not known", undefined.Name),
			Hint: "give it a value under vars",
		}
	}
	if err != nil {
		return nil, "", err
	}
	return read(name)
}

// readDefined notes the variables that a step sets.
func (l *loader) readDefined(s *step, names []string) {
	keyOf := func(name string) *yaml.Node {
		for i := 0; s.verbNode.Kind == yaml.MappingNode && i < len(s.verbNode.Content); i += 2 {
			if key := s.verbNode.Content[i]; key.Value == name {
				return key
			}
		}
		return s.verbNode
	}
	for _, name := range names {
		if strings.Contains(name, "${") {
			continue // told with its key
		}
		if !variables.ValidName(name) {
			l.decoder.Errorf(keyOf(name), "", "%s", badName(name))
			continue
		}
		if _, known := l.decoder.Vars[name]; known {
			where := "under vars"
			if predefined[name] != "" {
				where = "in each playbook"
			}
			l.decoder.Errorf(keyOf(name), "choose another name", "the variable %s is there already, %s", name, where)
			continue
		}
		if l.setBy[name] == 0 {
			l.setBy[name] = s.index
		}
	}
}

// readExpectations reads what a step states under expect.
func (l *loader) readExpectations(s *step) {
	switch n := s.Expect; {
	case n == nil || s.verb == "" || n.Kind == yaml.AliasNode:
		return
	case n.Kind != yaml.MappingNode:
		l.decoder.Errorf(n, "", "expect: want a mapping, got %s", fill.Describe(n))
		return
	case len(n.Content) == 0:
		l.decoder.Errorf(n, ordinary, "expect is empty")
		return
	case len(s.kind.Expects) == 0:
		l.decoder.Errorf(n, ordinary, "nothing can be expected of a step with %s", s.verb)
		return
	}
	for key, pair := range l.decoder.Pairs(s.Expect) {
		if !slices.Contains(s.kind.Expects, key) {
			known := strings.Join(s.kind.Expects, ", ")
			if _, ok := expect.Kinds[key]; ok {
				l.decoder.Errorf(pair.Key, "available are "+known, "%s is not available for %s", key, s.verb)
			} else {
				l.decoder.Errorf(pair.Key, cmp.Or(fill.DidYouMean(key, s.kind.Expects), "known are "+known), "unknown key %s in expect", fill.Quote(key))
			}
			continue
		}
		e := expectation{key: key, node: pair.Value, value: expect.Kinds[key]()}
		before := len(l.decoder.Errs)
		l.decoder.Fill(e.node, e.value, key)
		if len(l.decoder.Errs) == before {
			s.expectations = append(s.expectations, e)
		}
	}
}

// check judges what a step says beside its action and its expectations. ids
// has the lines of the ids before it.
func (l *loader) check(s *step, ids map[string]int) {
	var errs []error
	fail := func(field, hint, format string, args ...any) {
		errs = append(errs, &runner.FieldError{Field: []string{field}, Err: fmt.Errorf(format, args...), Hint: hint})
	}
	errs = append(errs, oneLine(s.node), positive("within", s.Within), positive("timeout", s.Timeout))
	if stated(s.node, "id") {
		switch n, _ := fill.Find(s.node, []string{"id"}); {
		case !namePattern.MatchString(s.ID):
			fail("id", "write small letters, digits and -, as in blocked-host", "id: %s is no id", fill.Quote(s.ID))
		case ids[s.ID] > 0:
			fail("id", "choose another one", "duplicate id %s: the step in line %d has it", fill.Quote(s.ID), ids[s.ID])
		default:
			ids[s.ID] = n.Line
		}
	}
	if stated(s.node, "changesNothing") && strings.TrimSpace(s.ChangesNothing) == "" {
		fail("changesNothing", "write why no later step needs this one", "changesNothing is empty")
	}
	l.decoder.Place(s.node, errors.Join(errs...), s.index)
}

// try puts the variables into a step as far as they are known, and judges the
// result as it will be judged when the step begins.
func (l *loader) try(s *step) {
	lookup := func(name string) (string, bool) {
		if value, known := l.decoder.Lookup(name); known {
			return value, true
		}
		step := l.setBy[name]
		return "${" + name + "}", 0 < step && step < s.index
	}
	needs := make([]evidence.Needs, len(s.expectations))
	for i, e := range s.expectations {
		value, err := fill.Expand(e.value, lookup)
		l.decoder.Place(e.node, err, s.index)
		if err == nil {
			needs[i] = value.Needs()
		}
	}
	if s.action == nil {
		return
	}
	action, err := fill.Expand(s.action, lookup)
	for _, err := range fill.Flatten(err) {
		l.decoder.Place(l.origin(s, err), err, s.index)
	}
	if err != nil {
		return
	}
	if limited, ok := action.(steps.Limited); ok {
		for i, e := range s.expectations {
			if err := limited.CannotShow(needs[i]); err != nil {
				for _, err := range fill.Flatten(err) {
					err.Err = fmt.Errorf("%s: %w", e.key, err.Err)
					l.decoder.Place(e.node, err, s.index)
				}
			}
		}
	}
	if r, ok := action.(steps.Referrer); ok {
		for _, ref := range r.Refs() {
			if _, set := lookup(ref.Name); !set {
				err := &variables.UndefinedError{Ref: variables.Ref{Name: ref.Name}}
				l.decoder.Place(s.verbNode, &runner.FieldError{Field: ref.Field, Err: err}, s.index)
			}
		}
	}
	if r, ok := action.(steps.Reader); ok {
		s.reads = r.Reads()
	}
	for _, n := range needs {
		s.needs = s.needs.And(n)
	}
	if c, ok := action.(steps.Changer); ok {
		s.targets = c.Targets()
		l.checkDeletions(s)
	}
	if (s.holds.times > 1 || s.holds.over > 0) && !action.Repeats() {
		l.decoder.Place(s.node, &runner.FieldError{
			Field: []string{"holds"},
			Err:   fmt.Errorf("holds: a step with %s is done once, it cannot hold for longer", s.verb),
			Hint:  "write holds at the step that looks at what came of it",
		}, s.index)
	}
	if s.ChangesNothing != "" && action.Repeats() {
		l.decoder.Place(s.node, &runner.FieldError{
			Field: []string{"changesNothing"},
			Err:   fmt.Errorf("changesNothing: a step that looks, such as this one with %s, changes nothing in any case", s.verb),
			Hint:  "remove it",
		}, s.index)
	}
}

// checkDeletions tells of what a step would delete for good without saying so:
// what cannot be put back, and what no step before it has made.
func (l *loader) checkDeletions(s *step) {
	var earlier []changes.Target
	for _, before := range l.steps[:s.index-1] {
		earlier = append(earlier, before.targets...)
	}
	for _, t := range s.targets {
		why := changes.WhyForGood(t.Ref.Kind)
		// Of a pod it shows only in the cluster whether its controller makes another.
		if !t.Deletes || t.ForGood || why == "" || changes.IsPod(t.Ref.Kind) || slices.ContainsFunc(earlier, func(e changes.Target) bool {
			return e.Makes && e.Ref.Name == t.Ref.Name
		}) {
			continue
		}
		err := &changes.ForGoodError{Ref: t.Ref, Why: why}
		l.decoder.Place(s.verbNode, &runner.FieldError{Field: t.Field, Err: err, Hint: err.Hint()}, s.index)
	}
}

// origin returns the node that an error about a step's action is about: the
// action, or the defaults that it took a value from.
func (l *loader) origin(s *step, err *runner.FieldError) *yaml.Node {
	names := err.Field
	var from func(n *yaml.Node) bool
	if undefined, ok := errors.AsType[*variables.UndefinedError](err.Err); ok {
		from = func(n *yaml.Node) bool { return strings.Contains(n.Value, "${"+undefined.Name+"}") }
	} else if _, ok := errors.AsType[*variables.SyntaxError](err.Err); ok {
		from = func(n *yaml.Node) bool { _, err := variables.Refs(n.Value); return err != nil }
	}
	defaults := l.header.Defaults
	switch {
	case defaults == nil:
	case from != nil && !within(s.verbNode, from) && within(defaults, from):
		return defaults
	case from == nil && len(names) > 0:
		_, inStep := fill.Find(s.verbNode, names[:1])
		if _, inDefaults := fill.Find(defaults, names[:1]); !inStep && inDefaults {
			return defaults
		}
	}
	return s.verbNode
}

// within reports whether f holds of a node in n.
func within(n *yaml.Node, f func(*yaml.Node) bool) bool {
	return f(n) || slices.ContainsFunc(n.Content, func(n *yaml.Node) bool { return within(n, f) })
}

// bindable returns the step as the runner takes it.
func (s *step) bindable(file string, within *time.Duration) runner.Step {
	role := runner.Acts
	if looker, ok := s.action.(steps.Looker); ok {
		role = looker.Role()
	}
	return runner.Step{
		Role:     role,
		StepInfo: runner.StepInfo{Index: s.index, ID: s.ID, Title: s.Title, Text: strings.TrimSpace(s.Text), Kind: s.verb, File: file, Line: s.node.Line},
		Within:   cmp.Or(first(s.Within, within), s.kind.Within, defaultWithin),
		Holds:    max(s.holds.times, 1),
		HoldsFor: s.holds.over,
		Continue: s.Continue,
		CleansUp: s.CleansUp,
		Timeout:  first(s.Timeout),
		Targets:  s.targets,
		Reads:    s.reads,
		Needs:    s.needs,
		Bind:     s.bind,
	}
}

// bind is a step's [runner.Step.Bind].
func (s *step) bind(lookup runner.Lookup) (runner.Action, []runner.Check, error) {
	action, err := fill.Expand(s.action, lookup)
	err = named(s.verb, err)
	var checks []runner.Check
	for _, key := range slices.Sorted(maps.Keys(s.kind.Implied)) {
		stated := slices.ContainsFunc(s.expectations, func(e expectation) bool { return e.key == key })
		if !stated {
			checks = append(checks, runner.Check{Key: key, Expectation: s.kind.Implied[key]()})
		}
	}
	for _, e := range s.expectations {
		value, expandErr := fill.Expand(e.value, lookup)
		err = errors.Join(err, named(e.key, expandErr))
		checks = append(checks, runner.Check{Key: e.key, Expectation: value, Position: func(field []string) evidence.Position {
			return s.position(e.node, field)
		}})
	}
	if err != nil {
		return nil, nil, err
	}
	return action, checks, nil
}

// position returns where a field below a node is. In a text of several lines a
// number is the index of a line.
func (s *step) position(n *yaml.Node, field []string) evidence.Position {
	at, _ := fill.Find(n, field)
	p := evidence.Position{File: s.file, Line: at.Line, Column: at.Column}
	if len(field) > 0 && at.Kind == yaml.ScalarNode && at.Style&yaml.LiteralStyle != 0 {
		if i, err := strconv.Atoi(field[len(field)-1]); err == nil {
			p.Line, p.Column = at.Line+1+i, 1
		}
	}
	return p
}

// named puts the path of the field before each of the errors that err joins.
func named(key string, err error) error {
	var errs []error
	for _, e := range fill.Flatten(err) {
		errs = append(errs, fmt.Errorf("%s: %w", strings.Join(append([]string{key}, e.Field...), "."), e.Err))
	}
	return errors.Join(errs...)
}
