package pages

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/playbooks"
)

// Options are the choices that the command line gives for pages.
type Options struct {
	// Tab names the variant that is run where a page has several; "" for the
	// first of each.
	Tab string
	// With is the overlay file; "" for PAGE.egressplay.yaml beside the page, if it
	// is there.
	With string
	// SkipUnmapped leaves out what cannot be mapped, and lists it.
	SkipUnmapped bool
	// Set are the variables whose values the command line gives: what the page sets them
	// to is for those who type.
	Set map[string]bool
	// Read reads the overlay that With names, wherever it is.
	Read func(path string) ([]byte, error)
}

// A Note is something about a place of a page that its reader should know:
// what is left out, what is taken to be there.
type Note struct {
	File         string
	Line, Column int
	Text         string
	// Skipped says that the page says more than is run.
	Skipped bool
}

func (n *Note) String() string { return fmt.Sprintf("%s:%d:%d: %s", n.File, n.Line, n.Column, n.Text) }

// Counts say how much of a page could be mapped.
type Counts struct {
	// Statements are all but those in tabs that are not chosen and those left out
	// by annotations.
	Statements int
	Mapped     int // to steps, or to nothing where nothing is to be done
	Steps      int
}

// A Reader makes playbooks of pages.
type Reader struct {
	Options Options
	// Notes and Counts are about the pages that were read, by file.
	Notes  map[string][]Note
	Counts map[string]Counts
}

// NewReader returns a reader.
func NewReader(o Options) *Reader {
	return &Reader{Options: o, Notes: map[string][]Note{}, Counts: map[string]Counts{}}
}

// Read is a [playbooks.Reader]: it returns the playbook that a page is. The errors
// are all that keeps it from being one.
func (r *Reader) Read(s playbooks.Source) (*yaml.Node, playbooks.Errors) {
	data := string(s.Data)
	if len(data) > maxPage {
		return nil, playbooks.Errors{{File: s.File, Line: 1, Column: 1, Msg: "the page is larger than 1 MiB"}}
	}
	m := &mapper{
		options: r.Options, source: s, page: read(data), name: nameOf(s.Name),
		values: map[string]string{}, set: map[string]int{}, files: map[string]memoryFile{}, looked: map[string]string{}, generated: map[string][]deployment{}, skipped: map[string]int{}, addresses: map[string]bool{}, sent: map[string]string{}, cluster: map[string]string{},
	}
	root := m.playbook()
	r.Notes[s.File] = m.notes
	r.Counts[s.File] = m.counts
	if len(m.errs) > 0 {
		slices.SortStableFunc(m.errs, func(a, b *playbooks.Error) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		return nil, m.errs
	}
	return root, nil
}

const maxPage = 1 << 20

// nameOf returns the name of the playbook of a page's file.
func nameOf(file string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(file) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	name := strings.Trim(b.String(), "-")
	if name == "" {
		return "page"
	}
	return name
}

// readOverlay returns the text of the overlay and its file; "" where there is none.
func (m *mapper) readOverlay() (text, file string) {
	file = m.options.With
	var data []byte
	var err error
	if file == "" {
		file = strings.TrimSuffix(m.source.File, ".md") + ".egressplay.yaml"
		data, err = m.source.ReadFile(filepath.Base(file))
	} else {
		data, err = m.options.Read(file)
	}
	switch {
	case err == nil:
		return string(data), file
	case m.options.With != "" || !isNotThere(err):
		m.errs = append(m.errs, &playbooks.Error{File: file, Msg: err.Error()})
	}
	return "", ""
}

func isNotThere(err error) bool {
	return strings.Contains(err.Error(), fs.ErrNotExist.Error()) || strings.Contains(err.Error(), "no such file")
}
