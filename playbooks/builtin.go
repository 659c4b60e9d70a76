package playbooks

import (
	"github.com/egressplay/egressplay/nearest"
	"github.com/egressplay/egressplay/playbooks/fill"

	"cmp"
	"embed"
	"io/fs"
	"slices"
	"strings"
)

//go:embed *.yaml samples
var builtin embed.FS

// Info is what is known of a built-in playbook before it is run.
type Info struct {
	Name  string // as after egressplay run
	Title string
	Topic int // 1 to 7, the topic of the egress tutorial; 0 for something else
	Tags  []string
	Steps int // how many it has
	File  string
}

// List returns the built-in playbooks, sorted by topic and name.
func List() []Info {
	var list []Info
	for _, name := range builtinNames(builtin) {
		playbooks, err := Load([]string{builtinPrefix + name}, Options{})
		if err != nil {
			panic(err) // a test loads them all
		}
		p := playbooks[0]
		list = append(list, Info{Name: p.Name, Title: p.Title, Topic: p.Topic, Tags: p.Tags, Steps: len(p.Steps), File: p.File})
	}
	slices.SortStableFunc(list, func(a, b Info) int { return cmp.Compare(a.Topic, b.Topic) })
	return list
}

// Show returns the text of a built-in playbook, by its name with or without
// .yaml. The error is an [*Error].
func Show(name string) ([]byte, error) {
	text, err := show(builtin, name)
	if err != nil {
		return nil, err
	}
	return text, nil
}

func show(builtin fs.FS, name string) ([]byte, *Error) {
	text, err := fs.ReadFile(builtin, strings.TrimSuffix(name, ".yaml")+".yaml")
	if err != nil {
		names := builtinNames(builtin)
		if strings.HasPrefix(name, "samples/") {
			return nil, &Error{File: name, Msg: "no sample of that name", Hint: fill.DidYouMean(name, samples(builtin))}
		}
		return nil, &Error{
			File: name,
			Msg:  "no built-in playbook of that name",
			Hint: cmp.Or(fill.DidYouMean(name, names), beginning(name, names), "there are "+strings.Join(names, ", ")),
		}
	}
	return text, nil
}

// samples returns the paths of the samples that are built in.
func samples(builtin fs.FS) (all []string) {
	_ = fs.WalkDir(builtin, "samples", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	return all
}

// beginning returns the hint for a name that only names begin with, or nearly so; "" if
// none does.
func beginning(name string, names []string) string {
	var meant []string
	for _, n := range names {
		for _, length := range []int{len(name) - 1, len(name), len(name) + 1} {
			if length > 2 && length < len(n) && nearest.Within(name, n[:length], 1) {
				meant = append(meant, n)
				break
			}
		}
	}
	switch len(meant) {
	case 0:
		return ""
	case 1:
		return "did you mean " + fill.Quote(meant[0]) + "?"
	}
	return "did you mean one of these: " + strings.Join(meant, ", ")
}

// builtinNames returns the names of the built-in playbooks, sorted.
func builtinNames(builtin fs.FS) []string {
	files, err := fs.Glob(builtin, "*.yaml")
	if err != nil {
		panic(err) // only for a malformed pattern
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(file, ".yaml")
	}
	slices.Sort(names) // a-b.yaml comes before a.yaml, but a before a-b
	return names
}
