package main

import (
	"fmt"
	"html"
	"regexp"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Measures in pixels, for a monospaced font at 14 pixels.
const (
	charWidth  = 8.4
	lineHeight = 20
	padding    = 24
	titleBar   = 40
)

const (
	background = "#0d1117"
	foreground = "#e6edf3"
	faint      = "#8b949e"
)

// colors are those of the SGR parameters 30 to 37, on a dark background.
var colors = [8]string{"#6e7681", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#e6edf3"}

// A look is what the SGR parameters before a text ask for
// (ECMA-48, "SELECT GRAPHIC RENDITION").
type look struct {
	bold, faint bool
	color       string
}

var sgr = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// draw returns an SVG of what a command printed.
func draw(command, text string) string {
	text = strings.TrimRight(text, "\n")
	if command != "" {
		text = "\x1b[36m$\x1b[0m \x1b[1m" + command + "\x1b[0m\n\n" + text
	}
	lines := strings.Split(text, "\n")
	columns := 0
	for _, l := range lines {
		columns = max(columns, ansi.StringWidth(l))
	}
	width := float64(columns)*charWidth + 2*padding
	height := titleBar + len(lines)*lineHeight + padding

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" role="img" aria-label="%s">`+"\n",
		width, height, width, height, html.EscapeString(command))
	fmt.Fprintf(&b, `<rect x="0.5" y="0.5" width="%.0f" height="%d" rx="10" fill="%s" stroke="#30363d"/>`+"\n", width-1, height-1, background)
	for i, color := range []string{"#ff5f57", "#febc2e", "#28c840"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="20" r="6" fill="%s"/>`+"\n", padding+i*20, color)
	}
	fmt.Fprintf(&b, `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="%s" xml:space="preserve" style="white-space:pre">`+"\n", foreground)
	for i, l := range lines {
		drawLine(&b, l, titleBar+(i+1)*lineHeight-5)
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

// drawLine writes the parts of a line. Each says where it begins and how wide
// it is, so that columns stay columns whatever font the reader has.
func drawLine(b *strings.Builder, line string, y int) {
	var now look
	column := 0
	for line != "" {
		part := line
		at := sgr.FindStringSubmatchIndex(line)
		if at != nil {
			part = line[:at[0]]
		}
		columns := ansi.StringWidth(part)
		if text := strings.TrimLeft(part, " "); text != "" {
			skip := columns - ansi.StringWidth(text)
			fmt.Fprintf(b, `<text x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>`+"\n",
				padding+float64(column+skip)*charWidth, y, float64(columns-skip)*charWidth, now, html.EscapeString(text))
		}
		column += columns
		if at == nil {
			return
		}
		now = now.with(line[at[2]:at[3]])
		line = line[at[1]:]
	}
}

// with returns the look after SGR parameters. Of what it does not know it takes
// no notice.
func (l look) with(parameters string) look {
	for p := range strings.SplitSeq(parameters, ";") {
		n, _ := strconv.Atoi(p) // none is 0
		switch {
		case n == 0:
			l = look{}
		case n == 1:
			l.bold = true
		case n == 2:
			l.faint = true
		case n == 22:
			l.bold, l.faint = false, false
		case 30 <= n && n <= 37:
			l.color = colors[n-30]
		case n == 39:
			l.color = ""
		}
	}
	return l
}

// String returns the look as attributes.
func (l look) String() string {
	attributes := ""
	if l.bold {
		attributes += ` font-weight="600"`
	}
	switch {
	case l.color != "" && l.faint:
		attributes += fmt.Sprintf(` fill="%s" opacity="0.7"`, l.color)
	case l.color != "":
		attributes += fmt.Sprintf(` fill="%s"`, l.color)
	case l.faint:
		attributes += fmt.Sprintf(` fill="%s"`, faint)
	}
	return attributes
}
