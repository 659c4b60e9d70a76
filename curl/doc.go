// Package curl reads a command line as curl itself reads it, and has curl
// report on each of its transfers.
//
//	argv ─ Parse ─▶ Command.Argv ─ run in a pod ─▶ Output ─▶ Transfers, Stdout
//
// The report is a --write-out of ours. curl writes it to stdout after the body of each
// transfer, between marks that no output has by chance, and [Output] cuts it out again.
// Stdout is the cheaper place: curl buffers it, so that a report takes one write,
// however long it is. stderr has no buffer: the same report took 124 writes there, each
// of which travels from the pod on its own (counted with strace, curl 7.88). Stdout is
// also the better place: a report ends what its transfer printed, so that the heads and
// bodies of several URLs can be told apart.
//
// The request on the wire stays the author's, and so do the output and the
// exit code of the command.
package curl
