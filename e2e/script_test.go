//go:build lab

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A script is the text of a playbook that a test changes, as somebody would in
// an editor: what is not changed stays as it is, line by line. A change that
// changes nothing fails the test.
type script struct {
	t    *testing.T
	text string
}

// builtin returns a built-in playbook.
func builtin(t *testing.T, name string) *script {
	t.Helper()
	e := egressplay(t, "show", name)
	e.exits(t, 0)
	return &script{t, e.stdout}
}

// playbook returns a playbook with these steps, each as it stands in YAML
// behind its title.
func playbook(t *testing.T, steps ...string) *script {
	t.Helper()
	var b strings.Builder
	b.WriteString("apiVersion: egressplay/v1\nkind: Playbook\nname: test\nsteps:\n")
	for _, s := range steps {
		b.WriteString("- title: ")
		b.WriteString(strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  "))
		b.WriteString("\n")
	}
	return &script{t, b.String()}
}

const stepStart = "\n- title: "

// bounds returns where a step is in the text, with the line feed before it.
func (s *script) bounds(title string) (start, end int) {
	s.t.Helper()
	start = strings.Index(s.text, stepStart+title+"\n")
	require.GreaterOrEqual(s.t, start, 0, "the playbook has no step %q:\n%s", title, s.text)
	end = len(s.text)
	if next := strings.Index(s.text[start+1:], stepStart); next >= 0 {
		end = start + 1 + next
	}
	return start, end
}

// line returns the line at which a step begins.
func (s *script) line(title string) int {
	s.t.Helper()
	start, _ := s.bounds(title)
	return strings.Count(s.text[:start+1], "\n") + 1
}

// without removes steps.
func (s *script) without(titles ...string) *script {
	s.t.Helper()
	for _, title := range titles {
		start, end := s.bounds(title)
		s.text = s.text[:start] + s.text[end:]
	}
	return s
}

// upTo removes what comes after a step.
func (s *script) upTo(title string) *script {
	s.t.Helper()
	_, end := s.bounds(title)
	s.text = strings.TrimRight(s.text[:end], "\n") + "\n"
	return s
}

// withoutDocument removes a document from the manifest of a step: the one that
// has this line. It must not be the first.
func (s *script) withoutDocument(title, line string) *script {
	s.t.Helper()
	start, end := s.bounds(title)
	const separator = "\n    ---\n"
	documents := strings.Split(s.text[start:end], separator)
	for i := 1; i < len(documents); i++ {
		if strings.Contains("\n"+documents[i]+"\n", "\n    "+line+"\n") {
			documents = append(documents[:i], documents[i+1:]...)
			text := strings.TrimRight(strings.Join(documents, separator), "\n") + "\n"
			s.text = s.text[:start] + text + s.text[end:]
			return s
		}
	}
	require.Fail(s.t, "no such document", "the manifest of %q has none with %q", title, line)
	return s
}

// replace changes a text in a step, where it occurs first.
func (s *script) replace(title, old, new string) *script {
	s.t.Helper()
	start, end := s.bounds(title)
	step := s.text[start:end]
	require.Contains(s.t, step, old)
	s.text = s.text[:start] + strings.Replace(step, old, new, 1) + s.text[end:]
	return s
}

// within gives the expectations of a step less time, so that a test of their
// failure does not take long.
func (s *script) within(title, duration string) *script {
	s.t.Helper()
	return s.replace(title, stepStart+title+"\n", stepStart+title+"\n  within: "+duration+"\n")
}

// file writes the playbook to a file and returns its path.
func (s *script) file() string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "test.yaml")
	require.NoError(s.t, os.WriteFile(path, []byte(s.text), 0o644))
	return path
}
