package playbooks

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/runner"
)

// A Source is a playbook as it is written.
type Source struct {
	Name string // the file's without its folder and .yaml
	File string // its path; "built-in:NAME.yaml" for a built-in one
	Data []byte

	// fenced reports whether it may name only files of its own folder: it is no playbook
	// but a page, which may be anybody's.
	fenced bool
}

// A Reader makes the nodes of a playbook of a file that is no YAML. They have the
// lines and columns of that file.
type Reader func(Source) (*yaml.Node, Errors)

// overlayEnding ends the names of files that belong to a page and are no playbooks.
const overlayEnding = ".egressplay.yaml"

const builtinPrefix = "built-in:"

// Find returns the playbooks that arg names: a file, all *.yaml of a folder,
// sorted, or the name of a built-in playbook with or without .yaml. A file or
// folder that exists wins; built-in:NAME is the built-in one in any case. The
// error is an [Errors].
func Find(arg string) ([]Source, error) {
	sources, errs := findIn(builtin, arg, nil)
	if len(errs) > 0 {
		return nil, errs
	}
	return sources, nil
}

// findIn returns what arg names. readers are the endings of files beside .yaml.
func findIn(builtin fs.FS, arg string, readers map[string]Reader) ([]Source, Errors) {
	if name, ok := strings.CutPrefix(arg, builtinPrefix); ok {
		text, err := show(builtin, name)
		if err != nil {
			return nil, Errors{err}
		}
		name = strings.TrimSuffix(name, ".yaml")
		return []Source{{Name: name, File: builtinPrefix + name + ".yaml", Data: text}}, nil
	}
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return folder(arg, readers)
	case err == nil:
		return readAll([]string{arg}, readers)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, Errors{{File: arg, Msg: reason(err)}}
	}
	if slices.Contains(builtinNames(builtin), strings.TrimSuffix(arg, ".yaml")) {
		return findIn(builtin, builtinPrefix+arg, readers)
	}
	return nil, Errors{notFound(builtin, arg)}
}

// fromStdin returns the playbook that comes by stdin. Files that it names are
// relative to the current folder.
func fromStdin(read func() ([]byte, error)) ([]Source, Errors) {
	data, err := read()
	if err != nil {
		return nil, Errors{{File: "stdin", Msg: reason(err)}}
	}
	return []Source{{Name: "stdin", File: "stdin", Data: data}}, nil
}

// notFound returns the error that arg names nothing, with what it may have meant.
func notFound(builtin fs.FS, arg string) *Error {
	e := &Error{File: arg, Msg: "no such file"}
	dir := filepath.Dir(arg)
	known, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*.yaml"))
	pages, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*.md"))
	known = append(known, pages...)
	if filepath.Base(arg) == arg {
		e.Msg = "no such file, and no built-in playbook of that name"
		for _, name := range builtinNames(builtin) {
			if strings.HasSuffix(arg, ".yaml") {
				name += ".yaml"
			}
			known = append(known, name)
		}
		e.Hint = cmp.Or(fill.DidYouMean(arg, known), beginning(strings.TrimSuffix(arg, ".yaml"), builtinNames(builtin)),
			"egressplay list shows the built-in playbooks")
		return e
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		e.Msg = "no such file: there is no folder " + dir
		return e
	}
	if i := slices.IndexFunc(known, func(k string) bool { return filepath.Clean(arg)+".yaml" == k }); i >= 0 {
		e.Hint = "did you mean " + fill.Quote(known[i]) + "?"
		return e
	}
	e.Hint = fill.DidYouMean(filepath.Clean(arg), known)
	return e
}

// escapeGlob returns a path that matches itself as a pattern of
// [filepath.Glob].
func escapeGlob(path string) string {
	return strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]").Replace(path)
}

// folder returns the playbooks of a folder; where there are none, its files that a
// reader is for.
func folder(dir string, readers map[string]Reader) ([]Source, Errors) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, Errors{{File: dir, Msg: reason(err)}}
	}
	var files, others []string
	hint := "playbooks in a folder end in .yaml; folders in it are not looked at"
	for _, entry := range entries {
		switch ext := filepath.Ext(entry.Name()); {
		case readers[ext] != nil:
			others = append(others, filepath.Join(dir, entry.Name()))
		case ext == ".yaml" && !strings.HasSuffix(entry.Name(), overlayEnding):
			files = append(files, filepath.Join(dir, entry.Name()))
		case ext == ".yml":
			hint = "a playbook in a folder ends in .yaml: rename " + entry.Name()
		}
	}
	if len(files) == 0 {
		files = others
	}
	if len(files) == 0 {
		return nil, Errors{{File: dir, Msg: "a folder without playbooks", Hint: hint}}
	}
	return readAll(files, readers)
}

func readAll(files []string, readers map[string]Reader) ([]Source, Errors) {
	var sources []Source
	var errs Errors
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			errs = append(errs, &Error{File: file, Msg: reason(err)})
			continue
		}
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		sources = append(sources, Source{Name: name, File: file, Data: data, fenced: readers[filepath.Ext(file)] != nil})
	}
	return sources, errs
}

// readFile reads at most one byte more than a playbook may have.
func readFile(file string) ([]byte, error) {
	return readWith(os.Stat, os.Open, file)
}

// readFenced is readFile of a file that lies in a folder, also where a link leads to
// it.
func readFenced(dir, path string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	path = filepath.FromSlash(path)
	if !filepath.IsLocal(path) {
		return nil, errOutside
	}
	data, err := readWith(root.Stat, root.Open, path)
	if err != nil && strings.Contains(err.Error(), "escapes from parent") { // the error has no name
		return nil, errOutside
	}
	return data, err
}

var errOutside = errors.New("the file lies outside of the page's folder")

func readWith(stat func(string) (fs.FileInfo, error), open func(string) (*os.File, error), file string) ([]byte, error) {
	info, err := stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // reading a pipe could wait for ever
		return nil, fmt.Errorf("no regular file but %s", kindOf(info.Mode()))
	}
	f, err := open(file)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	return data, errors.Join(err, f.Close())
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// reason returns why a file cannot be read, without its path.
func reason(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "no such file"
	}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// ReadFile reads a file that the source names, relative to its folder; a sample that
// is not there is the built-in one. A page names files of its own folder alone,
// wherever its links lead.
func (s Source) ReadFile(path string) ([]byte, error) {
	text, _, err := s.reader(builtin)(path)
	return text, err
}

// ReadDir lists a folder that a page names, sorted: one of its own folder, wherever its
// links lead.
func (s Source) ReadDir(path string) ([]fs.DirEntry, error) {
	if !s.fenced {
		return nil, fs.ErrNotExist
	}
	root, err := os.OpenRoot(filepath.Dir(s.File))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return fs.ReadDir(root.FS(), path)
}

// A readFunc reads a file that a playbook names. at is where a command finds it, ""
// for a file that is built in.
type readFunc func(path string) (text []byte, at string, err error)

// reader returns what reads the files that a playbook names, relative to its
// folder. A sample that is not there is the built-in one, so that the copy of a
// built-in playbook works wherever it lies.
func (s Source) reader(builtin fs.FS) readFunc {
	return func(path string) (data []byte, at string, err error) {
		if strings.HasPrefix(s.File, builtinPrefix) {
			data, err = fs.ReadFile(builtin, path)
		} else {
			file := path
			if !filepath.IsAbs(path) {
				file = filepath.Join(filepath.Dir(s.File), filepath.FromSlash(path))
			}
			at = file
			if s.fenced {
				data, err = readFenced(filepath.Dir(s.File), path)
			} else {
				data, err = readFile(file)
			}
			if errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(path, "samples/") {
				data, err = fs.ReadFile(builtin, path)
				at = ""
			}
		}
		switch {
		case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(path, "samples/"):
			return nil, "", &runner.FieldError{Err: errors.New(reason(err)), Hint: fill.DidYouMean(path, samples(builtin))}
		case err != nil:
			return nil, "", errors.New(reason(err))
		case len(data) > maxSize:
			return nil, "", errors.New("the file is larger than 1 MiB")
		case bytes.IndexByte(data, 0) >= 0:
			return nil, "", errors.New("the file has a NUL byte: is it a text file?")
		}
		return data, at, nil
	}
}
