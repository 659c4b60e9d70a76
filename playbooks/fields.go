package playbooks

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// A field is a field of a struct that has a key in YAML. The tag's options
// are explained at package steps.
type field struct {
	key      string
	index    []int
	required bool
	scalar   bool
	list     bool
	literal  bool
}

var fieldsKnown sync.Map // of []field by reflect.Type

// fieldsOf returns the fields of a struct that have a key, those of embedded
// structs among them.
func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldsKnown.Load(t); ok {
		return known.([]field)
	}
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		tag, tagged := f.Tag.Lookup("yaml")
		if !tagged || !f.IsExported() {
			continue
		}
		options := strings.Split(tag, ",")
		fields = append(fields, field{
			key:      options[0],
			index:    f.Index,
			required: slices.Contains(options, "required"),
			scalar:   slices.Contains(options, "scalar"),
			list:     slices.Contains(options, "list"),
			literal:  slices.Contains(options, "literal"),
		})
	}
	fieldsKnown.Store(t, fields)
	return fields
}

// keysOf returns the keys of fields.
func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}
