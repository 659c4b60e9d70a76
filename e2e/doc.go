// Package e2e tests the commands that a user types: it runs egressplay and
// egressplay-lab as processes, against a lab of its own, and looks at what they
// print, how they end, and what they leave in the cluster and on the machine.
//
// Its tests have the build tag lab. They need the programs of `make build`, in
// ../bin or in the folder that EGRESSPLAY_BIN names, and Linux. A missing
// program, or a lab that does not start, is a failure.
//
//	go test -tags lab ./e2e
//
// The tests share one lab in a run folder of the tests' own, so a lab of the
// user's is neither used nor touched. A process beside the tests takes down
// what is left when they end, however they end.
package e2e
