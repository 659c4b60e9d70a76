package playbooks

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/steps"
)

// TestDocs holds docs/playbooks.md to the code: each example in it is a good
// one, and each key is there.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../docs/playbooks.md")
	require.NoError(t, err)
	text := string(data)

	examples := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, examples)
	for _, example := range examples {
		playbook := example[1]
		if strings.HasPrefix(playbook, "- ") {
			playbook = head + "vars: {HOST: x}\ndefaults: {in: deploy/sleep, container: sleep}\nsteps:\n" + playbook
		}
		file := filepath.Join(t.TempDir(), "example.yaml")
		require.NoError(t, os.WriteFile(file, []byte(playbook), 0o600))
		_, err := Lint([]string{file}, Options{})
		assert.NoError(t, err, playbook)
	}

	for name, kind := range steps.Kinds {
		assert.Contains(t, text, "**`"+name+"`**")
		documented(t, text, reflect.TypeOf(kind.New()), 0)
	}
	for name, kind := range expect.Kinds {
		assert.Contains(t, text, "`"+name+"`")
		documented(t, text, reflect.TypeOf(kind()), 0)
	}
	for _, part := range []any{header{}, defaults{}, step{}} {
		documented(t, text, reflect.TypeOf(part), 0)
	}
}

// documented asserts that a text has the keys of a type as `key` or key:.
func documented(t *testing.T, text string, typ reflect.Type, depth int) {
	if depth > 8 || typ == fill.NodeType {
		return
	}
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		documented(t, text, typ.Elem(), depth+1)
	case reflect.Struct:
		for _, f := range fill.Fields(typ) {
			assert.True(t, strings.Contains(text, "`"+f.Key+"`") || strings.Contains(text, f.Key+": "), "%s of %s", f.Key, typ)
			documented(t, text, typ.FieldByIndex(f.Index).Type, depth+1)
		}
	}
}
