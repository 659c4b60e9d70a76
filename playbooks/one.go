package playbooks

import (
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/runner"
)

// LoadSource reads one playbook, as [Load] reads those of files. The error is an
// [Errors].
func LoadSource(s Source, o Options) (*runner.Playbook, error) {
	settings, errs := parseSettings(o.Set, o.SetSecret)
	if len(errs) > 0 {
		return nil, errs
	}
	l := &loader{decoder: fill.Decoder{File: s.File}, source: s, options: o, settings: settings}
	p := l.playbook(s.reader(builtin))
	if errs := l.decoder.Errs.Sorted(); len(errs) > 0 {
		return nil, errs
	}
	return p, nil
}

// FindSource returns the one playbook, or the page, that arg names: a file, or the
// name of a built-in playbook. The error is an [Errors].
func FindSource(arg string, o Options) (Source, error) {
	sources, errs := findIn(builtin, arg, o.Readers)
	switch {
	case len(errs) > 0:
		return Source{}, errs
	case len(sources) != 1:
		return Source{}, Errors{{File: arg, Msg: "a folder, and one file is wanted", Hint: "name one of its files"}}
	}
	return sources[0], nil
}
