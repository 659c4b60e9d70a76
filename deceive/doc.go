// Deceive tries to deceive the expectations: it runs the worlds of package
// worlds, in each of which somebody makes a claim. Every false one has to be
// caught by its own expectation, and every true one has to pass.
//
//	setup.yaml ─► worlds/*.yaml ─► egressplay run ─► report ─► what each claim declares
//
// It prints both counts and what was not judged as it has to be, and then ends
// with exit code 1; with 2 where it could not be run.
package main
