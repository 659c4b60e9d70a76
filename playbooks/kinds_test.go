package playbooks

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/steps"
)

// Package fill fills in the fields of embedded structs, but its Expand does not look
// into one that is not exported: a step kind or an expectation embeds none.
func TestWhatIsDecodedIsExpanded(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(of reflect.Type) {
		if seen[of] {
			return
		}
		seen[of] = true
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(of.Elem())
		case reflect.Struct:
			for _, f := range fill.Fields(of) {
				assert.Len(t, f.Index, 1, "%v: %s is a field of an embedded struct", of, f.Key)
				walk(of.FieldByIndex(f.Index).Type)
			}
		}
	}
	for _, kind := range steps.Kinds {
		walk(reflect.TypeOf(kind.New()))
	}
	for _, expectation := range expect.Kinds {
		walk(reflect.TypeOf(expectation()))
	}
	assert.Greater(t, len(seen), 40)
}

// TestKindsCanBeDecoded goes through the types of all step kinds and
// expectations: each field's type is one that package fill knows.
func TestKindsCanBeDecoded(t *testing.T) {
	for name, kind := range steps.Kinds {
		decodable(t, name, reflect.TypeOf(kind.New()).Elem(), 0)
		for _, key := range kind.Expects {
			assert.Contains(t, expect.Kinds, key, "%s expects it", name)
		}
		for key := range kind.Implied {
			assert.Contains(t, kind.Expects, key, "it is implied by %s", name)
		}
	}
	for name, kind := range expect.Kinds {
		decodable(t, name, reflect.TypeOf(kind()).Elem(), 0)
	}
}

func decodable(t *testing.T, path string, typ reflect.Type, depth int) {
	if depth > 8 || fill.IsText(typ) || typ == fill.DurationType { // a type may contain itself
		return
	}
	switch typ.Kind() {
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int64, reflect.Float64:
	case reflect.Pointer, reflect.Slice:
		decodable(t, path+"[]", typ.Elem(), depth+1)
	case reflect.Map:
		assert.Equal(t, reflect.String, typ.Key().Kind(), path)
		decodable(t, path+"{}", typ.Elem(), depth+1)
	case reflect.Struct:
		for _, f := range fill.Fields(typ) {
			assert.NotEmpty(t, f.Key, path)
			decodable(t, path+"."+f.Key, typ.FieldByIndex(f.Index).Type, depth+1)
		}
	default:
		assert.Fail(t, "unknown kind of type", "%s: %s", path, typ)
	}
}
