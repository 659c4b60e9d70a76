package transcript_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/transcript"
)

// docs/reports.md has each format, with what it is in a row.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/reports.md")
	require.NoError(t, err)
	for name, format := range transcript.Formats {
		assert.Contains(t, string(text), "| `"+name+"` | ")
		assert.NotEmpty(t, format.About)
	}
}
