package main

import (
	"errors"
	"strings"
	"syscall"

	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

// A reportFile is where the report of a run goes. Nil is nowhere.
type reportFile struct{ path string }

// newReportFile reads the value of --report, FORMAT=PATH.
func newReportFile(spec string) (*reportFile, error) {
	if spec == "" {
		return nil, nil
	}
	format, path, _ := strings.Cut(spec, "=")
	if format != "json" {
		return nil, usagef("there is json: --report json=PATH", "unknown report format %q", format)
	}
	if path == "" {
		return nil, usagef("such as --report json=report.json", "--report %s names no file", spec)
	}
	return &reportFile{path}, nil
}

// isStream reports whether the report goes to a stream, see [transcript.IsStream].
func (f *reportFile) isStream() bool { return f != nil && transcript.IsStream(f.path) }

// name returns the file's name for a reader.
func (f *reportFile) name() string { return f.path }

// write writes the report at the end of a run.
func (f *reportFile) write(r *transcript.Report) error {
	if f == nil {
		return nil
	}
	return r.Write(f.path)
}

// draft writes the report as it is now. It is called before the run as well: a
// file that cannot be written is found before anything is touched, and one of
// an earlier run does not stay as if it were of this one. A stream gets the whole
// report only.
func (f *reportFile) draft(r *transcript.Report) error {
	if f == nil || f.isStream() {
		return nil
	}
	return r.Write(f.path)
}

// after returns a sink that writes the report after each playbook, so that what
// ends the program does not take it along.
func (f *reportFile) after(r *transcript.Report) runner.Sink {
	return sinkFunc(func(e runner.Event) {
		if e.Kind == runner.PlaybookStarted || e.Kind == runner.PlaybookFinished {
			_ = f.draft(r) // an error here comes again at the end, where it is told
		}
	})
}

// isFull reports whether an error says that no more can be written at that place,
// which is no mistake in how the program was called.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EIO) }

type sinkFunc func(runner.Event)

func (f sinkFunc) Send(e runner.Event) { f(e) }

// unread returns the playbooks that arguments would have been, for the report
// of a run in which they could not be read.
func unread(args []string) []*runner.Playbook {
	var list []*runner.Playbook
	for _, arg := range args {
		list = append(list, &runner.Playbook{Name: arg, File: arg})
	}
	return list
}
