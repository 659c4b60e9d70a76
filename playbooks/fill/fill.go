// Package fill fills Go values in from YAML by the tags of their fields (package steps
// explains the tags), and tells all that is wrong, each with its place in the file. It
// knows nothing of what the values mean.
package fill

import (
	"cmp"
	"encoding"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/nearest"
	"github.com/egressplay/egressplay/variables"
)

// A Decoder fills Go values in from YAML and collects all that is wrong.
//
// A text is taken as it is written, so that 1.10 and 0755 stay what they are.
// A number, a duration, true and false may be a text with variables, if those
// are in Vars: they are judged before the run.
type Decoder struct {
	File  string            // as errors name it
	Lines []string          // of the file
	Root  string            // what is being decoded, such as "step 3"
	Vars  map[string]string // the values of the variables that are known before the run
	Errs  Errors

	put   int // the bytes of all values that Lookup has given
	unset []unset
}

// Errorf adds an error about a node. An empty hint says nothing useful.
func (d *Decoder) Errorf(n *yaml.Node, hint, format string, args ...any) {
	d.Errs = append(d.Errs, &Error{File: d.File, Line: n.Line, Column: n.Column, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// Types that are filled in each in its own way: a node as it is, a duration from a text
// such as 30s.
var (
	NodeType     = reflect.TypeFor[*yaml.Node]()
	DurationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// Fill fills in what into points to. path names it for a reader by its keys, such as
// "exec.in".
func (d *Decoder) Fill(n *yaml.Node, into any, path string) {
	d.value(n, reflect.ValueOf(into).Elem(), path)
}

// Struct fills in the struct that into points to, which is the whole of [Decoder.Root],
// from a mapping, and returns the keys that were there or were meant. Where others is
// not nil, it has further keys.
func (d *Decoder) Struct(n *yaml.Node, into any, others *Others) (seen map[string]bool) {
	return d.fields(n, reflect.ValueOf(into).Elem(), "", others)
}

// Spent reports whether the values of variables were longer than [MaxValues] together.
func (d *Decoder) Spent() bool { return d.put > MaxValues }

// value fills v in from n, which path names.
func (d *Decoder) value(n *yaml.Node, v reflect.Value, path string) {
	t := v.Type()
	if n.Kind == yaml.AliasNode {
		return // package playbooks tells it
	}
	if t == NodeType {
		v.Set(reflect.ValueOf(n))
		return
	}
	if t.Kind() == reflect.Pointer {
		before, into := len(d.Errs), reflect.New(t.Elem())
		if d.value(n, into.Elem(), path); len(d.Errs) == before {
			v.Set(into)
		}
		return
	}
	if IsNull(n) {
		hint := "write its value, or remove the key"
		if t.Kind() == reflect.String {
			hint = "write its value, '' for an empty text, or remove the key"
		}
		d.Errorf(n, hint, "%s has no value: want %s", path, Wants(t))
		return
	}
	switch scalar := n.Kind == yaml.ScalarNode; {
	case scalar && t == DurationType:
		d.duration(n, v, path)
	case scalar && IsText(t):
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
			d.Place(n, err, 0)
		}
	case scalar && t.Kind() == reflect.String:
		v.SetString(n.Value)
	case scalar && (v.CanInt() || v.CanUint() || v.CanFloat() || t.Kind() == reflect.Bool):
		d.plain(n, v, path)
	case t.Kind() == reflect.Struct && !IsText(t):
		d.short(n, v, path)
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		list := reflect.MakeSlice(t, len(n.Content), len(n.Content))
		for i, item := range n.Content {
			d.value(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
		v.Set(list)
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		values := reflect.MakeMap(t)
		for key, pair := range d.Pairs(n) {
			if strings.Contains(key, "${") {
				d.Errorf(pair.Key, "", "a key holds no variables: %s", Quote(key))
			}
			value := reflect.New(t.Elem()).Elem()
			d.value(pair.Value, value, below(path, key))
			values.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), value)
		}
		v.Set(values)
	default:
		d.wrong(n, t, path)
	}
}

// below returns the path of a key.
func below(path, key string) string {
	if path == "" {
		return Cut(key)
	}
	return path + "." + Cut(key)
}

// wrong says that n is not what the type takes.
func (d *Decoder) wrong(n *yaml.Node, t reflect.Type, path string) {
	hint := ""
	switch flow := n.Style&yaml.FlowStyle != 0; {
	case t.Kind() == reflect.Slice && n.Kind == yaml.ScalarNode:
		hint = "write [" + Cut(n.Value) + "]"
	case t.Kind() == reflect.Slice && n.Kind == yaml.MappingNode:
		hint = "begin each item with a dash, or put the items in [ ]"
	case t.Kind() == reflect.Struct && !IsText(t):
		hint = "its keys are " + strings.Join(slices.Sorted(slices.Values(Keys(Fields(t)))), ", ")
	case !flow || t.Kind() != reflect.String && !IsText(t):
	case n.Kind == yaml.MappingNode:
		hint = "a text that begins with { must be in quotes"
	case n.Kind == yaml.SequenceNode:
		hint = "a text that begins with [ must be in quotes"
	}
	d.Errorf(n, hint, "%s: want %s, got %s", cmp.Or(path, d.Root), Wants(t), Describe(n))
}

// Wants names what a type takes, for a reader who writes YAML.
func Wants(t reflect.Type) string {
	if t == DurationType {
		return "a duration such as 30s"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return Wants(t.Elem())
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		if IsText(t) {
			return "a text or a list"
		}
		return "a list"
	case reflect.Map:
		return "a mapping"
	case reflect.Struct:
		if IsText(t) {
			return "a text"
		}
		forms := []string{"a mapping"}
		for _, f := range Fields(t) {
			if f.List {
				forms = append(forms, "a list")
			}
			if inner := t.FieldByIndex(f.Index).Type; f.Scalar && inner.Kind() == reflect.Slice && !IsText(inner) {
				forms = append(forms, "a text")
			} else if f.Scalar {
				forms = append(forms, Wants(inner))
			}
		}
		slices.Sort(forms)
		return strings.Join(slices.Compact(forms), " or ")
	}
	return "a whole number"
}

// IsText reports whether a type is filled in from any text, by its own
// encoding.TextUnmarshaler.
func IsText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// short fills a struct in: from a mapping of its keys, or from the short form
// that a field's tag allows.
func (d *Decoder) short(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.MappingNode {
		d.fields(n, v, path, nil)
		return
	}
	for _, f := range Fields(v.Type()) {
		into := v.FieldByIndex(f.Index)
		switch {
		case f.List && n.Kind == yaml.SequenceNode:
		case f.Scalar && n.Kind == yaml.ScalarNode:
			if into.Kind() == reflect.Slice && !IsText(into.Type()) {
				into.Set(reflect.MakeSlice(into.Type(), 1, 1))
				into = into.Index(0)
			}
		default:
			continue
		}
		d.value(n, into, path)
		return
	}
	d.wrong(n, v.Type(), path)
}

// fields is [Decoder.Struct] for a struct at a path.
func (d *Decoder) fields(n *yaml.Node, v reflect.Value, path string, others *Others) (seen map[string]bool) {
	fields := Fields(v.Type())
	known := Keys(fields)
	if others != nil {
		known = append(known, others.Keys...)
	}
	slices.Sort(known)
	where := cmp.Or(path, d.Root)
	seen = make(map[string]bool)
	for key, pair := range d.Pairs(n) {
		seen[key] = true
		if i := slices.IndexFunc(fields, func(f Field) bool { return f.Key == key }); i >= 0 {
			d.value(pair.Value, v.FieldByIndex(fields[i].Index), below(path, key))
			continue
		}
		if others != nil && slices.Contains(others.Keys, key) {
			others.Take(key, pair)
			continue
		}
		hint := "known are " + strings.Join(known, ", ")
		if meant, ok := nearest.Name(key, known); ok {
			hint = "did you mean " + Quote(meant) + "?"
			seen[meant] = true
		} else if n.Style&yaml.FlowStyle == 0 && slices.ContainsFunc(fields, func(f Field) bool { return f.Scalar }) {
			hint += "; a text of several lines begins behind " + where + ": |"
		}
		d.Errorf(pair.Key, hint, "unknown key %s in %s", Quote(key), where)
	}
	for _, f := range fields {
		if f.Required && !seen[f.Key] {
			d.Errorf(n, "", "%s has no %s", where, f.Key)
		}
	}
	return seen
}

// Others are keys of a mapping besides those of its struct.
type Others struct {
	Keys []string
	// Take is called with each of them that is there.
	Take func(key string, p Pair)
}

// A Pair is a key of a mapping, and its value.
type Pair struct{ Key, Value *yaml.Node }

// Pairs goes through the keys and values of a mapping. It leaves out, and
// tells, keys that are no text and keys that were there before.
func (d *Decoder) Pairs(n *yaml.Node) func(yield func(string, Pair) bool) {
	return func(yield func(string, Pair) bool) {
		line := make(map[string]int)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			switch {
			case key.Kind == yaml.AliasNode, key.Tag == "!!merge": // package playbooks tells it
				continue
			case key.Kind != yaml.ScalarNode:
				d.Errorf(key, "a text that begins with { or [ must be in quotes", "a key is a text, this is %s", Describe(key))
				continue
			case IsNull(key):
				d.Errorf(key, "write KEY: VALUE", "a value without a key")
				continue
			case line[key.Value] > 0:
				d.Errorf(key, "keep one of the two", "duplicate key %s: it is in line %d already", Quote(key.Value), line[key.Value])
				continue
			}
			line[key.Value] = key.Line
			if !yield(key.Value, Pair{key, value}) {
				return
			}
		}
	}
}

var (
	wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	number      = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
)

// plain fills a number, or a yes or no, in.
func (d *Decoder) plain(n *yaml.Node, v reflect.Value, path string) {
	text, varied, ok := d.Known(n)
	if !ok {
		return
	}
	ok = varied || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	switch {
	case !ok:
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if ok = number.MatchString(text) && err == nil; ok {
			v.SetFloat(f)
		}
	case v.Kind() == reflect.Bool:
		if ok = text == "true" || text == "false"; ok {
			v.SetBool(text == "true")
		}
	case !wholeNumber.MatchString(text):
		ok = false
	case v.CanInt():
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			d.Errorf(n, "", "%s: %s is out of range", path, Cut(text))
			return
		}
		v.SetInt(i)
	default:
		u, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			d.Errorf(n, "", "%s: %s is out of range", path, Cut(text))
			return
		}
		v.SetUint(u)
	}
	if ok {
		return
	}
	got, hint := Describe(n), ""
	switch {
	case varied:
		got = Quote(text)
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		hint = "write it without quotes"
	}
	d.Errorf(n, hint, "%s: want %s, got %s", path, Wants(v.Type()), got)
}

// duration fills a duration in.
func (d *Decoder) duration(n *yaml.Node, v reflect.Value, path string) {
	text, varied, ok := d.Known(n)
	if !ok {
		return
	}
	duration, err := time.ParseDuration(text)
	switch {
	case number.MatchString(text):
		text = Cut(text)
		d.Errorf(n, "write "+text+"s for seconds, "+text+"m for minutes", "%s: want a duration such as 30s, got the number %s", path, text)
	case err != nil && varied:
		d.Errorf(n, "write a number and ms, s, m or h", "%s: want a duration such as 30s, got %s", path, Quote(text))
	case err != nil:
		d.Errorf(n, "write a number and ms, s, m or h", "%s: want a duration such as 30s, got %s", path, Describe(n))
	case duration < 0 || duration > math.MaxInt64/4:
		d.Errorf(n, "", "%s: %s is out of range", path, Cut(text))
	default:
		v.SetInt(int64(duration))
	}
}

// Known returns the text of n with the values of its variables, and whether
// it has any. It is not ok where one of them is not known before the run.
func (d *Decoder) Known(n *yaml.Node) (text string, varied, ok bool) {
	text, err := variables.Expand(n.Value, d.Lookup)
	d.Place(n, err, 0)
	return text, strings.Contains(n.Value, "${"), err == nil
}

// Lookup returns the value of a variable that is known before the run. A few
// variables made of each other would fill any memory: beyond [MaxValues] bytes it
// gives empty ones.
func (d *Decoder) Lookup(name string) (string, bool) {
	value, set := d.Vars[name]
	if d.put += len(value); d.put > MaxValues {
		return "", set
	}
	return value, set
}
