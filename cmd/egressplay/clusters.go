package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/runner"
)

// several returns the contexts of a run in several clusters, none for a run in one.
func (o *runOptions) several() []string {
	if len(o.contexts) < 2 {
		return nil
	}
	return o.contexts
}

// chooseContext takes the only context that --context names. Of several each must be
// another one.
func (o *runOptions) chooseContext() error {
	if len(o.contexts) == 1 {
		o.context = o.contexts[0]
		return nil
	}
	for i, name := range o.contexts {
		if name == "" {
			return usagef("leave it out, or name a context", "of several --context one is empty")
		}
		if slices.Contains(o.contexts[:i], name) {
			return usagef("name each context once; --repeat runs the playbooks several times", "--context names %q twice", name)
		}
	}
	return nil
}

// A stage is a cluster in which the playbooks can be run: it has answered, and lacks
// nothing that they need.
type stage struct {
	session *session // the run's part in this cluster
	place   *place
	notes   []string
	// take takes the hosts of --internet away; nil where there are none.
	take func(context.Context) error
}

// stages connects to each cluster of the run and checks that the playbooks can be run
// there. It changes nothing in any of them. The error names what is wrong in each; the
// caller leaves the stages even if there is an error.
func (s *session) stages(ctx context.Context) (all []*stage, err error) {
	parts := s.parts()
	var wrong []error
	for _, part := range parts {
		st, err := part.prepare(ctx)
		if st != nil {
			all = append(all, st)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return all, context.Cause(ctx)
		case len(parts) == 1 || isPlaybook(err): // a playbook's mistake is printed as it is
			return all, err
		default:
			wrong = append(wrong, inContext(part.o.context, err))
		}
	}
	return all, together(wrong)
}

// parts returns the parts of the run, one for each cluster. A run in one cluster is its
// only part.
func (s *session) parts() []*session {
	if s.o.several() == nil {
		return []*session{s}
	}
	var parts []*session
	for _, name := range s.o.contexts {
		o := *s.o
		o.context = name
		parts = append(parts, &session{
			o: &o, args: s.args, playbooks: s.playbooks, hosts: s.hosts, term: s.term, reports: s.reports, stdout: s.stdout, stderr: s.stderr,
		})
	}
	return parts
}

// prepare connects to the cluster and checks that the playbooks can be run there.
func (s *session) prepare(ctx context.Context) (*stage, error) {
	p, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	if p.client.Namespace() != "default" && s.o.namespace == "" {
		if s.playbooks, err = load(s.o, s.args, p.client.Namespace()); err != nil {
			return nil, err
		}
	}
	if err := s.allow(p); err != nil {
		return nil, err
	}
	st := &stage{session: s, place: p}
	if st.notes, err = s.permitted(ctx, p); err != nil {
		return nil, err
	}
	if s.hosts != nil && s.o.dryRun == "" {
		if st.take, err = p.hold(ctx, s.hosts); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// namespace is where the playbooks' objects are.
func (st *stage) namespace() string {
	return cmp.Or(st.session.o.namespace, st.place.client.Namespace())
}

// leave takes away what was brought into the cluster for the whole run, and reports
// whether it could be.
func (st *stage) leave(ctx context.Context) bool {
	if st.take == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err := st.take(ctx); err != nil {
		st.session.note(fmt.Sprintf("the hosts of --internet were not taken away: %v", err))
		return false
	}
	return true
}

// judged prints what the API server of each cluster says of the playbooks' changes.
func (s *session) judged(ctx context.Context, all []*stage) error {
	s.wait("")
	var wrong []error
	for i, st := range all {
		if len(all) > 1 {
			lead := "\n"
			if i == 0 {
				lead = ""
			}
			s.note(lead + "in " + st.place.target.Describe)
		}
		for _, note := range st.notes {
			s.note(note)
		}
		if err := st.session.planned(ctx, s.stdout, st.place); err != nil && len(all) > 1 {
			wrong = append(wrong, inContext(st.session.o.context, err))
		} else if err != nil {
			return err
		}
	}
	return together(wrong)
}

// sinks returns where the events of each cluster go: into one run.
func (s *session) sinks(all []*stage) []runner.Sink {
	sink := runner.Sinks{s.reports, s.term}
	if s.o.several() == nil {
		return []runner.Sink{sink}
	}
	var parts []runner.ClusterRun
	for _, st := range all {
		parts = append(parts, runner.ClusterRun{
			Context: st.session.o.context, Target: st.place.target, Playbooks: runner.Infos(st.session.playbooks, s.o.repeat),
		})
	}
	return runner.Merge(sink, s.o.secrets, parts)
}

// inContext says in which of several clusters an error came about.
func inContext(name string, err error) error {
	if strings.Contains(err.Error(), strconv.Quote(name)) {
		return err // it says so itself
	}
	return fmt.Errorf("context %q: %w", name, err)
}

// together makes one error of several, with the hints of all.
func together(errs []error) error {
	if len(errs) < 2 {
		return errors.Join(errs...)
	}
	var hints []string
	for _, err := range errs {
		if h, ok := errors.AsType[hinter](err); ok && h.Hint() != "" && !slices.Contains(hints, h.Hint()) {
			hints = append(hints, h.Hint())
		}
	}
	return &hinted{errors.Join(errs...), strings.Join(hints, "\n")}
}
