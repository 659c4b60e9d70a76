package pages

import (
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"
)

// saysFailure matches a sentence that says that a command fails, or should fail.
var saysFailure = regexp.MustCompile(`(?i)\b(?:should|must|will|does|do|is|are|can|could|would)(?: not|n't|not)\b[^.]{0,30}\b(?:succeed|work|reach\w*|connect\w*|able|allowed|accessible|respond\w*)\b` +
	`|\b(?:should|must|will|to|it|request|requests|command|connection|call|curl|access|this|that|and)\s+(?:now\s+|be\s+|is\s+|are\s+|also\s+|then\s+|get\s+|gets\s+)*(?:fails?|failing|refused|denied|blocked|rejected|times? out|timed out)\b` +
	`|\b(?:returns?|gets?|see|with|fails?|receives?)\b[^.]{0,40}\bexit code [1-9]\d*\b` +
	`|失败|报错|被拒绝|실패|차단|не вда|відмов|fallará|falhar`)

// failureInWords notes a look without output whose failure the page announces only in words.
// Words are not read, so the step claims that the look succeeds.
func (m *mapper) failureInWords(st *statement, s settings, made []*yaml.Node) {
	if len(st.shown) > 0 || s.exit != "" || s.more != nil || st != m.lastOf(st.fence) {
		return
	}
	looks := slices.ContainsFunc(made, func(n *yaml.Node) bool {
		return (key(n, "exec") != nil || key(n, "shell") != nil) && key(n, "expect") == nil
	})
	if !looks {
		return
	}
	line, column := st.place(1, 1)
	for _, t := range []*prose{m.page.textBefore(st.fence.at), m.page.textBehind(st.fence.end)} {
		if t == nil {
			continue
		}
		if said := saysFailure.FindString(t.text); said != "" {
			m.note(place{line, column}, false, "line %d says %q, but words are not read: if the command fails, write its exit code, such as exit=35", t.at, said)
			return
		}
	}
}

// lastOf returns the last statement of a fence.
func (m *mapper) lastOf(f *fence) (last *statement) {
	for _, st := range m.statements {
		if st.fence == f {
			last = st
		}
	}
	return last
}
