package pages

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/shell"
)

// TestCorpusSample reads pages of other people and compares steps with what a person
// would do there, which testdata/corpus.yaml has: it was drawn at random from all
// statements that become steps, and each was held to its page by eye.
func TestCorpusSample(t *testing.T) {
	folder := filepath.Join(cmp.Or(os.Getenv("EGRESSPLAY_SHARED"), filepath.Join("..", "..", "shared")), "corpus")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the pages are not here: EGRESSPLAY_SHARED names the folder with corpus/")
	}
	data, err := os.ReadFile(filepath.Join("testdata", "corpus.yaml"))
	require.NoError(t, err)
	var want map[string]map[int][]string
	require.NoError(t, yaml.Unmarshal(data, &want))
	n := 0
	for page, lines := range want {
		files, err := filepath.Glob(filepath.Join(folder, page+"-*.md"))
		require.NoError(t, err)
		require.Len(t, files, 1, page)
		got := stepsAt(t, files[0])
		for line, steps := range lines {
			assert.Equal(t, steps, got[line], "%s:%d", page, line)
			n++
		}
	}
	assert.GreaterOrEqual(t, len(want), 20)
	assert.GreaterOrEqual(t, n, 60)
	t.Logf("%d statements of %d pages", n, len(want))
}

// stepsAt returns what a page's steps are, by the lines of their statements.
func stepsAt(t *testing.T, file string) map[int][]string {
	t.Helper()
	r := NewReader(Options{SkipUnmapped: true, Read: os.ReadFile})
	s, err := playbooks.FindSource(file, playbooks.Options{Readers: map[string]playbooks.Reader{".md": r.Read}})
	require.NoError(t, err)
	root, errs := r.Read(s)
	require.NotNil(t, root, "%v", errs)
	all := map[int][]string{}
	for _, n := range key(root, "steps").Content {
		all[n.Line] = append(all[n.Line], summary(t, n))
	}
	return all
}

// summary says in short what a step does and what it expects.
func summary(t *testing.T, n *yaml.Node) string {
	t.Helper()
	verb := n.Content[2].Value
	v := key(n, verb)
	short := func(n *yaml.Node) string {
		n = deepCopy(n)
		flow(n)
		text, err := yaml.Marshal(n)
		require.NoError(t, err)
		return strings.Join(strings.Fields(string(text)), " ")
	}
	switch verb {
	case "apply":
		in := ""
		if ns := valueOf(v, "namespace"); ns != "" {
			in = " into " + ns
		}
		if files := key(v, "files"); files != nil {
			return "apply " + short(files) + in
		}
		text := v.Value
		if v.Kind == yaml.MappingNode {
			text = valueOf(v, "manifest")
		}
		objects, err := objectsOfText(text)
		require.NoError(t, err)
		var names []string
		for _, o := range objects {
			names = append(names, strings.TrimSuffix(o.kind+"/"+o.name+"."+o.namespace, "."))
		}
		return "apply " + strings.Join(names, " ") + in
	case "shell":
		var heads []string
		file, _, problem := shell.Parse(v.Value)
		require.Nil(t, problem)
		syntax.Walk(file, func(n syntax.Node) bool {
			if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
				head := call.Args[0].Lit()
				if head == "kubectl" && len(call.Args) > 1 {
					head += " " + call.Args[1].Lit()
				}
				heads = append(heads, head)
			}
			return true
		})
		shown := key(key(n, "expect"), "shown")
		lines := 0
		if shown != nil {
			lines = len(strings.Split(strings.TrimSpace(shown.Value), "\n"))
		}
		return fmt.Sprintf("shell %s, shown %d", strings.Join(heads, ", "), lines)
	}
	text := verb + " " + short(v)
	if e := key(n, "expect"); e != nil {
		text += " expects " + short(e)
	}
	return text
}

// TestDrawCorpusSample draws statements for testdata/corpus.yaml, and prints them
// beside their pages for a person to judge. It runs only where it is asked for.
func TestDrawCorpusSample(t *testing.T) {
	lines := os.Getenv("EGRESSPLAY_DRAW") // such as 050:53,050:136
	if lines == "" {
		t.Skip("EGRESSPLAY_DRAW names pages and lines")
	}
	out := map[string]map[int][]string{}
	for _, place := range strings.Split(lines, ",") {
		page, at, _ := strings.Cut(place, ":")
		var line int
		_, err := fmt.Sscan(at, &line)
		files, globErr := filepath.Glob(filepath.Join(os.Getenv("EGRESSPLAY_SHARED"), "corpus", page+"-*.md"))
		require.NoError(t, errors.Join(err, globErr))
		require.Len(t, files, 1)
		if out[page] == nil {
			out[page] = map[int][]string{}
		}
		out[page][line] = stepsAt(t, files[0])[line]
	}
	for _, page := range slices.Sorted(func(yield func(string) bool) {
		for page := range out {
			if !yield(page) {
				return
			}
		}
	}) {
		text, err := yaml.Marshal(map[string]map[int][]string{page: out[page]})
		require.NoError(t, err)
		fmt.Print(string(text))
	}
}
