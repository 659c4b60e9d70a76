package pages

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// manifestPipe maps a pipe that reads a manifest, changes its text, and applies or
// deletes what comes out: all of it is known before the run. handled reports whether a
// command is one.
func (m *mapper) manifestPipe(c *command) (nodes []*yaml.Node, handled bool, err error) {
	if len(c.stages) < 2 {
		return nil, false, nil
	}
	last := len(c.stages) - 1
	k := m.kubectlStage(c.stages[last])
	if k == nil || !slices.Contains([]string{"apply", "create", "replace", "delete"}, k.Verb) || k.Flag("filename") != "-" || k.Flag("dry-run") != "" {
		return nil, false, nil
	}
	file, change := m.readsManifest(c.stages[0])
	if file == "" {
		return nil, false, nil
	}
	changes := []func(string) (string, error){change}
	injects := false
	for _, stage := range c.stages[1:last] {
		switch change := m.changesManifest(stage); {
		case change != nil:
			changes = append(changes, change)
		case m.isInjection(stage):
			injects = true
		default:
			return nil, false, nil
		}
	}
	text, err := m.manifestOf(c, file)
	if err != nil {
		return nil, false, err
	}
	for _, change := range changes {
		if text, err = change(text); err != nil {
			return nil, false, err
		}
	}
	if err := m.checkVerbLines(c, k); err != nil {
		return nil, false, err
	}
	if k.Verb == "delete" {
		all, err := goneIn(k, text)
		if err != nil {
			return nil, false, cannot("", "%s: %v", file, err)
		}
		return m.deletes(c, k, all), true, nil
	}
	if injects && !m.hasInjection(k.Namespace()) {
		namespace := k.Namespace()
		if namespace == "" {
			namespace = "${NAMESPACE}"
		}
		nodes = append(nodes, m.injection(c.at, namespace))
	}
	return append(nodes, c.at.mapping("title", c.title, "apply", m.manifest(c, k, text, 0))), true, nil
}

// knownWords returns the words of a stage of a pipe; nil if it is no command, if it sets
// variables, or if not all of its words are known before the run.
func (m *mapper) knownWords(stmt *syntax.Stmt) []string {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 {
		return nil
	}
	texts, words, plain := m.wordsOf(call)
	if !plain || slices.ContainsFunc(words, func(w word) bool { return w.dynamic }) {
		return nil
	}
	return texts
}

// kubectlStage reads a stage of a pipe as kubectl; nil if it is something else.
func (m *mapper) kubectlStage(stmt *syntax.Stmt) *shell.Kubectl {
	texts := m.knownWords(stmt)
	if len(texts) == 0 || texts[0] != "kubectl" || ofFile(stmt) != nil || hereDocument(stmt) != nil {
		return nil
	}
	k, err := shell.ParseKubectl(texts)
	if err != nil {
		return nil
	}
	return k
}

// readsManifest returns the file that the first stage of a pipe reads, and what it changes
// of the file's text; "" where it is something else.
func (m *mapper) readsManifest(stmt *syntax.Stmt) (file string, change func(string) (string, error)) {
	same := func(text string) (string, error) { return text, nil }
	if k := m.kubectlStage(stmt); k != nil {
		files := k.All("filename")
		if (k.Verb == "apply" || k.Verb == "create") && len(files) == 1 && files[0] != "-" && k.Flag("dry-run") != "" && k.Flag("output") == "yaml" {
			return files[0], same
		}
		return "", nil
	}
	texts := m.knownWords(stmt)
	if len(texts) < 2 || len(stmt.Redirs) > 0 {
		return "", nil
	}
	n := len(texts) - 1
	switch {
	case texts[0] == "cat" && n == 1 && !strings.HasPrefix(texts[1], "-"):
		return texts[1], same
	case texts[0] == "sed" && n > 1:
		if change := m.edits(texts[1:n]); change != nil {
			return texts[n], change
		}
	}
	return "", nil
}

// changesManifest returns what a stage of a pipe changes of a manifest; nil where it is
// none that is known.
func (m *mapper) changesManifest(stmt *syntax.Stmt) func(string) (string, error) {
	if k := m.kubectlStage(stmt); k != nil {
		if k.Verb == "set env" && k.Is("local") && k.Flag("filename") == "-" && k.Flag("output") == "yaml" {
			return func(text string) (string, error) { return setEnv(text, k.Args) }
		}
		return nil
	}
	texts := m.knownWords(stmt)
	if len(texts) < 2 || len(stmt.Redirs) > 0 || texts[0] != "sed" {
		return nil
	}
	return m.edits(texts[1:])
}

// edits returns what sed does with its arguments; nil where they are not known, or a
// variable stands in them whose value is not.
func (m *mapper) edits(args []string) func(string) (string, error) {
	for i := range args {
		args[i] = m.written(args[i])
		if strings.Contains(args[i], "${") {
			return nil
		}
	}
	filter, err := shell.Tools["sed"](args)
	if err != nil {
		return nil
	}
	return func(text string) (string, error) {
		out, _, _ := filter(text)
		return out, nil
	}
}

// isInjection reports whether a stage is istioctl kube-inject -f -.
func (m *mapper) isInjection(stmt *syntax.Stmt) bool {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) != 4 || len(stmt.Redirs) > 0 {
		return false
	}
	texts, _, _ := m.wordsOf(call)
	return slices.Equal(texts, []string{"istioctl", "kube-inject", "-f", "-"})
}

// manifestOf returns the text of a file that a command names, as a text of the playbook.
func (m *mapper) manifestOf(c *command, file string) (string, error) {
	text, _, path, err := m.find(c, file)
	if err != nil || path == "" {
		return text, err
	}
	data, err := m.readFile(path)
	return literal(string(data)), err
}

// setEnv sets variables of the containers of a manifest, as kubectl set env --local does.
func setEnv(text string, pairs []string) (string, error) {
	var out bytes.Buffer
	in, to := yaml.NewDecoder(strings.NewReader(text)), yaml.NewEncoder(&out)
	to.SetIndent(2)
	for {
		var doc map[string]any
		err := in.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out.String(), to.Close()
		}
		if err != nil {
			return "", cannot("", "the manifest is no YAML: %v", err)
		}
		if doc == nil {
			continue
		}
		spec, _ := doc["spec"].(map[string]any)
		if template, ok := spec["template"].(map[string]any); ok {
			spec, _ = template["spec"].(map[string]any)
		}
		containers, _ := spec["containers"].([]any)
		for _, item := range containers {
			container, ok := item.(map[string]any)
			if !ok {
				continue
			}
			for _, pair := range pairs {
				name, value, ok := strings.Cut(pair, "=")
				if !ok {
					return "", cannot("", "kubectl set env is known here with NAME=VALUE")
				}
				list, _ := container["env"].([]any)
				list = slices.DeleteFunc(slices.Clone(list), func(e any) bool {
					of, _ := e.(map[string]any)
					return of["name"] == name
				})
				container["env"] = append(list, map[string]any{"name": name, "value": value})
			}
		}
		if err := to.Encode(doc); err != nil {
			return "", err
		}
	}
}
