package playbooks

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/docs"
	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/steps"
)

// An Explanation is what docs/playbooks.md says of a key, with the keys below it as
// the types have them.
type Explanation struct {
	Path  string // such as exec.expect.log
	Wants string // what it takes, such as "a mapping or a text"
	// Text is what the reference says, in Markdown, and Example is YAML; "" where it
	// has none.
	Text, Example string
	Keys          []ExplainedKey
}

// An ExplainedKey is a key of a mapping.
type ExplainedKey struct {
	Name, Wants string
	Required    bool
	// Text is what the reference says of it in one line; "" where it says nothing.
	Text string
}

// Explain explains the key at a path: of the playbook (vars), of a step
// (step.within), of a verb (exec.in), of what is expected (expect.log.status, or
// exec.expect.log.status). "" is the playbook itself. The error is an [*Error].
func Explain(path string) (*Explanation, error) {
	if path == "" {
		return explained("", reflect.TypeFor[header](), "", "The header"), nil
	}
	keys := strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(path), ".")
	if keys[0] == "playbook" && len(keys) > 1 {
		keys = keys[1:]
	}
	e, err := explain(keys)
	if err != nil {
		err.File = path
		return nil, err
	}
	e.Path = path
	return e, nil
}

func explain(keys []string) (*Explanation, *Error) {
	first, rest := keys[0], keys[1:]
	kind, isVerb := steps.Kinds[first]
	switch {
	case first == "playbook":
		return explained("", reflect.TypeFor[header](), "", "The header"), nil
	case (first == "step" || first == "steps") && len(rest) == 0:
		e := explained("", reflect.TypeFor[step](), row("The header", "steps"), "A step")
		for _, verb := range slices.Sorted(maps.Keys(steps.Kinds)) {
			e.Keys = append(e.Keys, ExplainedKey{Name: verb, Wants: fill.Wants(reflect.TypeOf(steps.Kinds[verb].New()).Elem()), Text: verbSummary(verb)})
		}
		return e, nil
	case first == "step" || first == "steps":
		if _, isVerb := steps.Kinds[rest[0]]; isVerb || rest[0] == "expect" {
			return explain(rest)
		}
		return inTable(rest, reflect.TypeFor[step](), "A step")
	case first == "expect":
		return explainExpect(rest, slices.Sorted(maps.Keys(expect.Kinds)))
	case isVerb && len(rest) > 0 && rest[0] == "expect" && len(kind.Expects) > 0:
		return explainExpect(rest[1:], kind.Expects)
	case isVerb:
		text, example := verbText(first)
		e, err := walk(rest, reflect.TypeOf(kind.New()).Elem(), text, example)
		if err != nil && len(kind.Expects) > 0 {
			// expect stands beside the verb, and is explained below it too.
			err.Hint = cmp.Or(fill.DidYouMean(rest[0], []string{"expect"}), err.Hint)
		}
		return e, err
	case first == "defaults":
		return walk(rest, reflect.TypeFor[defaults](), row("The header", "defaults"), "")
	}
	if slices.Contains(fill.Keys(fill.Fields(reflect.TypeFor[header]())), first) {
		return inTable(keys, reflect.TypeFor[header](), "The header")
	}
	if slices.Contains(fill.Keys(fill.Fields(reflect.TypeFor[step]())), first) {
		return inTable(keys, reflect.TypeFor[step](), "A step")
	}
	return nil, unknownPath(first, ExplainedPaths())
}

// ExplainedPaths returns the first keys of all paths, sorted.
func ExplainedPaths() []string {
	all := append(fill.Keys(fill.Fields(reflect.TypeFor[header]())), fill.Keys(fill.Fields(reflect.TypeFor[step]()))...)
	all = append(all, "playbook", "step")
	all = slices.AppendSeq(all, maps.Keys(steps.Kinds))
	slices.Sort(all)
	return slices.Compact(all)
}

// inTable explains a key of a table in the reference.
func inTable(keys []string, t reflect.Type, heading string) (*Explanation, *Error) {
	for _, f := range fill.Fields(t) {
		if f.Key == keys[0] {
			e, err := walk(keys[1:], t.FieldByIndex(f.Index).Type, row(heading, f.Key), "")
			if err == nil && len(keys) == 1 {
				e.Wants = wantsOf(t, f)
			}
			return e, err
		}
	}
	return nil, unknownPath(keys[0], fill.Keys(fill.Fields(t)))
}

// explainExpect explains what can be expected.
func explainExpect(keys []string, known []string) (*Explanation, *Error) {
	const heading = "What is expected"
	if len(keys) == 0 {
		e := &Explanation{Wants: "a mapping", Text: section(heading)}
		for _, key := range known {
			e.Keys = append(e.Keys, ExplainedKey{Name: key, Wants: fill.Wants(reflect.TypeOf(expect.Kinds[key]()).Elem()), Text: firstSentence(row(heading, key))})
		}
		return e, nil
	}
	if !slices.Contains(known, keys[0]) {
		return nil, unknownPath(keys[0], known)
	}
	t := reflect.TypeOf(expect.Kinds[keys[0]]()).Elem()
	text := row(heading, keys[0])
	for _, passage := range []struct {
		name string
		of   bool
	}{
		{"A path", keys[0] == "path"}, {"A counter", keys[0] == "counter"}, {"A text", t.ConvertibleTo(reflect.TypeFor[expect.Text]())},
	} {
		if passage.of {
			text += "\n\n" + bold(passage.name)
		}
	}
	return walk(keys[1:], t, text, "")
}

// walk explains what keys lead to in a type.
func walk(keys []string, t reflect.Type, text, example string) (*Explanation, *Error) {
	for len(keys) > 0 {
		inner := mappingOf(t)
		fields := fieldsOfMapping(inner)
		i := slices.IndexFunc(fields, func(f fill.Field) bool { return f.Key == keys[0] })
		switch {
		case i >= 0:
			t = inner.FieldByIndex(fields[i].Index).Type
			text, example = cmp.Or(comment(example, keys[0]), quotedIn(text, keys[0])), ""
		case inner != t && inner.Kind() == reflect.Struct && mapOf(t) && len(keys) > 1:
			// the name of a variable or of a header
		case t.Kind() == reflect.Slice && strings.Trim(keys[0], "0123456789") == "":
			// an item of a list
		default:
			return nil, unknownPath(keys[0], fill.Keys(fields))
		}
		keys = keys[1:]
	}
	e := &Explanation{Wants: fill.Wants(t), Text: text, Example: example}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if mappingOf(t) == reflect.TypeFor[expect.Value]() {
		e.Text = strings.TrimSpace(e.Text + "\n\n" + bold("A value"))
	}
	for _, f := range fieldsOfMapping(mappingOf(t)) {
		e.Keys = append(e.Keys, ExplainedKey{
			Name: f.Key, Wants: fill.Wants(mappingOf(t).FieldByIndex(f.Index).Type), Required: f.Required, Text: comment(example, f.Key),
		})
	}
	return e, nil
}

// mappingOf returns the struct that a type is, points to, or has as its items.
func mappingOf(t reflect.Type) reflect.Type {
	for !fill.IsText(t) && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map) && t != fill.NodeType {
		t = t.Elem()
	}
	return t
}

func mapOf(t reflect.Type) bool {
	return t.Kind() == reflect.Map || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Map
}

func fieldsOfMapping(t reflect.Type) []fill.Field {
	if t.Kind() != reflect.Struct || fill.IsText(t) {
		return nil
	}
	return fill.Fields(t)
}

// wantsOf names what a field takes, also one that the loader decodes by itself.
func wantsOf(t reflect.Type, f fill.Field) string {
	typ := t.FieldByIndex(f.Index).Type
	if typ != fill.NodeType {
		return fill.Wants(typ)
	}
	switch f.Key {
	case "apiVersion", "kind":
		return "a text"
	case "steps", "internet":
		return "a list"
	case "holds":
		return "a whole number or a duration such as 5s"
	}
	return "a mapping"
}

// explained explains a struct whose keys stand in a table of the reference.
func explained(path string, t reflect.Type, text, heading string) *Explanation {
	e := &Explanation{Path: path, Wants: "a mapping", Text: text}
	for _, f := range fill.Fields(t) {
		what := row(heading, f.Key)
		e.Keys = append(e.Keys, ExplainedKey{
			Name: f.Key, Wants: wantsOf(t, f), Text: firstSentence(what),
			Required: f.Required || strings.Contains(what, "required"),
		})
	}
	return e
}

func unknownPath(key string, known []string) *Error {
	slices.Sort(known)
	hint := "there is nothing below it"
	if len(known) > 0 {
		hint = cmp.Or(fill.DidYouMean(key, known), "there are "+strings.Join(known, ", "))
	}
	return &Error{Msg: fmt.Sprintf("there is no %s", fill.Quote(runner.Plain(key))), Hint: hint}
}

// section returns the first paragraphs below a heading, up to a table or code.
func section(heading string) string {
	_, text, _ := strings.Cut(docs.Playbooks, "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n| ")
	text, _, _ = strings.Cut(text, "\n```")
	return strings.TrimSpace(text)
}

// row returns what a table below a heading says of a key.
func row(heading, key string) string {
	_, text, _ := strings.Cut(docs.Playbooks, "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if strings.HasPrefix(line, "| ") && len(cells) > 1 && strings.Contains(cells[0], "`"+key+"`") {
			return strings.TrimSpace(strings.TrimSuffix(strings.Join(cells[1:], " | "), "|"))
		}
	}
	return ""
}

// verbText returns the paragraph of a verb and its example.
func verbText(verb string) (text, example string) {
	i := strings.Index(docs.Playbooks, "**`"+verb+"`**")
	if i < 0 {
		return "", ""
	}
	i = strings.LastIndex(docs.Playbooks[:i], "\n\n") + 2
	text = docs.Playbooks[i:]
	for _, end := range []string{"\n\n**`", "\n## "} {
		text, _, _ = strings.Cut(text, end)
	}
	before, rest, _ := strings.Cut(text, "```yaml\n")
	example, after, _ := strings.Cut(rest, "```")
	return strings.TrimSpace(before + "\n" + strings.TrimSpace(after)), example
}

// verbSummary returns what the reference says first of a verb, without its name.
func verbSummary(verb string) string {
	_, text, _ := strings.Cut(docs.Playbooks, "**`"+verb+"`**")
	text, _, _ = strings.Cut(text, "**`")
	text = firstSentence(text)
	return strings.TrimRight(strings.TrimSuffix(strings.TrimSpace(text), "and"), ", ")
}

// bold returns the paragraph that begins with a name in bold, with the list or table
// below it.
func bold(name string) string {
	i := strings.Index(docs.Playbooks, "**"+name+"**")
	if i < 0 {
		return ""
	}
	text, _, _ := strings.Cut(docs.Playbooks[i:], "\n```")
	paragraph, rest, _ := strings.Cut(text, "\n\n")
	if strings.HasPrefix(rest, "| ") {
		table, _, _ := strings.Cut(rest, "\n\n")
		paragraph += "\n" + table
	}
	return paragraph
}

// comment returns what the example says behind a key.
func comment(example, key string) string {
	m := regexp.MustCompile(`(?m)^\s*(?:- )?` + regexp.QuoteMeta(key) + `:[^#\n]*# (.*)$`).FindStringSubmatch(example)
	if m == nil {
		return ""
	}
	return strings.TrimSpace(m[1])
}

// quotedIn returns the sentence of a text that has a key in it; "" for none.
func quotedIn(text, key string) string {
	for sentence := range strings.SplitSeq(strings.ReplaceAll(text, "\n", " "), ". ") {
		if strings.Contains(sentence, "`"+key+"`") {
			return strings.TrimSpace(sentence)
		}
	}
	return ""
}

func firstSentence(text string) string {
	for _, end := range []string{"\n\n", ". ", ".\n"} {
		text, _, _ = strings.Cut(text, end)
	}
	return strings.TrimSuffix(strings.ReplaceAll(strings.TrimSpace(text), "\n", " "), ".")
}
