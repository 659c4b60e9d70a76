package steps

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/runner"
)

func lookup(vars map[string]string) runner.Lookup {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestManifestHasItsObjectsInOrder(t *testing.T) {
	var m Manifest
	require.NoError(t, m.UnmarshalText([]byte(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: a}
---
# nothing here
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
data: {word: "yes", number: "1"}
`)))
	objects, err := m.Objects()
	require.NoError(t, err)
	require.Len(t, objects, 2)
	assert.Equal(t, "a", objects[0].GetName())
	data, _, _ := unstructured.NestedStringMap(objects[1].Object, "data")
	assert.Equal(t, map[string]string{"word": "yes", "number": "1"}, data)
}

func TestManifestSaysWhatIsWrongAndWhere(t *testing.T) {
	for _, c := range []struct {
		text, want string
		line       int
	}{
		{"", "the manifest has no object", 0},
		{"# only a comment\n", "the manifest has no object", 0},
		{"apiVersion: v1\nmetadata: {name: a}\n", "the object has no kind", 1},
		{"kind: Pod\nmetadata: {name: a}\n", "the object has no apiVersion", 1},
		{"apiVersion: v1\nkind: Pod\n", "the object has no metadata.name", 1},
		{"apiVersion: v1\nkind: [Pod]\nmetadata: {name: a}\n", "the object's kind is no text", 1},
		{"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n- a\n", "an object is a mapping with apiVersion, kind and metadata", 5},
		{"a: b: c\n", "the manifest is not YAML: mapping values are not allowed in this context", 0},
	} {
		t.Run(c.text, func(t *testing.T) {
			var m Manifest
			err := m.UnmarshalText([]byte(c.text))
			require.EqualError(t, err, c.want)
			if field, ok := errors.AsType[*runner.FieldError](err); ok {
				assert.Equal(t, c.line, field.Line)
			}
		})
	}
}

func TestVariablesAreReplacedInParsedScalars(t *testing.T) {
	m := Manifest{Text: `
apiVersion: v1
kind: ConfigMap
metadata: {name: "x-${NAME}"}
data:
  pem: ${PEM}
  quoted: "${PORT}"
  text: port ${PORT}
  escaped: $${NAME} $HOME
spec: {port: "1", number: 2}
`}
	pem := "-----BEGIN-----\nabc: d\n-----END-----\n"
	require.NoError(t, m.ExpandVars(lookup(map[string]string{"NAME": "a: [b", "PEM": pem, "PORT": "3128"})))
	objects, err := m.Objects()
	require.NoError(t, err)
	assert.Equal(t, "x-a: [b", objects[0].GetName())
	data := objects[0].Object["data"].(map[string]any)
	assert.Equal(t, map[string]any{"pem": pem, "quoted": "3128", "text": "port 3128", "escaped": "${NAME} $HOME"}, data)
}

func TestAWholePlainScalarTakesTheTypeOfItsValue(t *testing.T) {
	m := Manifest{Text: "apiVersion: v1\nkind: X\nmetadata: {name: a}\nspec:\n  port: ${PORT}\n  ready: ${ON}\n  name: ${NAME}\n"}
	require.NoError(t, m.ExpandVars(lookup(map[string]string{"PORT": "3128", "ON": "true", "NAME": "sleep"})))
	objects, err := m.Objects()
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"port": int64(3128), "ready": true, "name": "sleep"}, objects[0].Object["spec"])
}

func TestAnUndefinedVariableIsAnError(t *testing.T) {
	m := Manifest{Text: "apiVersion: v1\nkind: X\nmetadata:\n  name: ${NOPE}\n"}
	err := m.ExpandVars(lookup(nil))
	field, ok := errors.AsType[*runner.FieldError](err)
	require.True(t, ok)
	assert.Equal(t, 4, field.Line)
}
