package pages

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// A session is a shell in a pod that a page has opened: what follows is typed there.
type session struct {
	prefix  string // kubectl exec ..., without the shell
	section *prose
}

// onHost are programs that only the host has.
var onHost = []string{"kubectl", "istioctl", "export", "helm", "gcloud", "az", "ibmcloud", "minikube", "openssl", "kind", "docker", "git"}

// open opens a session.
func (m *mapper) open(c *command) error {
	call, ok := c.st.file.Stmts[0].Cmd.(*syntax.CallExpr) // as it is now: a pod may have another name
	if !ok || len(c.st.file.Stmts) > 1 {
		return cannot("", "a session in a pod is not known in this form")
	}
	k := len(call.Args) - 1
	for k > 0 && !slices.Contains([]string{"sh", "bash", "ash", "/bin/sh", "/bin/bash"}, call.Args[k].Lit()) {
		k--
	}
	text := c.st.text()[:call.Args[k].Pos().Offset()]
	text = strings.TrimSuffix(strings.TrimSpace(strings.ReplaceAll(text, "\\\n", " ")), "--")
	if strings.Contains(text, "\n") {
		return cannot("", "a session in a pod is not known in this form")
	}
	m.session = &session{prefix: strings.TrimSpace(text), section: m.page.headingBefore(c.at.line)}
	m.note(c.at, false, "a shell in a pod: what follows is run there, up to exit or to a command that only the host has")
	return nil
}

// inSession returns the statement that what is typed in a session means on the
// host; nil where there is nothing to do. Without a session it is st itself.
func (m *mapper) inSession(st *statement) (*statement, error) {
	if st.pod != "" {
		m.note(place{st.lines[0].line, st.lines[0].column}, false, "typed in a pod, as the prompt says: it is run in %s", st.pod)
		return typedIn(st, "kubectl exec "+st.pod)
	}
	s := m.session
	if s == nil {
		return st, nil
	}
	text := st.text()
	head, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch {
	case head == "exit":
		m.session = nil
		return nil, nil
	case slices.Contains(onHost, head), strings.Contains(text, "| istioctl "), strings.Contains(text, "| kubectl "), m.page.headingBefore(st.lines[0].line) != s.section:
		m.session = nil
		return st, nil
	}
	return typedIn(st, s.prefix)
}

// typedIn returns the statement on the host that a statement in a pod means. prefix is
// kubectl exec of the pod.
func typedIn(st *statement, prefix string) (*statement, error) {
	text := st.text()
	there := *st
	command := text
	if len(st.file.Stmts) != 1 || strings.ContainsAny(text, "$`\n\\") || !isCall(st.file.Stmts[0]) {
		if strings.Contains(text, "'") {
			command = `sh -c "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(text) + `"`
		} else {
			command = "sh -c '" + text + "'"
		}
	}
	first := st.lines[0]
	first.text = prefix + " -- " + command
	if strings.Contains(command, "\n") {
		return nil, cannot("", "a command of several lines in a session is not known here")
	}
	there.lines = []line{first}
	file, _, problem := shell.Parse(there.text())
	if problem != nil {
		return nil, cannot("", "a shell cannot read this: %s", problem.Msg)
	}
	there.file = file
	return &there, nil
}

func isCall(stmt *syntax.Stmt) bool {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	return ok && len(call.Args) > 0 && len(call.Assigns) == 0 && len(stmt.Redirs) == 0 && !stmt.Background && !stmt.Negated
}
