// Package shell runs the small part of the shell's language that tutorials use:
// words, variables, $(...), pipes, ; and &&, bounded loops, and a few tools.
//
// Scripts cannot reach the host. The package has its own evaluator over the syntax tree
// of mvdan.cc/sh/v3: only constructs that [Check] accepts run, the only programs are
// [Tools] and those that the caller gives, there are no files, and the only variables
// are those of the caller. A tool gets a text and returns a text, both bounded.
//
// The stages of a pipe run one after the other, and each one's exit code is kept
// ([Stage]): a failure at the front of a pipe is not hidden by its end.
package shell
