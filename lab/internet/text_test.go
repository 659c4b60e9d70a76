package internet

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		`GET /a?b="c" – é 日本 🙂`:  `GET /a?b="c" – é 日本 🙂`,
		"a\x1b[31mb":             `a\u001b[31mb`,
		"a\nb\tc\r\x7f":          `a\u000ab\u0009c\u000d\u007f`,
		"a\u009b31mb":            `a\u009b31mb`,
		"\u202eolleh\u2066":      `\u202eolleh\u2066`,
		"\U000e0041":             `\udb40\udc41`,
		"\xff\x9b":               `\ufffd\ufffd`,
		"no break\u00a0\u2028":   `no break\u00a0\u2028`,
		strings.Repeat("x", 1e6): strings.Repeat("x", 1e6),
	} {
		assert.Equal(t, want, Plain(text))
	}
}

func TestTextIsCut(t *testing.T) {
	assert.Equal(t, "abc", cut("abc", 3))
	assert.Equal(t, "ab", cut("abc", 2))
	assert.Equal(t, "aé", cut("aéé", 4), "characters are whole")
	assert.True(t, utf8.ValidString(cut(strings.Repeat("日", 100), 50)))
	assert.LessOrEqual(t, len(cut("\x80\x80\x80", 2)), 2)
}
