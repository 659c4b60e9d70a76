// Package explain names the cause of a step's failure: the object, the field and
// its value that decided where a request left the way that the playbook expects,
// and the next command.
//
//	Failure ─▶ facts (evidence first, then objects, each listed at most once)
//	        ─▶ families, the most specific first ─▶ Findings, or "not known"
//
// A finding is true whatever else is wrong. Where two objects could be the cause,
// or what decides may not be read, none is named. A false explanation is worse
// than none.
package explain
