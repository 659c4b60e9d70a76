// Package evidence has everything that is known about one attempt of a step, as plain
// data, and joins it to the ways that the requests took.
//
//	collectors ──▶ Attempt ──▶ Join ──▶ expectations ──▶ Verdicts
//	               (facts)     (ways)   (meaning)
//
// Collectors know where facts come from: curl, a proxy's access log and
// counters, the far end's record. Expectations know what facts mean. Neither
// knows the other. Everything here can be written as JSON, compared, shown and
// reported.
package evidence
