package pages

import "github.com/egressplay/egressplay/shell"

// checkVerbLines refuses a change behind which the page shows what kubectl does not print.
func (m *mapper) checkVerbLines(c *command, k *shell.Kubectl) error {
	if onlyVerbLines(c.st.shown) || m.showsElse(c, "kubectl "+k.Verb) {
		return nil
	}
	return cannot("put what it shows into a fence of its own, behind the command that prints it", "the page shows of kubectl %s what it does not print", k.Verb)
}

// showsElse reports whether what stands behind a command, in a fence of its own, is of
// something else, which the text between speaks of and no command of the page shows: the
// pods that run by then, say. A note tells that it is compared with nothing. A fact that
// only a command prints, such as a status line, is none of these: it is a claim.
func (m *mapper) showsElse(c *command, what string) bool {
	first := c.st.shown[0]
	if first.line <= c.st.fence.end || showsFact(&fence{lines: c.st.shown}) {
		return false
	}
	m.note(place{first.line, first.column}, false, "what this shows is compared with nothing: %s does not print it", what)
	return true
}
