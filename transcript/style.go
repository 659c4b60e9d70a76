package transcript

import (
	"io"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	"github.com/egressplay/egressplay/runner"
)

// palette has the few looks of a transcript. The colours are the sixteen that
// every terminal has, so they follow the reader's own theme.
type palette struct {
	strong, accent, faint, good, bad, warn lipgloss.Style
}

func newPalette(w io.Writer, color bool) palette {
	r := lipgloss.NewRenderer(w)
	r.SetColorProfile(termenv.Ascii)
	if color {
		r.SetColorProfile(termenv.ANSI)
	}
	style := r.NewStyle
	return palette{
		strong: style().Bold(true),
		accent: style().Foreground(lipgloss.Color("6")),
		faint:  style().Faint(true),
		good:   style().Foreground(lipgloss.Color("2")),
		bad:    style().Foreground(lipgloss.Color("1")),
		warn:   style().Foreground(lipgloss.Color("3")),
	}
}

// mark returns the sign of a status and its look.
func (p palette) mark(s runner.Status) (string, lipgloss.Style) {
	switch s {
	case runner.Passed:
		return "✓", p.good
	case runner.Failed:
		return "✗", p.bad
	case runner.Skipped:
		return "○", p.faint
	default:
		return "!", p.bad
	}
}
