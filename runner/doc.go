// Package runner runs playbooks: their steps in order, what they changed put
// back in reverse.
//
// The runner decides and records; it never prints. What it has to say goes out
// as an [Event] to a [Sink]. A step is known to it only as an [Action] and a
// list of [Expectation]; it knows no step kind.
//
//	Playbook ─ for each Step ─ Bind ─┬─ attempt: Action.Try ─ Observation ─ Expectations ─┐
//	                                 └──── again, until it holds or `within` is over ─────┘
//	         ─ at the end, however it ends: every registered undo, newest first
package runner
