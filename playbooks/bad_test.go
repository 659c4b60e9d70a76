package playbooks

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/steps"
)

var update = flag.Bool("update", false, "write what came into the files that say what is wanted")

// noBuiltin stands for a program without built-in playbooks.
var noBuiltin = fstest.MapFS{}

// lists stands for the lists of kinds, so that a new kind changes no test.
var lists = func() *strings.Replacer {
	verbs := slices.Sorted(maps.Keys(steps.Kinds))
	keys := append(fill.Keys(fill.Fields(reflect.TypeFor[step]())), verbs...)
	slices.Sort(keys)
	return strings.NewReplacer(
		strings.Join(keys, ", "), "THE-KEYS-OF-A-STEP",
		strings.Join(verbs, ", "), "THE-VERBS",
		strings.Join(steps.Kinds["exec"].Expects, ", "), "WHAT-EXEC-SHOWS",
	)
}()

// TestBad loads the files of each archive in testdata/bad, and compares the
// errors with its part "want", character by character.
func TestBad(t *testing.T) {
	archives, err := filepath.Glob("testdata/bad/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, archives)
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(archive)
			require.NoError(t, err)
			full, err := filepath.Abs(archive)
			require.NoError(t, err)
			t.Chdir(t.TempDir())
			var args []string
			options := Options{Namespace: "default", IstioNamespace: "istio-system"}
			want := ""
			for _, f := range a.Files {
				switch {
				case f.Name == "want":
					want = string(f.Data)
					continue
				case f.Name == "set":
					options.Set = strings.Fields(string(f.Data))
					continue
				case strings.HasSuffix(f.Name, ".yaml"):
					args = append(args, f.Name)
				}
				require.NoError(t, os.WriteFile(f.Name, f.Data, 0o600))
			}
			_, err = load(noBuiltin, args, options)
			require.Error(t, err)
			got := lists.Replace(err.Error()) + "\n"
			if *update {
				a.Files[len(a.Files)-1] = txtar.File{Name: "want", Data: []byte(got)}
				require.NoError(t, os.WriteFile(full, txtar.Format(a), 0o600))
				return
			}
			assert.Equal(t, want, got)
			errs, ok := err.(Errors)
			require.True(t, ok)
			for _, e := range errs {
				if !strings.HasPrefix(e.File, "--set") {
					assert.Positive(t, e.Line)
					assert.Positive(t, e.Column)
				}
			}
		})
	}
}
