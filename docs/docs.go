// Package docs has the text of the reference, for what the program says of it.
package docs

import _ "embed"

// Playbooks is docs/playbooks.md.
//
//go:embed playbooks.md
var Playbooks string
