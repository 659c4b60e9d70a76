package internet

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxText is how many bytes a [Record] keeps of each text that a client sends.
const maxText = 4 << 10

// cut returns the beginning of a text, at most n bytes of whole characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

const hexDigits = "0123456789abcdef"

// Plain returns a text as a terminal can show it: on one line and without
// anything that a terminal obeys. A character that is not printable, or that is
// no UTF-8, becomes an escape as in JSON, such as \u001b.
func Plain(text string) string {
	if !strings.ContainsFunc(text, unprintable) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, c := range text {
		if !unprintable(c) {
			b.WriteRune(c)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, c) {
			b.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(hexDigits[unit>>shift&0xf])
			}
		}
	}
	return b.String()
}

// unprintable reports whether a terminal may do something else with a character
// than show it.
func unprintable(c rune) bool { return !unicode.IsPrint(c) || c == utf8.RuneError }
