package fill

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/variables"
)

// An expander is a value that replaces the variables in it by itself.
// ExpandVars is called on a shallow copy: it may change its own fields, not
// what they refer to.
type expander interface {
	ExpandVars(lookup runner.Lookup) error
}

// A validator is a value that can tell what is wrong with it. Validate may complete it.
type validator interface {
	Validate() error
}

// Expand returns a deep copy of v, in which the
// values of the variables are in place: in every string but those whose tag
// says literal. A value that was put in is not looked at again. The copy and
// what is in it have been validated, where they have a method Validate.
//
// The error joins a [*runner.FieldError] for each thing that is wrong.
func Expand[T any](v T, lookup runner.Lookup) (T, error) {
	b := &budget{lookup: lookup}
	e := &expansion{lookup: b.value}
	expanded := e.copy(reflect.ValueOf(v), nil)
	if b.spent() {
		e.fail(nil, errTooLong)
	}
	if len(e.errs) == 0 {
		e.validate(expanded, nil)
	}
	if err := errors.Join(e.errs...); err != nil {
		var none T
		return none, err
	}
	return expanded.Interface().(T), nil
}

type expansion struct {
	lookup runner.Lookup
	errs   []error
}

func (e *expansion) fail(path []string, err error) {
	if err != nil {
		e.errs = append(e.errs, &runner.FieldError{Field: slices.Clone(path), Err: err})
	}
}

// copy returns a copy of v, which is at path, with its variables replaced.
func (e *expansion) copy(v reflect.Value, path []string) reflect.Value {
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		into := reflect.New(v.Type()).Elem()
		into.Set(e.copy(v.Elem(), path))
		return into
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		into := reflect.New(v.Type().Elem())
		into.Elem().Set(e.copy(v.Elem(), path))
		return into
	}
	into := reflect.New(v.Type()).Elem()
	into.Set(v)
	if self, ok := into.Addr().Interface().(expander); ok {
		e.fail(path, self.ExpandVars(e.lookup))
		return into
	}
	switch v.Kind() {
	case reflect.String:
		text, err := variables.Expand(v.String(), e.lookup)
		e.fail(path, err)
		into.SetString(text)
	case reflect.Slice:
		if v.IsNil() {
			break
		}
		into.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			into.Index(i).Set(e.copy(v.Index(i), append(path, strconv.Itoa(i))))
		}
	case reflect.Map:
		if v.IsNil() {
			break
		}
		into.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for _, key := range sortedKeys(v) {
			into.SetMapIndex(key, e.copy(v.MapIndex(key), append(path, key.String())))
		}
	case reflect.Struct:
		for f, path := range fieldsBelow(v.Type(), path) {
			if !f.Literal {
				into.FieldByIndex(f.Index).Set(e.copy(v.FieldByIndex(f.Index), path))
			}
		}
	}
	return into
}

// validate calls the Validate methods of v, which is at path, and of what is
// in it, the innermost first. It keeps what they change.
func (e *expansion) validate(v reflect.Value, path []string) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			e.validate(v.Elem(), path)
		}
		return
	case reflect.Slice:
		for i := range v.Len() {
			e.validate(v.Index(i), append(path, strconv.Itoa(i)))
		}
	case reflect.Map:
		for _, key := range sortedKeys(v) {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			e.validate(value, append(path, key.String()))
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for f, path := range fieldsBelow(v.Type(), path) {
			e.validate(v.FieldByIndex(f.Index), path)
		}
	}
	if v.CanAddr() {
		if self, ok := v.Addr().Interface().(validator); ok {
			e.fail(path, self.Validate())
		}
	}
}

// fieldsBelow goes through the exported fields of a struct with the path of
// each. One without a key is at the struct's own path.
func fieldsBelow(t reflect.Type, path []string) func(yield func(Field, []string) bool) {
	return func(yield func(Field, []string) bool) {
		keyed := Fields(t)
		for i := range t.NumField() {
			if !t.Field(i).IsExported() {
				continue
			}
			f, below := Field{Index: []int{i}}, path
			if at := slices.IndexFunc(keyed, func(k Field) bool { return slices.Equal(k.Index, f.Index) }); at >= 0 {
				f = keyed[at]
				below = append(slices.Clip(path), f.Key)
			}
			if !yield(f, below) {
				return
			}
		}
	}
}

func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch {
		case a.String() < b.String():
			return -1
		case a.String() > b.String():
			return 1
		}
		return 0
	})
	return keys
}

// MaxValues bounds the values of variables that are put into a value, and by a [Decoder],
// in bytes.
const MaxValues = 16 << 20

var errTooLong = fmt.Errorf("the values of its variables are longer than %d MiB together", MaxValues>>20)

// A budget is a lookup that gives no more than [MaxValues] bytes.
type budget struct {
	lookup runner.Lookup
	bytes  int
}

func (b *budget) value(name string) (string, bool) {
	value, set := b.lookup(name)
	if b.bytes += len(value); b.spent() {
		return "", set
	}
	return value, set
}

func (b *budget) spent() bool { return b.bytes > MaxValues }
