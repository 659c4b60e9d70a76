package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

// keys are what a reader may type where a run waits for one, each with Enter.
const keys = `  Enter, r   run the next step; behind one that did not pass, go on as the playbook says
  s          skip the next step; the playbook has then not passed
  a          run the last step again
  v          show all that is known of the last step
  k          open a shell with kubectl for this cluster; leave it with exit
  q          stop here, and put back what was changed
  ?          show this`

// pauses returns a [runner.Runner.Pause] that shows what comes and does what a line
// of in says. The end of in stops the run. Where a line asks for a shell, shell opens
// it and returns when it has ended.
func pauses(in io.Reader, term *transcript.Terminal, shell func(context.Context) error, stop context.CancelCauseFunc) func(context.Context, runner.Paused) (runner.Decision, error) {
	lines, wanted := make(chan string), make(chan bool, 1)
	go func() {
		defer close(lines)
		r := bufio.NewReader(in)
		for range wanted { // else it would take what is meant for the shell
			// Any error means that no more lines come.
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			lines <- strings.TrimSpace(line)
		}
	}()
	return func(ctx context.Context, p runner.Paused) (runner.Decision, error) {
		if p.Next != nil {
			term.Announce(*p.Next)
		} else {
			term.Note("\nstep " + fmt.Sprint(p.Last.Step.Index) + " did not pass; the cluster is as it left it")
		}
		for {
			term.Note(ask(p))
			select {
			case wanted <- true:
			default: // an earlier question has no answer yet
			}
			select {
			case line, more := <-lines:
				if !more && p.Next == nil {
					return runner.GoOn, nil
				}
				if !more || line == "q" {
					stop(errStopped)
					return runner.GoOn, errStopped
				}
				decision, said, decided := decide(line, p)
				if decided {
					return decision, nil
				}
				switch {
				case line == "v" && p.Last != nil:
					term.Evidence(*p.Last)
				case line == "k":
					if err := shell(ctx); err != nil {
						term.Note("there is no shell: " + err.Error())
					}
				default:
					term.Note(said)
				}
			case <-ctx.Done():
				return runner.GoOn, context.Cause(ctx)
			}
		}
	}
}

// ask returns what the run waits for.
func ask(p runner.Paused) string {
	if p.Next != nil {
		return fmt.Sprintf("Enter runs step %d, s skips it, ? lists the keys", p.Next.Step.Index)
	}
	return "Enter goes on, a runs it again, q puts back what was changed, ? lists the keys"
}

// decide returns what a line decides, or what is to be said of it.
func decide(line string, p runner.Paused) (decision runner.Decision, said string, decided bool) {
	switch line {
	case "", "r":
		return runner.GoOn, "", true
	case "s":
		if p.Next == nil {
			return 0, "there is no step to skip: this one has run", false
		}
		return runner.Skip, "", true
	case "a", "v":
		if p.Last == nil {
			return 0, "no step has run yet", false
		}
		return runner.Again, "", line == "a"
	case "?":
		return 0, keys, false
	}
	return 0, fmt.Sprintf("%q is no key; ? lists them", line), false
}
