package playbooks

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// A validator judges values by a JSON Schema, as far as [Schema] uses it.
type validator struct{ root map[string]any }

func newValidator(t *testing.T) *validator {
	t.Helper()
	var root map[string]any
	require.NoError(t, json.Unmarshal(Schema(), &root))
	return &validator{root}
}

// judge returns what is wrong with a value; "" for nothing. A keyword that it does
// not know is an error, for it would be passed over.
func (v *validator) judge(schema map[string]any, value any, path string) string {
	judge := func(s any, value any, path string) string { return v.judge(s.(map[string]any), value, path) }
	object, isObject := value.(map[string]any)
	list, isList := value.([]any)
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		arg, wrong := schema[keyword], ""
		switch keyword {
		case "$schema", "title", "description", "definitions", "then":
		case "$ref":
			name := strings.TrimPrefix(arg.(string), "#/definitions/")
			definition, known := v.root["definitions"].(map[string]any)[name]
			if !known {
				return "unknown definition " + name
			}
			wrong = judge(definition, value, path)
		case "type":
			types, several := arg.([]any)
			if !several {
				types = []any{arg}
			}
			if !slices.Contains(types, any(typeOf(value))) && !(typeOf(value) == "integer" && slices.Contains(types, any("number"))) {
				wrong = fmt.Sprintf("%s: is %s, want %v", path, typeOf(value), types)
			}
		case "const":
			if value != arg {
				wrong = path + ": is not " + arg.(string)
			}
		case "enum":
			if !slices.Contains(arg.([]any), value) {
				wrong = path + ": is not one of them"
			}
		case "pattern":
			if text, is := value.(string); is && !regexp.MustCompile(arg.(string)).MatchString(text) {
				wrong = path + ": does not match " + arg.(string)
			}
		case "minimum", "maximum":
			if n, is := value.(float64); is && (keyword == "minimum" && n < arg.(float64) || keyword == "maximum" && n > arg.(float64)) {
				wrong = path + ": is out of range"
			}
		case "minItems":
			if isList && len(list) < int(arg.(float64)) {
				wrong = path + ": has too few items"
			}
		case "minProperties":
			if isObject && len(object) < int(arg.(float64)) {
				wrong = path + ": has too few keys"
			}
		case "required":
			for _, key := range arg.([]any) {
				if _, is := object[key.(string)]; isObject && !is {
					wrong = fmt.Sprintf("%s: has no %s", path, key)
				}
			}
		case "properties":
			for key, s := range arg.(map[string]any) {
				if inner, is := object[key]; is && wrong == "" {
					wrong = judge(s, inner, path+"."+key)
				}
			}
		case "additionalProperties":
			properties, _ := schema["properties"].(map[string]any)
			for key, inner := range object {
				if _, known := properties[key]; known || wrong != "" {
					continue
				}
				if allowed, is := arg.(bool); is && !allowed {
					wrong = path + ": unknown key " + key
				} else if !is {
					wrong = judge(arg, inner, path+"."+key)
				}
			}
		case "items":
			for i, item := range list {
				if wrong == "" {
					wrong = judge(arg, item, fmt.Sprintf("%s[%d]", path, i))
				}
			}
		case "anyOf", "oneOf":
			held := 0
			for _, s := range arg.([]any) {
				said := judge(s, value, path)
				if said == "" {
					held++
				} else {
					wrong += said + "; "
				}
			}
			if held == 1 || held > 1 && keyword == "anyOf" {
				wrong = ""
			} else if held > 1 {
				wrong = path + ": is several of them"
			}
		case "allOf":
			for _, s := range arg.([]any) {
				if wrong == "" {
					wrong = judge(s, value, path)
				}
			}
		case "if":
			if judge(arg, value, path) == "" {
				wrong = judge(schema["then"], value, path)
			}
		case "not":
			if judge(arg, value, path) == "" {
				wrong = path + ": must not be so"
			}
		default:
			return "unknown keyword " + keyword
		}
		if wrong != "" {
			return wrong
		}
	}
	return ""
}

func typeOf(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		if value == float64(int64(value)) {
			return "integer"
		}
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

// playbook judges a playbook in YAML, as an editor does.
func (v *validator) playbook(text string) string {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		return err.Error()
	}
	if len(n.Content) == 0 {
		return "it is empty"
	}
	value, err := asJSON(n.Content[0])
	if err != nil {
		return err.Error()
	}
	return v.judge(v.root, value, "the playbook")
}

// asJSON returns YAML as an editor gives it to a schema. A key that is there twice
// is an editor's own business.
func asJSON(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if _, twice := object[key.Value]; twice || key.Kind != yaml.ScalarNode || key.Tag == "!!null" {
				return nil, fmt.Errorf("the key %q is there twice, or is no text", key.Value)
			}
			var err error
			if object[key.Value], err = asJSON(value); err != nil {
				return nil, err
			}
		}
		return object, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			value, err := asJSON(item)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.AliasNode:
		return asJSON(n.Alias)
	}
	var value any
	switch err := n.Decode(&value); number := value.(type) {
	case int:
		return float64(number), err
	case float64, bool, nil:
		return value, err
	}
	return n.Value, nil
}

// Every built-in playbook, and every example of the reference, is a good one.
func TestSchemaTakesGoodPlaybooks(t *testing.T) {
	v := newValidator(t)
	for _, i := range List() {
		text, err := Show(i.Name)
		require.NoError(t, err)
		assert.Empty(t, v.playbook(string(text)), i.Name)
	}
	data, err := os.ReadFile("../docs/playbooks.md")
	require.NoError(t, err)
	for _, example := range regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(string(data), -1) {
		playbook := example[1]
		if strings.HasPrefix(playbook, "- ") {
			playbook = head + "steps:\n" + playbook
		}
		assert.Empty(t, v.playbook(playbook), playbook)
	}
}

// beyondASchema are the bad playbooks that a schema cannot judge, and why. Each of
// them is accepted by it.
var beyondASchema = map[string]string{
	"changes-nothing":        "whether a step changes something",
	"command":                "how a command line is split",
	"delete-for-good":        "what an earlier step makes",
	"expect-no-curl":         "whether a command is curl",
	"expect-values":          "regular expressions, JSON paths and ranges in an expectation",
	"manifest-file":          "what is in another file",
	"manifest-file-variable": "whether a variable has a value",
	"second-document":        "how many documents there are",
	"second-document-empty":  "how many documents there are",
	"set-flag":               "the command line",
	"set-flag-unknown":       "the command line",
	"undefined-variable":     "whether a variable has a value",
	"variable-bomb":          "the values of variables",
	"variable-cycle":         "the values of variables",
	"variable-in-defaults":   "whether a variable has a value",
	"variable-set-later":     "whether a variable has a value",
	"variable-syntax":        "variables in a text",
	"variable-values":        "the values of variables",
	"variables-of-files":     "what is in another file",
}

// Each bad playbook of the loader's tests is judged alike, as far as a schema can.
func TestSchemaRefusesBadPlaybooks(t *testing.T) {
	v := newValidator(t)
	archives, err := filepath.Glob("testdata/bad/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, archives)
	judged := 0
	for _, archive := range archives {
		name := strings.TrimSuffix(filepath.Base(archive), ".txtar")
		a, err := txtar.ParseFile(archive)
		require.NoError(t, err)
		wrong := ""
		for _, f := range a.Files {
			if strings.HasSuffix(f.Name, ".yaml") && strings.Contains(string(f.Data), "steps") || len(a.Files) == 2 && f.Name != "want" {
				wrong += v.playbook(string(f.Data))
			}
		}
		if why, beyond := beyondASchema[name]; beyond {
			assert.Empty(t, wrong, "%s is said to be beyond a schema: %s", name, why)
			continue
		}
		assert.NotEmpty(t, wrong, name)
		judged++
	}
	assert.Greater(t, judged, len(archives)/2)
}

// The schema says of each verb and each expectation what the reference says.
func TestSchemaDescribes(t *testing.T) {
	text := string(Schema())
	assert.Contains(t, text, "runs a command in a pod, without a shell")
	assert.Contains(t, text, "the last response has this HTTP status")
	assert.Contains(t, text, "small letters, digits and `-`, unique in a playbook")
}
