// Mutate tests how much the playbooks prove. A mutant of a playbook leaves out
// one thing that it does: a document that it applies, a label, something that
// it deletes, a policy that it sets. If what it left out matters, a later
// expectation must fail; a mutant that passes to its end shows that nothing in
// the playbook looks at what the step brought about.
//
//	playbook ─► run as it is, for the time that each step takes
//	   │                          │
//	   └─► mutants ─► with the patience of that ─► egressplay run ─► report ─► results file
//
// A mutant has the lines of its playbook: what is left out becomes empty lines.
package main
