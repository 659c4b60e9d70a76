package pages

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// A session is a shell in a pod that a page has opened: what follows is typed there.
type session struct {
	prefix  string // kubectl exec ..., without the shell
	section *prose
	fence   *fence // in which it was opened
}

// onHost are programs that only the host has, beside those that set up a cloud or a
// cluster.
var onHost = strings.Fields(`kubectl istioctl export helm openssl docker docker-compose podman git oc kubectx kubens kustomize envsubst
	linkerd cilium calicoctl kumactl meshctl glooctl kyma crictl ssh sudo brew vi vim nano`)

// elsewhere matches the words for commands that are typed in another shell than
// the one that is open.
var elsewhere = regexp.MustCompile(`(?i)\b(?:another|separate|new|second|different|other|host)\s+(?:terminal|shell|window|console|tab|session)\b|另一个终端|新的终端|다른 터미널|別のターミナル|otra terminal|іншому терміналі`)

// headOf returns the first word of a statement.
func headOf(st *statement) string {
	head, _, _ := strings.Cut(strings.TrimSpace(st.text()), " ")
	return head
}

// isOnHost reports whether a statement behind a shell in a pod is one of the host.
func (m *mapper) isOnHost(st *statement) bool {
	text := st.text()
	head := headOf(st)
	if slices.Contains(onHost, head) || notOurs[head] || m.page.headingBefore(st.lines[0].line) != m.session.section {
		return true
	}
	for _, inner := range []string{"| istioctl ", "| kubectl ", "$(istioctl ", "$(kubectl "} {
		if strings.Contains(text, inner) {
			return true
		}
	}
	t := m.page.textBefore(st.fence.at)
	return t != nil && t.at > m.session.fence.at && elsewhere.MatchString(t.text)
}

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
	whole := c.st.text()
	text := strings.TrimSpace(whole[:call.Args[k].Pos().Offset()])
	if behind := strings.TrimSpace(whole[call.Args[k].End().Offset():call.End().Offset()]); behind != "" && !strings.HasSuffix(text, "--") {
		text += " " + behind // flags of kubectl's own, as it took them before it wanted --
	}
	text = strings.TrimSuffix(strings.TrimSpace(strings.ReplaceAll(text, "\\\n", " ")), "--")
	if strings.Contains(text, "\n") {
		return cannot("", "a session in a pod is not known in this form")
	}
	m.session = &session{prefix: strings.TrimSpace(text), section: m.page.headingBefore(c.at.line), fence: c.st.fence}
	if len(c.st.shown) > 0 {
		m.note(place{c.st.shown[0].line, c.st.shown[0].column}, false, "what this shows is compared with nothing: it stands behind the opening of a shell")
	}
	m.shell = m.session
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
	if m.session == nil && m.shell != nil && st.inShell && !slices.Contains(onHost, headOf(st)) {
		m.note(place{st.lines[0].line, st.lines[0].column}, false, "typed in a pod's shell, as the prompt says: it is run where the last one was opened")
		return typedIn(st, m.shell.prefix)
	}
	s := m.session
	if s == nil {
		return st, nil
	}
	switch {
	case headOf(st) == "exit":
		m.session = nil
		return nil, nil
	case m.isOnHost(st):
		m.session = nil
		return st, nil
	}
	return typedIn(st, s.prefix)
}

// typedIn returns the statement on the host that a statement in a pod means. prefix is
// kubectl exec of the pod.
func typedIn(st *statement, prefix string) (*statement, error) {
	text := st.text()
	if isEndless(st.file) {
		return nil, endlessInPod()
	}
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
