package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// A summary has the results of the mutants of one playbook.
type summary struct {
	name    string
	results []*result // in the order of the mutants
	missing int       // mutants without a result
	err     error     // why they could not be run
}

// allKilled reports whether every mutant was run and none is alive.
func (s *summary) allKilled() bool {
	return s.err == nil && s.missing == 0 && s.count(alive) == 0
}

func (s *summary) count(o outcome) int {
	n := 0
	for _, r := range s.results {
		if r.Outcome == o {
			n++
		}
	}
	return n
}

// printAll prints a table of the playbooks, then the mutants that are alive and the
// steps that change nothing. It reports whether all mutants were killed.
func printAll(w io.Writer, summaries []*summary) (all bool) {
	all = true
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "mutants\tkilled\talive\tchange nothing\tnot run\t   playbook")
	total := summary{name: "all"}
	row := func(s *summary) {
		n := len(s.results) - s.count(changesNothing) - s.count(notReached) + s.missing
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t   %s\n", n, s.count(killed), s.count(alive), s.count(changesNothing), s.missing, s.name)
	}
	for _, s := range summaries {
		row(s)
		total.results = append(total.results, s.results...)
		total.missing += s.missing
		all = all && s.allKilled()
	}
	row(&total)
	table.Flush()
	for _, r := range total.results {
		if r.Outcome == alive {
			fmt.Fprintf(w, "alive: %s: %s: without %s, exit code %d", r.At, r.Playbook, r.Without, r.ExitCode)
			if r.EndedBy != nil {
				fmt.Fprintf(w, ", ended in line %d", r.EndedBy.Line)
			}
			if r.Message != "" {
				fmt.Fprintf(w, ": %s", r.Message)
			}
			fmt.Fprintln(w)
		}
	}
	for _, r := range total.results {
		if r.Outcome == changesNothing {
			fmt.Fprintf(w, "changes nothing: %s: %s: %s\n", r.At, r.Step.Title, r.ChangesNothing)
		}
	}
	for _, s := range summaries {
		if s.err != nil {
			fmt.Fprintf(w, "not run: %s: %v\n", s.name, s.err)
		}
	}
	if n := total.count(notReached); n > 0 {
		fmt.Fprintf(w, "%d more are of steps that do not run without mutation, because an earlier step ends the playbook\n", n)
	}
	if n := len(slices.DeleteFunc(slices.Clone(total.results), func(r *result) bool { return r.Outcome != killed || !r.ByDeletion })); n > 0 {
		fmt.Fprintf(w, "%d of the killed ones are noticed by a deletion of what is not there alone\n", n)
	}
	for _, r := range total.results {
		if r.Outcome == killed && r.ByDeletion {
			fmt.Fprintf(w, "by a deletion alone: %s: %s: without %s\n", r.At, r.Playbook, r.Without)
		}
	}
	printExplained(w, total.results)
	return all
}
