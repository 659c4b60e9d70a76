// Mutate tests how much the playbooks prove. A mutant of a playbook leaves out one
// thing that the playbook does: a document that it applies, a label, a deletion, a
// policy that it sets. If that matters, a later expectation must fail; a mutant that
// passes to its end shows that nothing in the playbook checks the effect of the step.
//
//	playbook ─► run as it is, for the time that each step takes
//	   │                          │
//	   └─► mutants ─► with the patience of that ─► egressplay run ─► report ─► results file
//
// A mutant has the line numbers of its playbook: what is left out becomes empty lines.
package main
