// Package worlds has worlds in which somebody claims something, as playbooks:
// claims that sound true and are false, and claims that are true and may look
// false.
//
// A step makes a claim if its id says so; the others set its world up:
//
//	id: lie-log-...        false: the expectation log must say so, and no other
//	id: lie-policy-...     false: the verb policy must say so
//	id: lie-change-...     true before a change that is not in force yet: that must be said
//	id: honest-...         true: it must pass, and be checked
//
// A lie is caught if its own expectation does not hold or cannot be judged, and all
// others of the step hold: they show that the request was the one that the world is
// about. Each claim has continue: true, so that the next one is tried in any case.
package worlds
