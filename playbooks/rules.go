package playbooks

import (
	"cmp"
	"errors"
	"strconv"

	"github.com/egressplay/egressplay/lint"
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/steps"
)

// checkObjects holds the objects that the playbook applies to the rules of [lint].
// Lint does it and a run does not: the cluster may know more than we do.
func (l *loader) checkObjects() {
	var manifests []lint.Manifest
	var from []*step
	var fields [][]string
	for _, s := range l.steps {
		a, ok := s.action.(steps.Manifester)
		if !ok {
			continue
		}
		for _, m := range a.Manifests() {
			manifests = append(manifests, lint.Manifest{Text: m.Text, Namespace: cmp.Or(m.Namespace, l.options.Namespace, "default")})
			from, fields = append(from, s), append(fields, m.Field)
		}
	}
	for _, p := range lint.Check(manifests, len(l.decoder.Errs) == 0) {
		s, msg := from[p.Manifest], p.Msg+" ("+string(p.Rule)+")"
		if m := fields[p.Manifest]; m[0] == "files" {
			file, _ := fill.Find(s.verbNode, m)
			msg = file.Value + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column) + ": " + msg
		}
		l.decoder.Place(s.verbNode, &runner.FieldError{Field: fields[p.Manifest], Line: p.Line, Column: p.Column, Err: errors.New(msg), Hint: p.Hint}, 0)
	}
}
