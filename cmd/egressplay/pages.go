package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/pages"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

// pageFlags are the flags about pages in Markdown.
type pageFlags struct {
	pages.Options
	reader *pages.Reader // of the last load
}

// addPages adds the flags about pages.
func addPages(cmd *cobra.Command, p *pageFlags) {
	f := cmd.Flags()
	f.StringVar(&p.Tab, "tab", "", "of a page's variants run those of this `NAME`, rather than the first")
	f.StringVar(&p.With, "with", "", "the `FILE` that says more of a page (default PAGE.egressplay.yaml beside it)")
	f.BoolVar(&p.SkipUnmapped, "skip-unmapped", false, "leave out what of a page cannot become a step, and list it")
}

// readers returns the readers of files that are no YAML. given are the NAME=VALUE of the
// command line.
func (p *pageFlags) readers(given ...string) map[string]playbooks.Reader {
	o := p.Options
	o.Set = map[string]bool{}
	for _, text := range given {
		name, _, _ := strings.Cut(text, "=")
		o.Set[name] = true
	}
	o.Read = os.ReadFile
	p.reader = pages.NewReader(o)
	return map[string]playbooks.Reader{".md": p.reader.Read}
}

// writeNotes writes what the reader of a page should know.
func (p *pageFlags) writeNotes(w io.Writer) {
	if p.reader == nil {
		return
	}
	for _, file := range slices.Sorted(maps.Keys(p.reader.Notes)) {
		for _, n := range p.reader.Notes[file] {
			fmt.Fprintln(w, runner.Plain("note: "+n.String()))
		}
	}
}

// skipped returns how many commands of the pages are not run although their pages say
// so; "" for none.
func (p *pageFlags) skipped() string {
	n := 0
	if p.reader != nil {
		for _, notes := range p.reader.Notes {
			for _, note := range notes {
				if note.Skipped {
					n++
				}
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s skipped: see the notes above", transcript.Count(n, "command of the page", "commands of the page"))
}
