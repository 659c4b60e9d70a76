package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/egressplay/egressplay/inlab"
	"github.com/egressplay/egressplay/playbooks"
)

// maxChangesNothing is how many steps of all playbooks together may be marked as
// changing nothing.
const maxChangesNothing = 3

func main() { inlab.Main("mutate", mutate) }

// A tester runs mutants and keeps their results.
type tester struct {
	lab      *inlab.Lab
	patience patience
	results  *results
	again    bool
	args     []string // of egressplay run
	log      io.Writer
}

// mutate runs the mutants of the playbooks that args name, prints their results, and
// reports whether all were killed.
func mutate(ctx context.Context, args []string, w io.Writer) (all bool, err error) {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: mutate [FLAGS] [PLAYBOOK...]\n\n"+
			"PLAYBOOK is a file or a folder of files, playbooks by default. That of a page comes from\n"+
			"egressplay convert; steps of it that fail without mutation kill nothing. The mutants run in the\n"+
			"running lab of the default name, or in one that is started for them.\n\n")
		flags.PrintDefaults()
	}
	t := &tester{log: w, lab: &inlab.Lab{Log: w}}
	flags.StringVar(&t.lab.Program, "egressplay", "bin/egressplay", "the `path` of egressplay, with egressplay-lab beside it")
	file := flags.String("results", ".cache/mutants.json", "the `file` with what became of each mutant; what is there already is not run again")
	flags.BoolVar(&t.again, "again", false, "run all mutants, also those in the file")
	internet := flags.String("internet", "", "a `file` of hosts that the lab's internet is to have, as that of egressplay run")
	list := flags.Bool("list", false, "print the mutants, and run none")
	flags.DurationVar(&t.patience.least, "within", 5*time.Second, "how long a step may take at least until what is expected holds")
	flags.DurationVar(&t.patience.leastWait, "wait-within", 10*time.Second, "the same for a wait step that says how long it may take")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	if args = flags.Args(); len(args) == 0 {
		args = []string{"playbooks"}
	}
	if *internet != "" {
		t.args = []string{"--internet", *internet}
	}
	sets, err := load(args)
	if err != nil {
		return false, err
	}
	if *list {
		for _, s := range sets {
			for _, m := range s.mutants {
				fmt.Fprintf(w, "%s: %s: without %s\n", m.at, m.step.title, m.without)
			}
		}
		return true, nil
	}
	if t.results, err = openResults(*file); err != nil {
		return false, err
	}
	return t.test(ctx, sets)
}

// A set is a playbook with its mutants.
type set struct {
	playbook *playbook
	mutants  []*mutant
}

// load reads playbooks and makes their mutants.
func load(args []string) ([]set, error) {
	var sets []set
	var marked []string // places of steps that are marked as changing nothing
	for _, arg := range args {
		sources, err := playbooks.Find(arg)
		if err != nil {
			return nil, err
		}
		for _, source := range sources {
			p, err := read(source)
			if err != nil {
				return nil, err
			}
			ms, err := p.mutants()
			if err != nil {
				return nil, err
			}
			for _, m := range ms {
				if m.step.changesNothing != "" {
					marked = append(marked, m.at)
				}
			}
			sets = append(sets, set{p, ms})
		}
	}
	if len(marked) > maxChangesNothing {
		return nil, fmt.Errorf("%d steps say that they change nothing, at most %d may: %v", len(marked), maxChangesNothing, marked)
	}
	return sets, nil
}

// test runs the mutants that have no result yet, and prints the summary, even after an
// interrupt.
func (t *tester) test(ctx context.Context, sets []set) (all bool, err error) {
	stop, err := t.lab.Start(ctx)
	if err != nil {
		return false, err
	}
	var summaries []*summary
	for _, s := range sets {
		t.results.keep(s.playbook.name, s.mutants)
		sum := &summary{name: s.playbook.name, err: t.testPlaybook(ctx, s)}
		for _, m := range s.mutants {
			if r := t.results.find(m); r != nil {
				sum.results = append(sum.results, r)
			} else {
				sum.missing++
			}
		}
		summaries = append(summaries, sum)
	}
	err = errors.Join(t.results.write(), stop())
	fmt.Fprintln(t.log)
	return printAll(t.log, summaries), err
}

// testPlaybook runs the mutants of one playbook.
func (t *tester) testPlaybook(ctx context.Context, s set) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var todo []*mutant
	for _, m := range s.mutants {
		if t.again || t.results.find(m) == nil {
			todo = append(todo, m)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	original := &mutant{playbook: s.playbook}
	whole, err := t.run(ctx, original, s.playbook.lines)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.log, "%s: exit code %d in %.1fs without mutation, %d mutants to run\n", s.playbook.name, whole.exitCode, whole.took.Seconds(), len(todo))
	if whole.exitCode > 1 || whole.exitCode == 1 && !s.playbook.goesOn {
		return fmt.Errorf("it does not pass without mutation: exit code %d: %s", whole.exitCode, whole.reason)
	}
	var took []time.Duration
	for i := range whole.steps {
		took = append(took, whole.steps[i].Took())
	}
	lines, err := t.patience.shorten(s.playbook, took)
	if err != nil {
		return err
	}
	end := whole.end(s.playbook)
	for _, m := range todo {
		if m.step.line >= end {
			if err := t.results.put(m, unreached(m, end)); err != nil {
				return err
			}
			continue
		}
		r, err := t.run(ctx, m, lines)
		if err != nil {
			return err
		}
		res := judge(m, r, whole)
		by := ""
		if res.EndedBy != nil {
			by = fmt.Sprintf(" by line %d: %s", res.EndedBy.Line, res.Message)
		}
		fmt.Fprintf(t.log, "  %s: %s: without %s, %.1fs%s\n", res.Outcome, m.at, m.without, res.Seconds, by)
		if err := t.results.put(m, res); err != nil {
			return err
		}
	}
	return nil
}

func (t *tester) run(ctx context.Context, m *mutant, lines []string) (*run, error) {
	texts, err := m.texts(lines)
	if err != nil {
		return nil, err
	}
	return runIn(ctx, t.lab, m.playbook.name, texts, t.args)
}
