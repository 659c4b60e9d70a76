package playbooks

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

// A decoder fills Go values in from YAML and collects all that is wrong.
//
// A text is taken as it is written, so that 1.10 and 0755 stay what they are.
// A number, a duration, true and false may be a text with variables, if those
// are in vars: they are judged before the run.
type decoder struct {
	file  string
	lines []string // of the file
	root  string   // what is being decoded, such as "step 3"
	vars  map[string]string
	put   int // the bytes of all values that lookup has given
	errs  Errors
	unset []unset
}

func (d *decoder) errorf(n *yaml.Node, hint, format string, args ...any) {
	d.errs = append(d.errs, &Error{File: d.file, Line: n.Line, Column: n.Column, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

var (
	nodeType     = reflect.TypeFor[*yaml.Node]()
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// value fills v in from n. path names the value for a reader by its keys, such
// as "exec.in".
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	t := v.Type()
	if n.Kind == yaml.AliasNode {
		return // parse told it
	}
	if t == nodeType {
		v.Set(reflect.ValueOf(n))
		return
	}
	if t.Kind() == reflect.Pointer {
		before, into := len(d.errs), reflect.New(t.Elem())
		if d.value(n, into.Elem(), path); len(d.errs) == before {
			v.Set(into)
		}
		return
	}
	if isNull(n) {
		hint := "write its value, or remove the key"
		if t.Kind() == reflect.String {
			hint = "write its value, '' for an empty text, or remove the key"
		}
		d.errorf(n, hint, "%s has no value: want %s", path, wants(t))
		return
	}
	switch scalar := n.Kind == yaml.ScalarNode; {
	case scalar && t == durationType:
		d.duration(n, v, path)
	case scalar && isText(t):
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
			d.place(n, err, 0)
		}
	case scalar && t.Kind() == reflect.String:
		v.SetString(n.Value)
	case scalar && (v.CanInt() || v.CanUint() || v.CanFloat() || t.Kind() == reflect.Bool):
		d.plain(n, v, path)
	case t.Kind() == reflect.Struct && !isText(t):
		d.short(n, v, path)
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		list := reflect.MakeSlice(t, len(n.Content), len(n.Content))
		for i, item := range n.Content {
			d.value(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
		v.Set(list)
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		values := reflect.MakeMap(t)
		for key, pair := range d.pairs(n) {
			if strings.Contains(key, "${") {
				d.errorf(pair.key, "", "a key holds no variables: %s", quote(key))
			}
			value := reflect.New(t.Elem()).Elem()
			d.value(pair.value, value, below(path, key))
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
		return cut(key)
	}
	return path + "." + cut(key)
}

// wrong says that n is not what the type takes.
func (d *decoder) wrong(n *yaml.Node, t reflect.Type, path string) {
	hint := ""
	switch flow := n.Style&yaml.FlowStyle != 0; {
	case t.Kind() == reflect.Slice && n.Kind == yaml.ScalarNode:
		hint = "write [" + cut(n.Value) + "]"
	case t.Kind() == reflect.Slice && n.Kind == yaml.MappingNode:
		hint = "begin each item with a dash, or put the items in [ ]"
	case t.Kind() == reflect.Struct && !isText(t):
		hint = "its keys are " + strings.Join(slices.Sorted(slices.Values(keysOf(fieldsOf(t)))), ", ")
	case !flow || t.Kind() != reflect.String && !isText(t):
	case n.Kind == yaml.MappingNode:
		hint = "a text that begins with { must be in quotes"
	case n.Kind == yaml.SequenceNode:
		hint = "a text that begins with [ must be in quotes"
	}
	d.errorf(n, hint, "%s: want %s, got %s", cmp.Or(path, d.root), wants(t), describe(n))
}

// wants names what a type takes, for a reader who writes YAML.
func wants(t reflect.Type) string {
	if t == durationType {
		return "a duration such as 30s"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wants(t.Elem())
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		if isText(t) {
			return "a text or a list"
		}
		return "a list"
	case reflect.Map:
		return "a mapping"
	case reflect.Struct:
		if isText(t) {
			return "a text"
		}
		forms := []string{"a mapping"}
		for _, f := range fieldsOf(t) {
			if f.list {
				forms = append(forms, "a list")
			}
			if inner := t.FieldByIndex(f.index).Type; f.scalar && inner.Kind() == reflect.Slice && !isText(inner) {
				forms = append(forms, "a text")
			} else if f.scalar {
				forms = append(forms, wants(inner))
			}
		}
		slices.Sort(forms)
		return strings.Join(slices.Compact(forms), " or ")
	}
	return "a whole number"
}

func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// short fills a struct in: from a mapping of its keys, or from the short form
// that a field's tag allows.
func (d *decoder) short(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.MappingNode {
		d.fields(n, v, path, nil)
		return
	}
	for _, f := range fieldsOf(v.Type()) {
		into := v.FieldByIndex(f.index)
		switch {
		case f.list && n.Kind == yaml.SequenceNode:
		case f.scalar && n.Kind == yaml.ScalarNode:
			if into.Kind() == reflect.Slice && !isText(into.Type()) {
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

// fields fills a struct in from a mapping, and returns the keys that were
// there or were meant. Where others is not nil, it has further keys.
func (d *decoder) fields(n *yaml.Node, v reflect.Value, path string, others *others) (seen map[string]bool) {
	fields := fieldsOf(v.Type())
	known := keysOf(fields)
	if others != nil {
		known = append(known, others.keys...)
	}
	slices.Sort(known)
	where := cmp.Or(path, d.root)
	seen = make(map[string]bool)
	for key, pair := range d.pairs(n) {
		seen[key] = true
		if i := slices.IndexFunc(fields, func(f field) bool { return f.key == key }); i >= 0 {
			d.value(pair.value, v.FieldByIndex(fields[i].index), below(path, key))
			continue
		}
		if others != nil && slices.Contains(others.keys, key) {
			others.take(key, pair)
			continue
		}
		hint := "known are " + strings.Join(known, ", ")
		if meant, ok := nearest.Name(key, known); ok {
			hint = "did you mean " + quote(meant) + "?"
			seen[meant] = true
		} else if n.Style&yaml.FlowStyle == 0 && slices.ContainsFunc(fields, func(f field) bool { return f.scalar }) {
			hint += "; a text of several lines begins behind " + where + ": |"
		}
		d.errorf(pair.key, hint, "unknown key %s in %s", quote(key), where)
	}
	for _, f := range fields {
		if f.required && !seen[f.key] {
			d.errorf(n, "", "%s has no %s", where, f.key)
		}
	}
	return seen
}

// others are keys of a mapping besides those of its struct.
type others struct {
	keys []string
	take func(key string, p pair)
}

type pair struct{ key, value *yaml.Node }

// pairs goes through the keys and values of a mapping. It leaves out, and
// tells, keys that are no text and keys that were there before.
func (d *decoder) pairs(n *yaml.Node) func(yield func(string, pair) bool) {
	return func(yield func(string, pair) bool) {
		line := make(map[string]int)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			switch {
			case key.Kind == yaml.AliasNode, key.Tag == "!!merge": // parse told it
				continue
			case key.Kind != yaml.ScalarNode:
				d.errorf(key, "a text that begins with { or [ must be in quotes", "a key is a text, this is %s", describe(key))
				continue
			case isNull(key):
				d.errorf(key, "write KEY: VALUE", "a value without a key")
				continue
			case line[key.Value] > 0:
				d.errorf(key, "keep one of the two", "duplicate key %s: it is in line %d already", quote(key.Value), line[key.Value])
				continue
			}
			line[key.Value] = key.Line
			if !yield(key.Value, pair{key, value}) {
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
func (d *decoder) plain(n *yaml.Node, v reflect.Value, path string) {
	text, varied, ok := d.known(n)
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
			d.errorf(n, "", "%s: %s is out of range", path, cut(text))
			return
		}
		v.SetInt(i)
	default:
		u, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			d.errorf(n, "", "%s: %s is out of range", path, cut(text))
			return
		}
		v.SetUint(u)
	}
	if ok {
		return
	}
	got, hint := describe(n), ""
	switch {
	case varied:
		got = quote(text)
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		hint = "write it without quotes"
	}
	d.errorf(n, hint, "%s: want %s, got %s", path, wants(v.Type()), got)
}

// duration fills a duration in.
func (d *decoder) duration(n *yaml.Node, v reflect.Value, path string) {
	text, varied, ok := d.known(n)
	if !ok {
		return
	}
	duration, err := time.ParseDuration(text)
	switch {
	case number.MatchString(text):
		text = cut(text)
		d.errorf(n, "write "+text+"s for seconds, "+text+"m for minutes", "%s: want a duration such as 30s, got the number %s", path, text)
	case err != nil && varied:
		d.errorf(n, "write a number and ms, s, m or h", "%s: want a duration such as 30s, got %s", path, quote(text))
	case err != nil:
		d.errorf(n, "write a number and ms, s, m or h", "%s: want a duration such as 30s, got %s", path, describe(n))
	case duration < 0 || duration > math.MaxInt64/4:
		d.errorf(n, "", "%s: %s is out of range", path, cut(text))
	default:
		v.SetInt(int64(duration))
	}
}

// known returns the text of n with the values of its variables, and whether
// it has any. It is not ok where one of them is not known before the run.
func (d *decoder) known(n *yaml.Node) (text string, varied, ok bool) {
	text, err := variables.Expand(n.Value, d.lookup)
	d.place(n, err, 0)
	return text, strings.Contains(n.Value, "${"), err == nil
}

// lookup returns the value of a variable that is known before the run. A few
// variables made of each other would fill any memory: beyond maxValues it
// gives empty ones.
func (d *decoder) lookup(name string) (string, bool) {
	value, set := d.vars[name]
	if d.put += len(value); d.put > maxValues {
		return "", set
	}
	return value, set
}
