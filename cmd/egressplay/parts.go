package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/nearest"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
)

// Parts say which playbooks of those that are named are run, and which of their
// steps.
type parts struct {
	topics      []int
	tags        []string
	only        []string
	from, until string
}

// addParts adds the flags that choose playbooks and steps.
func addParts(cmd *cobra.Command, p *parts) {
	f := cmd.Flags()
	addChoice(cmd, &p.topics, &p.tags)
	f.StringArrayVar(&p.only, "only", nil, "run this `STEP` alone, and what it needs of those before; may be repeated")
	f.StringVar(&p.from, "from", "", "run from this `STEP` on, and what that needs of those before")
	f.StringVar(&p.until, "until", "", "run up to this `STEP`")
	for _, name := range []string{"only", "from", "until"} {
		register(cmd, name, completeSteps)
	}
}

// addChoice adds the flags that choose playbooks.
func addChoice(cmd *cobra.Command, topics *[]int, tags *[]string) {
	cmd.Flags().IntSliceVar(topics, "topic", nil, "only playbooks of this topic of the tutorial, `N`; may be repeated")
	cmd.Flags().StringSliceVar(tags, "tag", nil, "only playbooks with this `TAG`; may be repeated, for those that have any of them")
	register(cmd, "tag", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return knownTags(), cobra.ShellCompDirectiveNoFileComp
	})
	register(cmd, "topic", fixed("1", "2", "3", "4", "5", "6", "7"))
}

// chosen reports whether a playbook is one of those that are meant.
func chosen(topics []int, tags []string, topic int, its []string) bool {
	return (len(topics) == 0 || slices.Contains(topics, topic)) &&
		(len(tags) == 0 || slices.ContainsFunc(its, func(tag string) bool { return slices.Contains(tags, tag) }))
}

// playbooksChosen reports whether the flags choose playbooks, so that without a name
// those of all built-in ones are meant.
func (p *parts) playbooksChosen() bool { return len(p.topics)+len(p.tags) > 0 }

// stepsChosen reports whether the flags choose steps.
func (p *parts) stepsChosen() bool { return len(p.only) > 0 || p.from != "" || p.until != "" }

// choose returns those of the playbooks that are to be run, with their steps marked.
func (p *parts) choose(list []*runner.Playbook) ([]*runner.Playbook, error) {
	meant := slices.DeleteFunc(slices.Clone(list), func(playbook *runner.Playbook) bool {
		return !chosen(p.topics, p.tags, playbook.Topic, playbook.Tags)
	})
	if len(meant) == 0 && len(list) > 0 {
		return nil, usagef(p.hint(), "none of the playbooks has %s", p.words())
	}
	if !p.stepsChosen() {
		return meant, nil
	}
	if len(p.only) > 0 && (p.from != "" || p.until != "") {
		return nil, usagef("name steps by --only, or a range by --from and --until", "--only and a range cannot both be meant")
	}
	if len(meant) != 1 {
		return nil, usagef("name one playbook", "--only, --from and --until choose steps of one playbook, and %d are to be run", len(meant))
	}
	return meant, p.mark(meant[0])
}

func (p *parts) words() string {
	var words []string
	for _, topic := range p.topics {
		words = append(words, fmt.Sprintf("topic %d", topic))
	}
	for _, tag := range p.tags {
		words = append(words, "tag "+strconv.Quote(tag))
	}
	return strings.Join(words, " or ")
}

func (p *parts) hint() string {
	tags := knownTags()
	for _, tag := range p.tags {
		if near, ok := nearest.Name(tag, tags); ok && near != tag {
			return "did you mean " + near + "?"
		}
	}
	return "the built-in playbooks have topics 1 to 7, and tags " + strings.Join(tags, ", ")
}

// mark says of each step whether it runs.
func (p *parts) mark(playbook *runner.Playbook) error {
	steps := playbook.Steps
	meant := make([]bool, len(steps))
	first, last := 0, len(steps)-1
	for _, text := range p.only {
		i, err := stepOf(playbook, text)
		if err != nil {
			return err
		}
		meant[i] = true
	}
	if len(p.only) == 0 {
		var err error
		if p.from != "" {
			if first, err = stepOf(playbook, p.from); err != nil {
				return err
			}
		}
		if p.until != "" {
			if last, err = stepOf(playbook, p.until); err != nil {
				return err
			}
		}
		if first > last {
			return usagef("", "--from step %d comes behind --until step %d", first+1, last+1)
		}
		for i := first; i <= last; i++ {
			meant[i] = true
		}
	}
	all := !slices.Contains(meant, false)
	read := requestsRead(steps, meant)
	for i := range steps {
		switch later := slices.Contains(meant[i:], true); {
		case meant[i]:
		case later && steps[i].Role == runner.Acts, read[i]:
			steps[i].Choice = runner.Needed
		default:
			steps[i].Choice, steps[i].Targets = runner.LeftOut, nil
		}
	}
	if !all {
		playbook.Part = partWords(meant)
	}
	return nil
}

// requestsRead reports for each step whether its request is one whose traces a step
// reads that is meant: the last one before that, and those before which nothing was
// changed in between.
func requestsRead(steps []runner.Step, meant []bool) []bool {
	read := make([]bool, len(steps))
	for i := range steps {
		if !meant[i] || steps[i].Role != runner.ReadsTraces {
			continue
		}
		found := false
		for j := i - 1; j >= 0 && !(found && steps[j].Role == runner.Acts); j-- {
			if steps[j].Role == runner.Requests {
				read[j], found = true, true
			}
		}
	}
	return read
}

// partWords says which steps of a playbook are run: "steps 2, 4 to 6 of 9".
func partWords(meant []bool) string {
	var ranges []string
	count := 0
	for i := 0; i < len(meant); i++ {
		if !meant[i] {
			continue
		}
		last := i
		for last+1 < len(meant) && meant[last+1] {
			last++
		}
		count += last - i + 1
		if last == i {
			ranges = append(ranges, fmt.Sprint(i+1))
		} else {
			ranges = append(ranges, fmt.Sprintf("%d to %d", i+1, last+1))
		}
		i = last
	}
	what := "steps"
	if count == 1 {
		what = "step"
	}
	return fmt.Sprintf("%s %s of %d", what, strings.Join(ranges, ", "), len(meant))
}

// stepOf returns the index of the step that a text means: by its id, its number, or
// words of its title.
func stepOf(playbook *runner.Playbook, text string) (int, error) {
	file := playbook.File
	if file == "" || strings.HasPrefix(file, "built-in:") {
		file = playbook.Name
	}
	plan := fmt.Sprintf(`"egressplay run %s --dry-run client" prints the steps`, file)
	var ids []string
	for i := range playbook.Steps {
		if id := playbook.Steps[i].ID; id != "" {
			if id == text {
				return i, nil
			}
			ids = append(ids, id)
		}
	}
	if n, err := strconv.Atoi(text); err == nil {
		if n < 1 || n > len(playbook.Steps) {
			return 0, usagef(plan, "%s has steps 1 to %d, got %d", playbook.Name, len(playbook.Steps), n)
		}
		return n - 1, nil
	}
	var found []int
	var titled []string // the titles, and their words
	for i := range playbook.Steps {
		title := runner.Plain(playbook.Steps[i].Title)
		titled = append(titled, strconv.Quote(title))
		for _, word := range strings.Fields(title) {
			if len(word) > 3 {
				titled = append(titled, word)
			}
		}
		if strings.Contains(strings.ToLower(playbook.Steps[i].Title), strings.ToLower(text)) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		hint := plan
		if near, ok := nearest.Name(text, append(ids, titled...)); ok {
			hint = "did you mean " + near + "?"
		}
		return 0, usagef(hint, "%s has no step %q: name one by its id, its number, or words of its title", playbook.Name, text)
	}
	lines := make([]string, len(found))
	for i, at := range found {
		lines[i] = fmt.Sprintf("%d  %s", at+1, runner.Plain(playbook.Steps[at].Title))
	}
	return 0, usagef("choose one by its number:\n"+strings.Join(lines, "\n"), "%q is in the titles of %d steps of %s", text, len(found), playbook.Name)
}

// completeSteps completes steps of the playbook that the command line names.
func completeSteps(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := playbooks.Load(args, playbooks.Options{})
	if err != nil || len(list) != 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []cobra.Completion
	for i := range list[0].Steps {
		step := &list[0].Steps[i]
		name := step.ID
		if name == "" {
			name = fmt.Sprint(step.Index)
		}
		all = append(all, cobra.CompletionWithDesc(name, runner.Plain(step.Title)))
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// knownTags returns the tags of the built-in playbooks, sorted.
func knownTags() []string {
	var tags []string
	for _, i := range playbooks.List() {
		tags = append(tags, i.Tags...)
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// register has the shell complete a flag.
func register(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // there is no such flag
	}
}

// fixed completes one of a few values.
func fixed(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}
