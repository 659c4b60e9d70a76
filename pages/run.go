package pages

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// pod maps kubectl run, which makes a pod.
func (m *mapper) pod(c *command, k *shell.Kubectl) ([]*yaml.Node, error) {
	takeCommand(k)
	container, err := containerOf(k)
	if err != nil {
		return nil, err
	}
	if len(k.Command) > 0 {
		field := "args"
		if k.Is("command") {
			field = "command"
		}
		container[field] = k.Command
	}
	return m.podOf(c, k, map[string]any{"containers": []any{container}})
}

// takeCommand takes what stands behind the pod's name for its command, also without --.
func takeCommand(k *shell.Kubectl) {
	if len(k.Args) > 1 && len(k.Command) == 0 {
		k.Args, k.Command = k.Args[:1], k.Args[1:]
	}
}

// containerOf is the container of the pod that kubectl run makes, without its command.
func containerOf(k *shell.Kubectl) (map[string]any, error) {
	switch {
	case len(k.Args) != 1 || k.Flag("image") == "":
		return nil, cannot("", "kubectl run: want a name and --image")
	case k.Flag("overrides") != "" || k.Flag("annotations") != "":
		return nil, cannot("write the pod as a manifest", "kubectl run with --overrides or --annotations is not known here")
	}
	container := map[string]any{"name": k.Args[0], "image": k.Flag("image")}
	if p := k.Flag("port"); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil {
			return nil, cannot("", "kubectl run: --port is a number")
		}
		container["ports"] = []any{map[string]any{"containerPort": n}}
	}
	var env []any
	for _, pair := range k.All("env") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, cannot("", "kubectl run: --env is NAME=VALUE")
		}
		env = append(env, map[string]any{"name": name, "value": value})
	}
	if len(env) > 0 {
		container["env"] = env
	}
	return container, nil
}

// podOf returns the step that applies the pod of kubectl run.
func (m *mapper) podOf(c *command, k *shell.Kubectl, spec map[string]any) ([]*yaml.Node, error) {
	labels := map[string]any{"run": k.Args[0]}
	if l := k.Flag("labels"); l != "" {
		labels = map[string]any{}
		for _, pair := range strings.Split(l, ",") {
			name, value, _ := strings.Cut(pair, "=")
			labels[name] = value
		}
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": k.Args[0], "labels": labels},
		"spec": spec,
	})
	if err != nil {
		return nil, err
	}
	return []*yaml.Node{c.at.mapping("title", c.title, "apply", m.manifest(c, k, string(text), 0))}, nil
}

// oneOff maps kubectl run of a pod for one command, whose output is shown at once: the
// pod is there, the command is run in it, and with --rm the pod goes. A shell alone is a
// session.
func (m *mapper) oneOff(c *command, k *shell.Kubectl, plain bool) ([]*yaml.Node, bool, error) {
	takeCommand(k)
	container, err := containerOf(k)
	switch {
	case err != nil:
		return nil, false, err
	case !plain || len(k.Command) == 0 || len(c.st.file.Stmts) != 1 || c.stmt != c.st.file.Stmts[0]:
		return nil, false, cannot("deploy the pod, and use kubectl exec", "kubectl run with a session is known here with a command behind --, alone in its line")
	case strings.HasPrefix(k.Command[0], "-"):
		return nil, false, cannot("deploy the pod, and use kubectl exec", "which program of the image kubectl run means is not known")
	}
	container["command"] = []string{"sleep", "infinity"}
	// Nothing is to be ended in the pod, which sleep would not do by itself.
	made, err := m.podOf(c, k, map[string]any{"containers": []any{container}, "terminationGracePeriodSeconds": 0})
	if err != nil {
		return nil, false, err
	}
	st := inPodOf(c, k)
	if st == nil {
		return nil, false, cannot("deploy the pod, and use kubectl exec", "kubectl run with a session is not known in this form")
	}
	m.note(c.at, false, "the pod %s is deployed, and the command is run in it", k.Args[0])
	inner, err := m.command(st, st.file.Stmts[0], c.settings)
	if err != nil {
		return nil, false, err
	}
	if made = append(made, inner...); m.session == nil && k.Is("rm") {
		made = append(made, c.at.mapping("title", "The pod "+k.Args[0]+" goes", "delete", c.at.mapping("objects", c.at.texts([]string{"pod/" + k.Args[0]}), "namespace", k.Namespace())))
	}
	return made, true, nil
}

// inPodOf returns the statement that has the command of kubectl run as kubectl exec; nil
// where its beginning is not found.
func inPodOf(c *command, k *shell.Kubectl) *statement {
	call := c.stages[0].Cmd.(*syntax.CallExpr)
	i := slices.IndexFunc(call.Args, func(w *syntax.Word) bool { return w.Lit() == "--" })
	behind := ""
	if i < 0 {
		i = slices.IndexFunc(call.Args, func(w *syntax.Word) bool { return w.Lit() == k.Command[0] })
		behind = " --"
	}
	if i < 0 {
		return nil
	}
	text, at := c.st.text(), call.Args[i].Pos()
	head := "kubectl exec " + k.Args[0]
	if ns := k.Namespace(); ns != "" {
		head += " -n " + strings.NewReplacer("${", "$", "}", "").Replace(ns)
	}
	lines := strings.Split(head+behind+" "+text[at.Offset():], "\n")
	from := int(at.Line()) - 1
	if from+len(lines) != len(c.st.lines) {
		return nil
	}
	there := *c.st
	there.lines = slices.Clone(c.st.lines[from:])
	for i := range lines {
		there.lines[i].text = lines[i]
	}
	there.shown = slices.DeleteFunc(slices.Clone(c.st.shown), func(l line) bool {
		t := strings.TrimSpace(l.text)
		return t == "If you don't see a command prompt, try pressing enter." || strings.HasPrefix(t, `pod "`) && strings.Contains(t, "deleted") || strings.HasPrefix(t, "pod/") && strings.HasSuffix(t, " created")
	})
	file, _, problem := shell.Parse(there.text())
	if problem != nil {
		return nil
	}
	there.file = file
	return &there
}
