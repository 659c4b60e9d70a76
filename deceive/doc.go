// Deceive tries to deceive the expectations: it runs the worlds of package
// worlds, in each of which somebody makes a claim. Every false one has to be
// caught by its own expectation, and every true one has to pass.
//
//	setup.yaml ─► worlds/*.yaml ─► egressplay run ─► report ─► what each claim declares
//
// It prints both counts and the claims that were judged wrongly. If there are any, its
// exit code is 1; if it could not be run, 2.
package main
