package runner

import (
	"strings"
	"unicode/utf8"
)

// maxShown is how much of a step's output goes into an event, in bytes.
const maxShown = 64 << 10

// Plain returns text that a terminal shows as it is: without escape sequences
// and control characters (line feeds and tabs stay, CR LF becomes a line
// feed), as valid UTF-8, and at most 64 KiB of it. Output from pods is not to
// be trusted with the reader's terminal.
func Plain(text string) string {
	cut := false
	if len(text) > maxShown {
		text, cut = text[:maxShown], true
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			b.WriteRune(utf8.RuneError)
		case c == 0x1b || c == 0x9b:
			size = escapeLen(text[i:], size)
		case c == '\n' || c == '\t':
			b.WriteRune(c)
		case c < 0x20 || 0x7f <= c && c <= 0x9f:
		case 0x202a <= c && c <= 0x202e || 0x2066 <= c && c <= 0x2069: // reorders what is shown
		default:
			b.WriteRune(c)
		}
		i += size
	}
	if cut {
		b.WriteString("\n… (more was cut)")
	}
	return b.String()
}

// escapeLen returns the length of the escape sequence at the start of s, whose
// first character has the given size (ECMA-48, "Control functions").
func escapeLen(s string, size int) int {
	csi := s[0] != 0x1b // the 8-bit form of ESC [
	i := size
	if !csi {
		if i >= len(s) {
			return i
		}
		switch s[i] {
		case '[':
			csi = true
			i++
		case ']', 'P', 'X', '^', '_': // a string, up to BEL or ESC \
			for i++; i < len(s); i++ {
				if s[i] == 0x07 {
					return i + 1
				}
				if s[i] == 0x1b {
					if i+1 < len(s) && s[i+1] == '\\' {
						return i + 2
					}
					return i
				}
			}
			return i
		default:
			for i < len(s) && 0x20 <= s[i] && s[i] <= 0x2f {
				i++
			}
			if i < len(s) && 0x30 <= s[i] && s[i] <= 0x7e {
				i++
			}
			return i
		}
	}
	for i < len(s) && 0x20 <= s[i] && s[i] <= 0x3f {
		i++
	}
	if i < len(s) && 0x40 <= s[i] && s[i] <= 0x7e {
		i++
	}
	return i
}
