package playbooks

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each test that docs/guarantees.md names is there, in the folder that it names.
func TestTheTestsOfTheGuaranteesAreThere(t *testing.T) {
	text, err := os.ReadFile("../docs/guarantees.md")
	require.NoError(t, err)
	folder, named := "", 0
	for _, m := range regexp.MustCompile("`([a-z0-9/]+)` |(Test[A-Za-z]+)").FindAllStringSubmatch(string(text), -1) {
		if m[1] != "" {
			folder = m[1]
			continue
		}
		named++
		files, err := filepath.Glob("../" + folder + "/*_test.go")
		require.NoError(t, err)
		found := false
		for _, file := range files {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			found = found || regexp.MustCompile("(?m)^func "+m[2]+`\(`).Match(source)
		}
		assert.True(t, found, "%s has no %s", folder, m[2])
	}
	assert.Greater(t, named, 40)
}
