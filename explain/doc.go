// Package explain names the cause of a step's failure: the object, the field and
// its value that decided where a request left the way that the playbook expects,
// and the next command.
//
//	Failure ─▶ facts (evidence first, then objects, each listed at most once)
//	        ─▶ families, the most specific first ─▶ Findings, or "not known"
//
// A finding is true whatever else is wrong. If two objects could be the cause, or the
// object that decides may not be read, no cause is named. A false explanation is worse
// than none.
package explain
