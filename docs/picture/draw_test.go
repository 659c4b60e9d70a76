package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDraw(t *testing.T) {
	svg := draw("run <a>", "\x1b[1mbold\x1b[0m  \x1b[2;31mdim\x1b[0m\n\n  a & b\n")

	var texts []string
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if s, ok := token.(xml.CharData); ok && strings.TrimSpace(string(s)) != "" {
			texts = append(texts, string(s))
		}
	}
	assert.Equal(t, []string{"$", "run <a>", "bold", "dim", "a & b"}, texts)
	assert.Contains(t, svg, `<text x="74.4" y="95" textLength="25.2" lengthAdjust="spacingAndGlyphs" fill="#ff7b72" opacity="0.7">dim`)
	assert.NotContains(t, svg, "\x1b")
}
