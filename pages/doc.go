// Package pages makes a playbook of a tutorial in Markdown as it stands: its
// commands become steps, and what it shows becomes what is expected.
//
//	page ─ read (fences, headings, comments) ─ split (statements, shown lines) ─ map (steps) ─ *yaml.Node
//
// The nodes have the lines and columns of the page, so that whatever is behind
// the reader, errors and verdicts included, names the page's own lines. What
// cannot become a step is an error at its place, with what the author can write.
package pages
