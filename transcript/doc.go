// Package transcript shows a run: as text for a reader, as a report in one of
// several formats for whoever comes later.
//
// All are made of the same stream of [runner.Event], so they cannot disagree, and all
// can be drawn from recorded events.
//
//	Event ─┬─ Terminal ─ text that reads like the tutorial
//	       └─ Report ─── what has happened so far ─ Formats ─ a document ─ WriteFile
package transcript
