package pages

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/shell"
)

// An Output is what a step of a page's run showed.
type Output struct {
	Text string
	// ExitCode is that of a command in a pod.
	ExitCode int
	// Script says that the step is a script, whose text has all exit codes in it.
	Script bool
}

// Update returns a page whose shown outputs are true of a run, by the lines of the
// page at which its steps stand, and the lines that it changes. What a page shows and
// what holds stays as it is, with its ellipses and with the names, addresses and times
// that it has.
func Update(page string, outputs map[int]Output) (updated string, changed []int) {
	lines := strings.Split(page, "\n")
	statements, _, _ := split(read(page))
	slices.Reverse(statements) // so that the lines in front keep their numbers
	for _, st := range statements {
		at, _ := st.place(1, 1)
		out, ran := outputs[at]
		if !ran || len(st.shown) == 0 || st.file == nil {
			continue
		}
		var texts []string
		for _, l := range st.shown {
			texts = append(texts, l.text)
		}
		shown := strings.Join(texts, "\n") + "\n"
		real, codes := out.shown(st)
		mended := expect.Mend(shown, real, codes, isLog(st))
		if mended == shown {
			continue
		}
		first, last := st.shown[0], st.shown[len(st.shown)-1]
		prefix := string([]rune(lines[first.line-1])[:first.column-1])
		var with []string
		for _, l := range strings.Split(strings.TrimRight(mended, "\n"), "\n") {
			with = append(with, strings.TrimRight(prefix+l, " "))
		}
		lines = slices.Replace(lines, first.line-1, last.line, with...)
		changed = append(changed, first.line)
	}
	slices.Sort(changed)
	return strings.Join(lines, "\n"), changed
}

var codesIn = regexp.MustCompile(`(?m)^command terminated with exit code (\d+)$`)

// shown returns the text of an output as the page's own command prints it, and the exit
// codes of its commands in pods.
func (o Output) shown(st *statement) (text string, codes []int) {
	text = o.Text
	if !o.Script {
		// The step runs without grep, which the page has.
		if pattern, ok := grepOf(st); ok {
			var kept []string
			for _, l := range strings.Split(text, "\n") {
				if pattern.MatchString(l) {
					kept = append(kept, strings.TrimRight(l, "\r"))
				}
			}
			text = strings.Join(append(kept, ""), "\n")
		}
		if o.ExitCode != 0 && !codesIn.MatchString(text) {
			text += fmt.Sprintf("%s%d\n", terminated, o.ExitCode)
		}
	}
	for _, g := range codesIn.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(g[1])
		codes = append(codes, n)
	}
	if len(codes) == 0 {
		codes = []int{0}
	}
	return text, codes
}

// grepOf returns what the grep behind a statement's command looks for.
func grepOf(st *statement) (*regexp.Regexp, bool) {
	if len(st.file.Stmts) != 1 {
		return nil, false
	}
	all := stages(st.file.Stmts[0])
	if len(all) != 2 {
		return nil, false
	}
	call, ok := all[1].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) < 2 || call.Args[0].Lit() != "grep" {
		return nil, false
	}
	m := &mapper{values: map[string]string{}}
	texts, _, _ := m.wordsOf(call)
	pattern, ok := shell.Pattern(texts[1:])
	if !ok {
		return nil, false
	}
	re, err := regexp.Compile(pattern)
	return re, err == nil
}

// isLog reports whether a statement shows a log, which may have other lines as well.
func isLog(st *statement) bool {
	call, ok := stages(st.file.Stmts[0])[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "kubectl" {
		return false
	}
	m := &mapper{values: map[string]string{}}
	texts, _, _ := m.wordsOf(call)
	k, err := shell.ParseKubectl(texts)
	return err == nil && k.Verb == "logs"
}

// Patch returns what differs between two texts of a file, as diff -u writes it.
func Patch(file, old, new string) string {
	a, b := strings.SplitAfter(old, "\n"), strings.SplitAfter(new, "\n")
	if a[len(a)-1] == "" {
		a = a[:len(a)-1]
	}
	if b[len(b)-1] == "" {
		b = b[:len(b)-1]
	}
	type edit struct{ i, to, j, until int } // lines i to (without to) of a become j to until of b
	var edits []edit
	i, j := 0, 0
	pairs := append(commonLines(a, b), [2]int{len(a), len(b)})
	for _, p := range pairs {
		if p[0] > i || p[1] > j {
			edits = append(edits, edit{i, p[0], j, p[1]})
		}
		i, j = p[0]+1, p[1]+1
	}
	if len(edits) == 0 {
		return ""
	}
	const context = 3
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", file, file)
	line := func(mark, text string) {
		out.WriteString(mark + strings.TrimSuffix(text, "\n") + "\n")
		if !strings.HasSuffix(text, "\n") {
			out.WriteString("\\ No newline at end of file\n")
		}
	}
	for len(edits) > 0 {
		n := 1
		for n < len(edits) && edits[n].i-edits[n-1].to <= 2*context {
			n++
		}
		hunk := edits[:n]
		edits = edits[n:]
		from, to := max(0, hunk[0].i-context), min(len(a), hunk[n-1].to+context)
		start, end := hunk[0].j-(hunk[0].i-from), hunk[n-1].until+(to-hunk[n-1].to)
		fmt.Fprintf(&out, "@@ -%s +%s @@\n", span(from, to), span(start, end))
		at := from
		for _, e := range hunk {
			for ; at < e.i; at++ {
				line(" ", a[at])
			}
			for ; at < e.to; at++ {
				line("-", a[at])
			}
			for j := e.j; j < e.until; j++ {
				line("+", b[j])
			}
		}
		for ; at < to; at++ {
			line(" ", a[at])
		}
	}
	return out.String()
}

// span writes lines from to (without to), counted from 0, as diff does.
func span(from, to int) string {
	if from == to {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

// commonLines returns the lines that two texts have in common: what is equal at both ends,
// and between these the longest series.
func commonLines(a, b []string) (pairs [][2]int) {
	first := 0
	for first < len(a) && first < len(b) && a[first] == b[first] {
		pairs = append(pairs, [2]int{first, first})
		first++
	}
	last := 0
	for last < len(a)-first && last < len(b)-first && a[len(a)-1-last] == b[len(b)-1-last] {
		last++
	}
	for _, p := range expect.InOrder(len(a)-first-last, len(b)-first-last, func(i, j int) bool { return a[first+i] == b[first+j] }) {
		pairs = append(pairs, [2]int{first + p[0], first + p[1]})
	}
	for ; last > 0; last-- {
		pairs = append(pairs, [2]int{len(a) - last, len(b) - last})
	}
	return pairs
}
