// Package expect has the expectations of a playbook's steps, one file each,
// and [Kinds], the table of them.
//
// An expectation is a type that package playbooks fills in from YAML; see
// package steps for the tags. It is about parsed facts, and it names what it
// looked at, what it wanted and what it got.
package expect
