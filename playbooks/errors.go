package playbooks

import "github.com/egressplay/egressplay/playbooks/fill"

// An Error reports what is wrong with a playbook, and where.
type Error = fill.Error

// Errors are all that is wrong with what was to be loaded, in the order of the
// arguments and within a file in that of its lines.
type Errors = fill.Errors
