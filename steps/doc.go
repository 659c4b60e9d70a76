// Package steps has the step kinds of a playbook, one file each, and [Kinds],
// the table of them.
//
// A kind is a struct whose exported fields carry their YAML keys. Package
// playbooks fills it in; a field's tag may have these options behind the key:
//
//	required  the key must be there
//	scalar    the value of the whole mapping, where that is a scalar: with
//	          `yaml:"manifest,scalar"` the YAML `apply: TEXT` is short for
//	          `apply: {manifest: TEXT}`
//	list      the same for a list
//	literal   ${NAME} means nothing in it
//
// Every other string may hold variables as ${NAME}. They are replaced when the
// step begins, in a copy of the struct, by [fill.Expand].
package steps
