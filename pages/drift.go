package pages

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/runner"
)

// A Drift is something in which a page and a playbook are not the same.
type Drift struct {
	File string
	Line int
	Text string
}

func (d Drift) String() string { return fmt.Sprintf("%s:%d: %s", d.File, d.Line, d.Text) }

// Drifted returns in what a page, as it is read, and a playbook differ, and how many
// steps are the same. Steps are matched in order: by all that they say, and between
// those by what they do or by their titles.
func Drifted(page, playbook *runner.Playbook) (all []Drift, same int) {
	for _, d := range compare(headData(page), headData(playbook)) {
		if d.what != "name" && d.what != "internet" { // the file's text, with its lines
			all = append(all, Drift{page.File, 1, said(d)})
		}
	}
	p, q := page.Steps, playbook.Steps
	equal := func(i, j int) bool { return len(sameStep(&p[i], &q[j])) == 0 }
	alike := func(i, j int) bool {
		return p[i].Kind == q[j].Kind && (p[i].Title == q[j].Title || sameAction(&p[i], &q[j]))
	}
	between := func(i, j, to, until int, match func(i, j int) bool, then func(i, j, to, until int)) {
		first, second := i, j
		for _, pair := range expect.InOrder(to-i, until-j, func(a, b int) bool { return match(first+a, second+b) }) {
			a, b := first+pair[0], second+pair[1]
			then(i, j, a, b)
			if diff := sameStep(&p[a], &q[b]); len(diff) == 0 {
				same++
			} else {
				for _, d := range diff {
					all = append(all, Drift{page.File, p[a].Line, fmt.Sprintf("%s: %s", p[a].Title, said(d))})
				}
			}
			i, j = a+1, b+1
		}
		then(i, j, to, until)
	}
	between(0, 0, len(p), len(q), equal, func(i, j, to, until int) {
		between(i, j, to, until, alike, func(i, j, to, until int) {
			for ; i < to; i++ {
				all = append(all, Drift{page.File, p[i].Line, "not in the playbook: " + p[i].Title})
			}
			for ; j < until; j++ {
				all = append(all, Drift{playbook.File, q[j].Line, "not on the page: " + q[j].Title})
			}
		})
	})
	return all, same
}

// said returns in words how two values differ.
func said(d difference) string {
	text := func(v string) string {
		if v == "" {
			return "nothing"
		}
		return marks.ReplaceAllString(v, "$${$1}")
	}
	return fmt.Sprintf("%s is %s on the page, %s in the playbook", strings.TrimPrefix(d.what, "."), text(d.left), text(d.right))
}

// sameAction reports whether two steps do the same, whatever they expect.
func sameAction(a, b *runner.Step) bool {
	return !slices.ContainsFunc(sameStep(a, b), func(d difference) bool {
		return d.what == a.Kind || strings.HasPrefix(d.what, a.Kind+".")
	})
}
