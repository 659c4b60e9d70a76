package steps

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strings"

	yamlv3 "gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/redact"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/variables"
)

// isSecretKind reports whether a kind, as kubectl takes it, is a Secret.
// One that is known only at the run may be one.
func isSecretKind(kind string) bool {
	if variables.Stands(kind) {
		return true
	}
	kind, _, _ = strings.Cut(strings.ToLower(kind), ".")
	return kind == "secret" || kind == "secrets"
}

// masked returns the text of the manifest for a reader, with a mark for each
// value of a Secret in it. These are secret from now on.
func (m *Manifest) masked(s *runner.Scope) string {
	docs, err := documents(m.Text)
	if err != nil {
		return m.Text // a step whose manifest is not YAML does not begin
	}
	found := false
	var text bytes.Buffer
	enc := yamlv3.NewEncoder(&text)
	enc.SetIndent(2)
	for _, doc := range docs {
		if obj, err := object(doc); err == nil && (redact.IsSecret(obj.Object) || variables.Stands(obj.GetKind()+obj.GetAPIVersion())) {
			s.Secrets.AddObject(obj.Object)
			maskSecret(doc.Content[0])
			found = true
		}
		if err := enc.Encode(doc); err != nil {
			return m.Text
		}
	}
	if !found || enc.Close() != nil {
		return m.Text
	}
	return text.String()
}

// maskSecret replaces the values in the YAML of a Secret.
func maskSecret(secret *yamlv3.Node) {
	for i := 0; i+1 < len(secret.Content); i += 2 {
		key, value := secret.Content[i], secret.Content[i+1]
		switch key.Value {
		case "data", "stringData":
			maskScalars(value)
		case "metadata", "annotations":
			maskSecret(value)
		case redact.Applied:
			maskScalars(value)
		}
	}
}

func maskScalars(n *yamlv3.Node) {
	switch n.Kind {
	case yamlv3.ScalarNode:
		if variables.StandsAlone(n.Value) {
			return // its value is not shown
		}
		n.SetString(redact.Mark)
		n.Style, n.HeadComment, n.LineComment, n.FootComment = 0, "", "", ""
	case yamlv3.AliasNode: // of a node that is masked where it stands, or is no secret
		maskScalars(n.Alias)
	case yamlv3.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			maskScalars(n.Content[i])
			n.Content[i-1].HeadComment, n.Content[i-1].LineComment, n.Content[i-1].FootComment = "", "", ""
		}
	default:
		for _, child := range n.Content {
			maskScalars(child)
		}
	}
}

// withoutSecrets returns what a claim says of a Secret that does not hold, unless
// that depends on a value of it.
func withoutSecrets(c claim, secret *unstructured.Unstructured, got string) string {
	bare, _ := c(&unstructured.Unstructured{Object: redact.Bare(secret.Object)})
	if bare == got {
		return got
	}
	return "something else: " + redact.Mark
}

// quotedText matches a text in a JSON path.
var quotedText = regexp.MustCompile(`"[^"]*"|'[^']*'`)

// masked returns the step for a reader: what it wants of the values of a Secret
// is masked, and secret from now on.
func (w *Wait) masked(s *runner.Scope) *Wait {
	kind, _, _ := strings.Cut(w.Object, "/")
	what, path, value := splitFor(w.For)
	if !isSecretKind(kind) || what != "jsonpath" || !mayReadData(path) {
		return w
	}
	masked := *w
	hide := func(text string) string {
		s.Secrets.AddWord(text)
		if plain, err := base64.StdEncoding.DecodeString(text); err == nil {
			s.Secrets.AddWord(string(plain))
		}
		return redact.Mark
	}
	path = quotedText.ReplaceAllStringFunc(path, func(text string) string { return `"` + hide(text[1:len(text)-1]) + `"` })
	masked.For = what + "=" + path
	if value != "" {
		masked.For += "=" + hide(value)
	}
	for _, text := range []**string{&masked.Contains, &masked.Not} {
		if *text != nil {
			hidden := hide(**text)
			*text = &hidden
		}
	}
	return &masked
}

// mayReadData reports whether a JSON path into a Secret may lead to its values.
func mayReadData(path string) bool {
	rest := strings.ReplaceAll(path, ".metadata.", "")
	return strings.Contains(rest, "ata") || strings.Contains(rest, "..") || strings.Contains(rest, "*") || strings.Contains(rest, "annotations")
}
