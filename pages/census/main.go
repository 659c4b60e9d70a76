// Census lints every page of a folder, in any depth, and prints how much of them
// becomes playbooks: pages that can be mapped whole, statements, and what keeps the
// rest from it, by frequency.
//
//	go run ./pages/census FOLDER
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/pages"
	"github.com/egressplay/egressplay/playbooks"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: census FOLDER [-v]")
		os.Exit(2)
	}
	if err := census(os.Args[1], len(os.Args) > 2); err != nil {
		fmt.Fprintln(os.Stderr, "census:", err)
		os.Exit(1)
	}
}

// A count is how much of some pages became playbooks.
type count struct{ pages, whole, filesOnly, statements, mapped, lacking int }

func (c *count) add(err error, n pages.Counts) {
	c.pages++
	switch {
	case err == nil:
		c.whole++
	case lacksFiles(errorsOf(err)):
		c.filesOnly++
	}
	c.statements += n.Statements
	c.mapped += n.Mapped
	for _, e := range errorsOf(err) {
		if ofFiles.MatchString(e.Msg) {
			c.lacking++
		}
	}
}

func (c count) String() string {
	return fmt.Sprintf("pages mapped whole %d of %d (%.0f %%), %d more but for files that the folder lacks, statements %d of %d (%.1f %%), %d more but for such files",
		c.whole, c.pages, percent(c.whole, c.pages), c.filesOnly, c.mapped, c.statements, percent(c.mapped, c.statements), c.lacking)
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

func census(folder string, verbose bool) error {
	var files []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".md" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	all, groups, reasons := count{}, map[string]*count{}, map[string]int{}
	kinds := kindsOf(folder)
	for _, file := range files {
		r := pages.NewReader(pages.Options{Read: os.ReadFile})
		_, err := playbooks.Load([]string{file}, playbooks.Options{Readers: map[string]playbooks.Reader{".md": r.Read}})
		n := r.Counts[file]
		all.add(err, n)
		for _, group := range []string{kinds[filepath.Base(file)], originOf(file)} {
			if group == "" {
				continue
			}
			if groups[group] == nil {
				groups[group] = new(count)
			}
			groups[group].add(err, n)
		}
		if errs, ok := errors.AsType[playbooks.Errors](err); ok {
			for _, e := range errs {
				reasons[general(e.Msg)]++
				if verbose {
					fmt.Printf("%s:%d:%d: %s\n", filepath.Base(file)[:min(30, len(filepath.Base(file)))], e.Line, e.Column, e.Msg)
				}
			}
		}
		if verbose {
			fmt.Printf("%s: %d of %d statements, %d reasons\n", filepath.Base(file), n.Mapped, n.Statements, len(errorsOf(err)))
		}
	}
	fmt.Println("all:", all)
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		fmt.Printf("%s: %v\n", group, groups[group])
	}
	fmt.Println("\nwhat keeps pages from being mapped:")
	names := slices.Collect(maps.Keys(reasons))
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(reasons[b]-reasons[a], cmp.Compare(a, b)) })
	for _, name := range names {
		fmt.Printf("%5d  %s\n", reasons[name], name)
	}
	return nil
}

var (
	ofFiles = regexp.MustCompile(`^(?:the page has not written the file|the sample .* is not built in)`)
	ofPods  = regexp.MustCompile(`^nothing on this page deploys a pod`) // which a file deploys that is not there
)

// lacksFiles reports whether all that keeps a page from being mapped is that files
// beside it, or samples, are not in the folder.
func lacksFiles(errs playbooks.Errors) bool {
	files := false
	for _, e := range errs {
		switch {
		case ofFiles.MatchString(e.Msg):
			files = true
		case !ofPods.MatchString(e.Msg):
			return false
		}
	}
	return files
}

func errorsOf(err error) playbooks.Errors {
	errs, _ := errors.AsType[playbooks.Errors](err)
	return errs
}

var particular = regexp.MustCompile(`"[^"]*"|\$?\b[A-Z_]{4,}\b|[\w./-]*\.(?:ya?ml|conf|json)\b|the file \S+|-[A-Za-z]\b|--[a-z-]+`)

// general returns a reason without the names in it.
func general(msg string) string { return particular.ReplaceAllString(msg, "…") }

// kindsOf reads the kinds of the pages from the folder's index.tsv, where there is
// one: columns id, file, ..., kind.
func kindsOf(folder string) map[string]string {
	kinds := map[string]string{}
	data, err := os.ReadFile(filepath.Join(folder, "index.tsv"))
	if err != nil {
		return kinds
	}
	rows := strings.Split(string(data), "\n")
	head := strings.Split(rows[0], "\t")
	file, kind := slices.Index(head, "file"), slices.Index(head, "kind")
	for _, row := range rows[1:] {
		cells := strings.Split(row, "\t")
		if file >= 0 && kind >= 0 && len(cells) > max(file, kind) {
			kinds[cells[file]] = "kind " + cells[kind]
		}
	}
	return kinds
}

// originOf returns where a page is from, as its file's name says: ID-OWNER+REPO-...
func originOf(file string) string {
	name := filepath.Base(file)
	switch {
	case strings.Contains(name, "+istio.io-") || strings.Contains(name, "+istio.github.io-"):
		return "origin istio.io"
	case strings.Contains(name, "+"):
		return "origin others"
	}
	return ""
}
