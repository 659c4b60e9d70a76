package explain_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/explain"
)

var update = flag.Bool("update", false, "write docs/explaining.md anew")

// The documentation says what the code does.
func TestDocument(t *testing.T) {
	const file = "../docs/explaining.md"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(explain.Document()), 0o666))
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, explain.Document(), string(text), "go test ./explain -run TestDocument -update")
}

// Each code names one cause.
func TestEachCauseHasItsCode(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range explain.Families() {
		for _, c := range f.Causes {
			assert.False(t, seen[c.Code], c.Code)
			assert.NotEmpty(t, c.Symptom, c.Code)
			assert.NotEmpty(t, c.What, c.Code)
			assert.NotEmpty(t, c.Cure, c.Code)
			seen[c.Code] = true
		}
	}
}
