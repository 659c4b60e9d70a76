package playbooks

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/runner"
)

// FuzzLoad loads any bytes: it never panics, each error has a place in the
// text, and what is accepted is accepted again and can be bound.
func FuzzLoad(f *testing.F) {
	for _, name := range builtinNames(builtin) {
		text, err := fs.ReadFile(builtin, name+".yaml")
		require.NoError(f, err)
		f.Add(text)
	}
	archives, err := filepath.Glob("testdata/bad/*.txtar")
	require.NoError(f, err)
	for _, archive := range archives {
		a, err := txtar.ParseFile(archive)
		require.NoError(f, err)
		f.Add(a.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, errs := loadBytes(text)
		again, errsAgain := loadBytes(text)
		require.Equal(t, errs, errsAgain)
		most := 1 + bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte("\r")) +
			bytes.Count(text, []byte("\u0085")) + bytes.Count(text, []byte("\u2028")) + bytes.Count(text, []byte("\u2029"))
		for _, e := range errs {
			assert.Equal(t, "f.yaml", e.File)
			assert.Positive(t, e.Line)
			assert.LessOrEqual(t, e.Line, most)
			assert.Positive(t, e.Column)
			assert.NotEmpty(t, e.Msg)
		}
		if len(errs) > 0 {
			return
		}
		require.Len(t, again.Steps, len(p.Steps))
		lookup := func(name string) (string, bool) {
			if value, set := p.Vars[name]; set {
				return value, true
			}
			return "x", true
		}
		for _, step := range p.Steps {
			action, checks, err := step.Bind(lookup)
			if err != nil { // a value may make a text what it must not be
				continue
			}
			assert.NotEmpty(t, action.Command(runner.NewScope(nil, p.Vars)))
			for _, c := range checks {
				assert.NotNil(t, c.Expectation)
				assert.NotEmpty(t, c.Key)
				if c.Position != nil {
					assert.Positive(t, c.Position([]string{"0", "status"}).Line)
				}
			}
		}
	})
}

func loadBytes(text []byte) (*runner.Playbook, Errors) {
	l := &loader{decoder: fill.Decoder{File: "f.yaml"}, source: Source{File: "f.yaml", Data: text}}
	p := l.playbook(func(string) ([]byte, string, error) { return nil, "", errors.New("no such file") })
	return p, l.decoder.Errs.Sorted()
}
