// Package transcript shows a run: as text for a reader, as JSON for a program.
//
// Both are sinks of the same stream of [runner.Event], so they cannot disagree,
// and both can be drawn from recorded events.
//
//	Event ─┬─ Terminal ─ text that reads like the tutorial
//	       └─ Report ─── one JSON document, whole after every event
package transcript
