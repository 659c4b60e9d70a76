package playbooks

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/steps"
)

// The decoder fills the fields of embedded structs in, and Expand does not look
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
			for _, f := range fieldsOf(of) {
				assert.Len(t, f.index, 1, "%v: %s is a field of an embedded struct", of, f.key)
				walk(of.FieldByIndex(f.index).Type)
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
