package worlds

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/steps"
)

// TestWorlds checks that the worlds are playbooks that can be run, and that the ids of
// their claims are valid.
func TestWorlds(t *testing.T) {
	paths, err := Write(t.TempDir())
	require.NoError(t, err)
	names := map[string]bool{change: true} // those that may catch a lie
	for name := range expect.Kinds {
		names[strings.ToLower(name)] = true
	}
	for name := range steps.Kinds {
		names[name] = true
	}
	lies, honests, caughtBy := 0, 0, map[string]bool{}
	for _, path := range paths {
		_, err := playbooks.Load([]string{path}, playbooks.Options{})
		require.NoError(t, err)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var world struct {
			Name  string
			Steps []struct {
				ID       string
				Title    string
				Within   string
				Continue bool
			}
		}
		require.NoError(t, yaml.Unmarshal(text, &world))
		assert.Equal(t, world.Name+".yaml", filepath.Base(path))
		for _, s := range world.Steps {
			kind, by := declared(s.ID)
			assert.Equal(t, s.ID != "", kind != "", "%s: %q makes a claim, or has no id", path, s.Title)
			if kind == "" {
				continue
			}
			assert.True(t, s.Continue, "%s: %s: what follows shall be tried, too", path, s.ID)
			if kind == honest {
				honests++
				continue
			}
			lies++
			caughtBy[by] = true
			assert.True(t, names[by], "%s: %s: there is no expectation and no verb %s", path, s.ID, by)
			assert.NotEmpty(t, s.Within, "%s: %s: a lie is not waited for", path, s.ID)
		}
	}
	for name := range expect.Kinds {
		assert.True(t, caughtBy[strings.ToLower(name)], "nobody tries to deceive %s", name)
	}
	assert.GreaterOrEqual(t, lies, 60)
	assert.GreaterOrEqual(t, honests, 60)
}
