package internet

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxText is how many bytes a [Record] keeps of each text that a client sends.
const maxText = 4 << 10

// cut returns the beginning of a text: whole characters of at most n bytes.
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

// Plain returns a text in a form that a terminal can show: in one line and without
// control sequences. A character that is not printable or not valid UTF-8 becomes an
// escape as in JSON, such as \u001b.
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

// unprintable reports whether a terminal may do something with a character other than
// show it.
func unprintable(c rune) bool { return !unicode.IsPrint(c) || c == utf8.RuneError }
