package pages

import (
	"regexp"
	"strings"
)

// switches returns the tabs to run of tabs that undo each other, by their sets: each
// sets another outbound traffic policy, and the page goes on with one of them, with
// that which it shows next. Where it shows none, the choice is the reader's and the
// tab is nil.
func (m *mapper) switches() map[int]*tab {
	type side struct {
		tab  *tab
		mode string
	}
	sets := map[int][]side{}
	last := map[int]int{} // the line of the last statement in each set
	for _, st := range m.statements {
		t := st.fence.tab
		if t == nil {
			continue
		}
		sets[t.set] = append(sets[t.set], side{t, policySet(st)})
		last[t.set] = st.fence.end
	}
	all := map[int]*tab{}
	for set, sides := range sets {
		modes := map[string]*tab{}
		for _, s := range sides {
			if s.mode != "" && modes[s.mode] == nil {
				modes[s.mode] = s.tab
			}
		}
		if len(sides) == 2 && len(modes) == 2 && sides[0].tab.name != sides[1].tab.name {
			all[set] = modes[m.policyShown(last[set])]
		}
	}
	return all
}

// policySet returns the outbound traffic policy that a statement sets by sed; "" for
// none.
func policySet(st *statement) string {
	text := strings.Join(strings.Fields(strings.ReplaceAll(st.text(), "\\\n", " ")), " ")
	if g := replaced.FindStringSubmatch(text); g != nil {
		return g[1]
	}
	return ""
}

// policyShown returns the outbound traffic policy that the page shows first behind a
// line; "" for none.
func (m *mapper) policyShown(behind int) string {
	for _, st := range m.statements {
		for _, l := range st.shown {
			if g := modeLine.FindStringSubmatch(l.text); g != nil && l.line > behind {
				return g[1]
			}
		}
	}
	return ""
}

var looksForMode = regexp.MustCompile(`^kubectl get (?:cm|configmap) istio -n istio-system .*\bmode: (ALLOW_ANY|REGISTRY_ONLY)\b`)

// asksPolicy reports whether a statement is one of two in its fence that each look for one
// outbound traffic policy, where the text behind them says that it may be either. What the
// page shows of them is no claim then.
func (m *mapper) asksPolicy(st *statement) bool {
	modes := map[string]bool{}
	for _, other := range m.statements {
		if other.fence != st.fence {
			continue
		}
		g := looksForMode.FindStringSubmatch(other.text())
		if g == nil {
			return false
		}
		modes[g[1]] = true
	}
	return len(modes) == 2 && saysEither(m.page.textBehind(st.fence.end))
}

var eitherMode = regexp.MustCompile("(?:ALLOW_ANY|REGISTRY_ONLY)`?\\s*(?:or|或者?|또는|または|або|o|ou|oder)\\s*`?(?:mode: )?(?:ALLOW_ANY|REGISTRY_ONLY)")

// saysEither reports whether a text names both policies as what may be.
func saysEither(t *prose) bool { return t != nil && eitherMode.MatchString(t.text) }
