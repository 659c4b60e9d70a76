package pages

import (
	"regexp"
	"strings"
)

// takesAway matches a heading under which a page takes away what it made, in the
// languages of Istio's pages.
var takesAway = regexp.MustCompile(`(?i)\bclean(?:ing)?[ -]?ups?\b|\btear(?:ing)?[ -]?down\b|^uninstall|^(?:remove|delete|shut ?down)\b|清理|清除|очищення|очистка|정리|삭제|limpieza|limpiar|limpeza|クリーンアップ|aufräumen|nettoyage`)

// cleansUpAlone matches a text that stands for such a heading. That something is removed
// may be a step of a page as well.
var cleansUpAlone = regexp.MustCompile(`(?i)^(?:to )?(?:clean(?:ing)?[ -]?ups?|tear(?:ing)?[ -]?down)\b|^(?:清理|清除|очищення|очистка|정리|limpieza|limpiar|limpeza|クリーンアップ|aufräumen|nettoyage)`)

// cleansUp reports whether a line lies in a section that takes away what the page
// made: below a heading that says so, or one of its own headings, or behind a text that
// says nothing else.
func (p *page) cleansUp(at int) bool {
	if f := p.fenceAt(at); f != nil {
		if t := p.textBefore(f.at); t != nil && len(strings.Fields(t.text)) <= 5 && cleansUpAlone.MatchString(t.text) {
			return true
		}
	}
	level := 7
	for i := len(p.prose) - 1; i >= 0; i-- {
		h := p.prose[i]
		if h.at >= at || h.level == 0 || h.level >= level {
			continue
		}
		level = h.level
		if level > 1 && takesAway.MatchString(strings.TrimSpace(h.text)) {
			return true
		}
	}
	return false
}
