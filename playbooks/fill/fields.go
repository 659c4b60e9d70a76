package fill

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// A Field is a field of a struct that has a key in YAML. Package steps explains the
// options of its tag.
type Field struct {
	Key   string
	Index []int // as [reflect.Value.FieldByIndex] takes it

	Required, Scalar, List, Literal bool
}

var fieldsKnown sync.Map // of []Field by reflect.Type

// Fields returns the fields of a struct that have a key, those of embedded
// structs among them.
func Fields(t reflect.Type) []Field {
	if known, ok := fieldsKnown.Load(t); ok {
		return known.([]Field)
	}
	var fields []Field
	for _, f := range reflect.VisibleFields(t) {
		tag, tagged := f.Tag.Lookup("yaml")
		if !tagged || !f.IsExported() {
			continue
		}
		options := strings.Split(tag, ",")
		fields = append(fields, Field{
			Key:      options[0],
			Index:    f.Index,
			Required: slices.Contains(options, "required"),
			Scalar:   slices.Contains(options, "scalar"),
			List:     slices.Contains(options, "list"),
			Literal:  slices.Contains(options, "literal"),
		})
	}
	fieldsKnown.Store(t, fields)
	return fields
}

// Keys returns the keys of fields.
func Keys(fields []Field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.Key
	}
	return keys
}
