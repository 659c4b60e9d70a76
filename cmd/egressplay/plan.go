package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

// A plan is what a run would do.
type plan struct {
	w      io.Writer
	text   func(string) string // makes a text fit to be shown
	server *place              // has each change judged; nil for nobody
	scope  func(p *runner.Playbook) *runner.Scope
}

// planned prints what the playbooks would do. With a place its API server judges
// each change, and the error tells how many it refuses.
func (s *session) planned(ctx context.Context, w io.Writer, p *place) error {
	namespace := s.o.namespace
	if p != nil && namespace == "" {
		namespace = p.client.Namespace()
	}
	pl := &plan{w: w, text: func(text string) string { return runner.Plain(s.o.secrets.Text(text)) }, server: p}
	pl.scope = func(playbook *runner.Playbook) *runner.Scope {
		var c cluster.Interface
		if p != nil {
			c = p.client
		}
		scope := runner.NewScope(c, playbook.Vars)
		scope.Namespace, scope.IstioNamespace, scope.Revision = namespace, s.o.istioNamespace, s.o.revision
		scope.Secrets = s.o.secrets
		scope.Changes.DryRun = true
		return scope
	}
	refused := 0
	for i, playbook := range s.playbooks {
		if i > 0 {
			fmt.Fprintln(w)
		}
		n, err := pl.playbook(ctx, playbook)
		if err != nil {
			return err
		}
		refused += n
	}
	if refused > 0 {
		return fmt.Errorf("the API server would refuse %s", transcript.Count(refused, "step", "steps"))
	}
	return nil
}

// playbook prints what one playbook would do, and returns how many of its steps the
// server refuses.
func (pl *plan) playbook(ctx context.Context, p *runner.Playbook) (refused int, err error) {
	fmt.Fprintf(pl.w, "%s\nplaybook %s, %s\n", pl.text(p.Title), pl.text(p.File), transcript.Count(len(p.Steps), "step", "steps"))
	scope := pl.scope(p)
	var earlier []changes.Target
	for i := range p.Steps {
		step := &p.Steps[i]
		fmt.Fprintf(pl.w, "\n  %d  %s\n", step.Index, pl.text(step.Title))
		if step.Choice == runner.LeftOut {
			fmt.Fprintln(pl.w, "     left out")
			continue
		}
		// What a step sets is not known before the run.
		action, _, err := step.Bind(func(name string) (string, bool) {
			if value, set := scope.Lookup(name); set {
				return value, true
			}
			return "${" + name + "}", true
		})
		if err != nil {
			return refused, fmt.Errorf("%s:%d: %w", step.File, step.Line, err)
		}
		action.Command(scope) // for the secrets that it has
		shown, _, err := step.Bind(scope.Shown)
		if err != nil { // a value is needed to know what is meant
			shown = action
		}
		for line := range strings.Lines(strings.TrimRight(shown.Command(scope), "\n") + "\n") {
			fmt.Fprint(pl.w, "     "+pl.text(line))
		}
		if pl.server != nil && len(step.Targets) > 0 {
			verdict, err := pl.judge(ctx, scope, action, step.Targets, earlier)
			if err != nil {
				return refused, err
			}
			if strings.HasPrefix(verdict, "refused") {
				refused++
			}
			for line := range strings.Lines(verdict + "\n") {
				fmt.Fprint(pl.w, "     "+pl.text(line))
			}
		}
		earlier = append(earlier, step.Targets...)
	}
	return refused, nil
}

// judge has the server judge the changes of a step. The error is that of a server
// that does not.
func (pl *plan) judge(ctx context.Context, scope *runner.Scope, action runner.Action, targets, earlier []changes.Target) (verdict string, err error) {
	for _, t := range targets {
		if strings.Contains(fmt.Sprint(t.Ref), "${") {
			return "not judged: what it is called is known only in the run", nil
		}
		if slices.ContainsFunc(earlier, func(e changes.Target) bool {
			return e.Makes && (!t.Makes && e.Ref.Name == t.Ref.Name || e.Ref.Kind == "Namespace" && e.Ref.Name == t.Ref.Namespace)
		}) {
			return "not judged: an earlier step makes what it needs", nil
		}
	}
	a, err := action.Try(ctx, scope)
	mismatch, isMismatch := errors.AsType[*runner.Mismatch](err)
	switch {
	case err == nil:
		return strings.TrimRight(a.Text, "\n") + " (server dry run)", nil
	case isMismatch:
		return "refused: " + mismatch.Error(), nil
	case changes.IsRefused(err) && !apierrors.IsTooManyRequests(err):
		return "refused: " + err.Error(), nil
	}
	return "", err
}
