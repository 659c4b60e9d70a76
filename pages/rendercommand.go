package pages

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/steps"
)

// command returns what a reader types for a step, and the keys of the step that it
// says. ok is false where no command can stand for the step.
func (r *renderer) command(i int, n *yaml.Node) (text string, said []string, ok bool) {
	s := &r.playbook.Steps[i]
	action, _, err := s.Bind(marked)
	if err != nil {
		return "", nil, false
	}
	switch a := action.(type) {
	case *steps.Apply:
		return applyCommand(a, key(n, "apply"))
	case *steps.Delete:
		line := typed(a.Namespace, append([]string{"delete"}, a.Objects...)...)
		if a.IfThere {
			line += " --ignore-not-found"
		}
		return line, nil, !a.ForGood
	case *steps.Label:
		return labelCommand("label", a.Object, a.Namespace, a.Set, a.Remove), nil, true
	case *steps.Annotate:
		return labelCommand("annotate", a.Object, a.Namespace, a.Set, a.Remove), nil, true
	case *steps.Restart:
		return typed(a.Namespace, append([]string{"rollout", "restart"}, a.Objects...)...), nil, true
	case *steps.Scale:
		return typed(a.Namespace, "scale", a.Object, "--replicas="+strconv.FormatInt(a.Replicas, 10)), nil, true
	case *steps.Patch:
		if a.JSON.Text != "" {
			return typed(a.Namespace, "patch", a.Object, "--type=json", "-p") + " " + shellWord(key(key(n, "patch"), "json").Value), nil, true
		}
		return typed(a.Namespace, "patch", a.Object, "--type=merge", "-p") + " " + shellWord(key(key(n, "patch"), "merge").Value), nil, true
	case *steps.Policy:
		return policyCommand(a), nil, true
	case *steps.Certificates:
		return certificateCommands(*a), nil, true
	case *steps.Set:
		return setCommands(*a)
	case *steps.Wait:
		return waitCommand(a, s)
	case *steps.Logs:
		line := podCommand("logs", a.In, a.Namespace, a.Container)
		if a.Tail > 0 {
			line += fmt.Sprintf(" --tail=%d", a.Tail)
		}
		return "$ " + line, nil, true
	case *steps.Exec:
		return execCommand(a, n)
	case *steps.Shell:
		return "$ " + strings.TrimRight(key(n, "shell").Value, "\n"), []string{"expect"}, true
	}
	return "", nil, false
}

// typed returns a line of kubectl, with its prompt.
func typed(namespace string, args ...string) string {
	return "$ " + kubectlLine(namespace, args...)
}

func kubectlLine(namespace string, args ...string) string {
	words := []string{"kubectl"}
	if namespace != "" {
		words = append(words, "-n", namespace)
	}
	words = append(words, args...)
	for i := range words {
		words[i] = unmark(words[i])
	}
	return strings.Join(words, " ")
}

var meansItself = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// unmark writes a word of an action as a word for a shell: its marks are variables.
func unmark(word string) string {
	if meansItself.MatchString(word) && !marks.MatchString(word) {
		return word
	}
	return quoteWord(word, marks)
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// shellWord writes a text of a playbook as a word for a shell.
func shellWord(text string) string {
	if meansItself.MatchString(text) {
		return text
	}
	return quoteWord(text, variable)
}

// quoteWord writes a text as one word. What pattern matches is a variable.
func quoteWord(text string, pattern *regexp.Regexp) string {
	if !pattern.MatchString(text) {
		if pattern == variable {
			text = unliteral(text)
		}
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return `"` + inQuotes(text, pattern, `"`) + `"`
}

// inQuotes writes a text that a shell expands: what pattern matches is a variable,
// all else is what it is.
func inQuotes(text string, pattern *regexp.Regexp, quote string) string {
	plain := func(t string) string {
		if pattern == variable {
			t = unliteral(t)
		}
		pairs := []string{`\`, `\\`, "$", `\$`, "`", "\\`"}
		if quote != "" {
			pairs = append(pairs, quote, `\`+quote)
		}
		return strings.NewReplacer(pairs...).Replace(t)
	}
	var b strings.Builder
	at := 0
	for _, m := range pattern.FindAllStringSubmatchIndex(text, -1) {
		if pattern == variable && m[0] > 0 && text[m[0]-1] == '$' { // $${ is no variable
			continue
		}
		name := text[m[2]:m[3]]
		b.WriteString(plain(text[at:m[0]]))
		if rest := text[m[1]:]; quote != "" && (rest == "" || !regexp.MustCompile(`^[A-Za-z0-9_\[]`).MatchString(rest)) {
			b.WriteString("$" + name)
		} else {
			b.WriteString("${" + name + "}")
		}
		at = m[1]
	}
	b.WriteString(plain(text[at:]))
	return b.String()
}

// applyCommand returns kubectl apply: of files, or of a here-document.
func applyCommand(a *steps.Apply, n *yaml.Node) (string, []string, bool) {
	if len(a.Files) > 0 {
		if len(a.Files) > 1 {
			return "", nil, false
		}
		file := a.Files[0]
		for of, own := range samples {
			if own == file {
				file = "samples/" + of
			}
		}
		var said []string
		if len(a.Vars) > 0 {
			said = append(said, "vars")
		}
		return typed(a.Namespace, "apply", "-f", file), said, true
	}
	text := n.Value
	if n.Kind == yaml.MappingNode {
		text = valueOf(n, "manifest")
	}
	if !strings.HasSuffix(text, "\n") {
		return "", nil, false
	}
	end := "EOF"
	for strings.Contains(text, end) {
		end += "_"
	}
	mark, body := end, inQuotes(text, variable, "")
	if !variable.MatchString(text) && body != text {
		mark, body = "'"+end+"'", unliteral(text)
	}
	return typed(a.Namespace, "apply", "-f", "-") + " <<" + mark + "\n" + body + end, nil, true
}

func labelCommand(verb, object, namespace string, set map[string]string, remove []string) string {
	args := []string{verb, object}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		args = append(args, name+"="+set[name])
	}
	for _, name := range remove {
		args = append(args, name+"-")
	}
	if len(set) > 0 {
		args = append(args, "--overwrite")
	}
	return typed(namespace, args...)
}

// policyCommand is as the tutorials have it.
func policyCommand(p *steps.Policy) string {
	const get = "$ kubectl get configmap istio -n istio-system -o yaml | "
	if p.Expect != "" {
		return get + `grep -o "mode: ` + p.Expect + `"`
	}
	from := "ALLOW_ANY"
	if p.Set == from {
		from = "REGISTRY_ONLY"
	}
	return get + "sed 's/mode: " + from + "/mode: " + p.Set + "/g' | kubectl replace -n istio-system -f -"
}

// certificateCommands are as the tutorials have them.
func certificateCommands(all steps.Certificates) string {
	var lines []string
	subject := func(c *steps.Certificate) string {
		text := "/CN=" + c.CommonName
		if c.Organization != "" {
			text = "/O=" + c.Organization + text
		}
		return unmark(text)
	}
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names {
		if c := all[name]; c.CA {
			lines = append(lines, fmt.Sprintf("$ openssl req -x509 -sha256 -nodes -days 365 -newkey rsa:2048 -subj %s -keyout %s.key -out %s.crt", subject(&c), name, name))
		}
	}
	for _, name := range names {
		c := all[name]
		if c.CA {
			continue
		}
		lines = append(lines, fmt.Sprintf("$ openssl req -out %s.csr -newkey rsa:2048 -nodes -keyout %s.key -subj %s", name, name, subject(&c)))
		line := fmt.Sprintf("$ openssl x509 -req -sha256 -days 365 -CA %s.crt -CAkey %s.key -set_serial 1 -in %s.csr -out %s.crt", c.Issuer, c.Issuer, name, name)
		if len(c.DNSNames) > 0 {
			line += " -extfile <(printf " + unmark("subjectAltName=DNS:"+strings.Join(c.DNSNames, ",DNS:")) + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// setCommands sets each variable.
func setCommands(all steps.Set) (string, []string, bool) {
	var lines []string
	for _, name := range all.Defines() {
		v := all[name]
		if v.Get == "" {
			lines = append(lines, name+"="+unmark(v.Value))
			continue
		}
		if v.JSONPath == "" { // kubectl wants one
			return "", nil, false
		}
		args := []string{"get", v.Get}
		if v.Name != "" {
			args = append(args, v.Name)
		}
		if v.Selector != "" {
			args = append(args, "-l", v.Selector)
		}
		args = append(args, "-o", "jsonpath="+v.JSONPath)
		lines = append(lines, name+"=$("+kubectlLine(v.Namespace, args...)+")")
	}
	return "$ export " + strings.Join(lines, " \\\n    "), nil, true
}

// waitCommand returns kubectl wait or kubectl rollout status.
func waitCommand(w *steps.Wait, s *runner.Step) (string, []string, bool) {
	if w.Contains != nil || w.Not != nil || w.Length != nil || strings.Count(w.For, "{") > 1 || strings.HasPrefix(w.For, "jsonpath=") && !strings.Contains(w.For, "}'=") {
		return "", nil, false
	}
	limit, said := "", []string(nil)
	if text := seconds(s.Within); text != "" {
		limit, said = " --timeout="+text, []string{"within"}
	}
	objects := []string{w.Object}
	if w.Selector != "" {
		objects = append(objects, "-l", w.Selector)
	}
	if w.For == "rollout" {
		return typed(w.Namespace, append([]string{"rollout", "status"}, objects...)...) + limit, said, true
	}
	return typed(w.Namespace, append([]string{"wait", "--for=" + w.For}, objects...)...) + limit, said, true
}

// seconds writes a duration as pages have it; "" where it is no whole number of seconds.
func seconds(d time.Duration) string {
	switch {
	case d > 0 && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d > 0 && d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return ""
}

// podCommand returns kubectl exec or kubectl logs up to the container.
func podCommand(verb string, in steps.Pod, namespace, container string) string {
	line := kubectlLine(namespace, verb)
	if in.Selector != "" {
		line += ` "$(` + kubectlLine(namespace, "get", "pod", "-l", in.Selector, "-o", "jsonpath={.items[0].metadata.name}") + `)"`
	} else {
		line += " " + unmark(in.Name)
	}
	if container != "" {
		line += " -c " + unmark(container)
	}
	return line
}

func execCommand(e *steps.Exec, n *yaml.Node) (string, []string, bool) {
	if e.Stdin != "" {
		return "", nil, false
	}
	line := podCommand("exec", e.In, e.Namespace, e.Container) + " --"
	for _, word := range e.Argv {
		line += " " + unmark(word)
	}
	var said []string
	if want := key(n, "expect"); want != nil && !isVerbose(n) && len(want.Content) == 2 && want.Content[0].Value == "exitCode" && want.Content[1].Kind == yaml.ScalarNode && want.Content[1].Value != "0" {
		said = append(said, "expect")
	}
	return "$ " + line, said, true
}
