// Package shell runs the small part of the shell's language that tutorials use:
// words, variables, $(...), pipes, ; and &&, bounded loops, and a few tools.
//
// Nothing of the host is within reach. The package has its own evaluator over
// the syntax tree of mvdan.cc/sh/v3: a construct that [Check] does not list does
// not run, a program is one of [Tools] or one that the caller gives, a file is
// none at all, and a variable is one that the caller knows. A tool gets a text
// and returns a text, both bounded.
//
// The stages of a pipe run one after the other, and each one's exit code is kept
// ([Stage]): a failure at the front of a pipe is not lost behind its end.
package shell
