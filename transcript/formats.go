package transcript

import (
	"maps"
	"slices"

	"github.com/egressplay/egressplay/nearest"
	"github.com/egressplay/egressplay/runner"
)

// A Format is a kind of report.
type Format struct {
	// About says in a few words what it is.
	About string
	// document returns the whole report of a run as it is now.
	document func(*document) []byte
	// Line returns an event as it is written when it comes; nil for a format that
	// is a document.
	Line func(runner.Event) []byte
}

// Formats are the formats of a report, by name. Keep it sorted.
var Formats = map[string]Format{
	"github":   {About: "annotations of GitHub Actions", document: githubAnnotations},
	"html":     {About: "a page in one file", document: htmlPage},
	"json":     {About: "all that is known, for programs", document: jsonDocument},
	"jsonl":    {About: "each event as it comes", Line: jsonLine},
	"junit":    {About: "JUnit's XML, for Jenkins and GitLab", document: junitDocument},
	"markdown": {About: "a hand-out", document: markdownDocument},
}

// FormatNames returns the names of the formats, sorted.
func FormatNames() []string { return slices.Sorted(maps.Keys(Formats)) }

// NearestFormat returns the name of the format that an unknown one is a slip of, ""
// for none.
func NearestFormat(name string) string {
	near, _ := nearest.Name(name, FormatNames())
	return near
}
