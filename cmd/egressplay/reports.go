package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/redact"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

// Reports are the reports of a run, and where each goes. It is a [runner.Sink].
type reports struct {
	collected *transcript.Report
	files     []*reportFile
	github    *githubJob // nil outside of GitHub Actions
}

// A reportFile is a report of one format at one place.
type reportFile struct {
	spec   string // FORMAT=PATH
	format transcript.Format
	path   string  // "-" for stdout
	lines  *output // takes the events of a format that is written as they come
}

// readReports reads the values of --report, FORMAT=PATH each.
func readReports(specs []string) (*reports, error) {
	r := &reports{collected: transcript.NewReport(nil), github: inGitHub()}
	taken := map[string]string{}
	for _, spec := range specs {
		f, err := readReport(spec)
		if err != nil {
			return nil, err
		}
		if other, is := taken[f.path]; is {
			return nil, usagef("name another file", "--report %s would be written over --report %s", spec, other)
		}
		taken[f.path] = spec
		r.files = append(r.files, f)
	}
	return r, nil
}

func readReport(spec string) (*reportFile, error) {
	name, path, _ := strings.Cut(spec, "=")
	format, known := transcript.Formats[name]
	if !known {
		hint := "there are " + strings.Join(transcript.FormatNames(), ", ")
		if near := transcript.NearestFormat(name); near != "" {
			hint = fmt.Sprintf("did you mean %s? %s", near, hint)
		}
		return nil, usagef(hint, "unknown report format %q", name)
	}
	if path == "" {
		return nil, usagef(fmt.Sprintf("such as --report %s=report.%[1]s, or - for stdout", name), "--report %s names no file", spec)
	}
	return &reportFile{spec: spec, format: format, path: path}, nil
}

// toStdout reports whether a report goes to stdout, where the transcript then does
// not.
func (r *reports) toStdout() bool {
	for _, f := range r.files {
		if f.path == "-" {
			return true
		}
	}
	return false
}

// plan begins the report of a run of these playbooks.
func (r *reports) plan(list []*runner.Playbook, o *runOptions) {
	var contexts []string
	for _, name := range o.several() {
		contexts = append(contexts, runner.Plain(o.secrets.Text(name)))
	}
	r.collected = transcript.NewReport(list, contexts...)
	r.collected.Workspace = os.Getenv("GITHUB_WORKSPACE")
}

// open makes each file before the run: one that cannot be written is found before
// anything is touched, and one of an earlier run does not stay as if it were of this
// one.
func (r *reports) open() error {
	for _, f := range r.files {
		if f.format.Line != nil {
			if err := f.openLines(); err != nil {
				return err
			}
			continue
		}
		if err := f.draft(r.collected); err != nil {
			return err
		}
	}
	return nil
}

// openLines opens a report that is written as the events come. A pipe is opened only
// when the first comes, and by whoever hands it on: opening one waits for its reader.
func (f *reportFile) openLines() error {
	switch {
	case f.path == "-":
		f.lines = newOutput(os.Stdout)
	case transcript.IsStream(f.path):
		f.lines = newOutput(&lateFile{path: f.path})
	default:
		file, err := os.Create(f.path)
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		f.lines = newOutput(file)
	}
	return nil
}

// A lateFile is opened with the first write.
type lateFile struct {
	path string
	file *os.File
}

func (f *lateFile) Write(p []byte) (int, error) {
	if f.file == nil {
		file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return 0, err
		}
		f.file = file
	}
	return f.file.Write(p)
}

// Send implements [runner.Sink]. Documents are written after each playbook, so that
// what ends the program does not take them along.
func (r *reports) Send(e runner.Event) {
	r.collected.Send(e)
	for _, f := range r.files {
		switch {
		case f.lines != nil:
			_, _ = f.lines.Write(f.format.Line(e)) // an error comes again at the end
		case f.format.Line == nil && (e.Kind == runner.PlaybookStarted || e.Kind == runner.PlaybookFinished):
			_ = f.draft(r.collected)
		}
	}
}

// fail has the reports say why the playbooks that have not begun could not be run.
func (r *reports) fail(err error, secrets *redact.Redactor) {
	safe := safe(err, secrets)
	r.collected.Fail(safe, mistakes(err, secrets)...)
	ended := runner.Event{
		Kind: runner.RunFinished, Time: time.Now(), Status: runner.Errored, Summary: &runner.Summary{},
		Problem: &runner.Problem{Text: runner.Plain(safe.Error())},
	}
	for _, f := range r.files {
		if f.lines != nil {
			_, _ = f.lines.Write(f.format.Line(ended))
		}
	}
}

// unread reports that the playbooks could not be read, and returns the error of the
// run.
func (r *reports) unread(ctx context.Context, o *runOptions, args []string, err error) error {
	r.plan(unread(args), o)
	err = errors.Join(safe(err, o.secrets), r.open())
	r.fail(err, o.secrets)
	err = errors.Join(err, r.write(ctx, false), r.write(ctx, true))
	if r.github != nil && o.dryRun == "" {
		err = errors.Join(err, r.github.summarize(r))
		fmt.Fprint(os.Stderr, string(r.collected.In(transcript.Formats["github"])))
	}
	return err
}

// mistakes returns what is wrong with playbooks, each with its place.
func mistakes(err error, secrets *redact.Redactor) (all []transcript.Mistake) {
	var errs playbooks.Errors
	if one, ok := errors.AsType[*playbooks.Error](err); ok {
		errs = playbooks.Errors{one}
	} else if many, ok := errors.AsType[playbooks.Errors](err); ok {
		errs = many
	}
	for _, e := range errs {
		all = append(all, transcript.Mistake{
			At:   evidence.Position{File: e.File, Line: e.Line, Column: e.Column},
			Text: runner.Plain(secrets.Text(e.Msg)), Hint: runner.Plain(secrets.Text(e.Hint)),
		})
	}
	return all
}

// draft writes a document as it is now. A stream gets the whole one only.
func (f *reportFile) draft(r *transcript.Report) error {
	if f.isStream() {
		return nil
	}
	return transcript.WriteFile(f.path, r.In(f.format))
}

func (f *reportFile) isStream() bool { return f.path == "-" || transcript.IsStream(f.path) }

// write writes the documents at the end of a run that go to files, or those that go
// to streams. The latter wait for their reader until ctx has ended, and a moment.
func (r *reports) write(ctx context.Context, streams bool) (err error) {
	for _, f := range r.files {
		if f.isStream() == streams {
			err = errors.Join(err, f.write(ctx, r.collected))
		}
	}
	return err
}

func (f *reportFile) write(ctx context.Context, r *transcript.Report) error {
	late := fmt.Errorf("write the report: nobody reads %s", f.path)
	out := f.lines
	if out == nil {
		switch {
		case f.format.Line != nil:
			return nil // it could not be opened, which has been said
		case !f.isStream():
			return transcript.WriteFile(f.path, r.In(f.format))
		case f.path == "-":
			out = newOutput(os.Stdout)
		default:
			out = newOutput(&lateFile{path: f.path})
		}
		_, _ = out.Write(r.In(f.format))
	}
	switch err := out.drain(ctx.Done(), readPause); {
	case errors.Is(err, errNotRead):
		return late
	case f.path == "-" && errors.Is(err, syscall.EPIPE): // a reader may go, as head does
		return nil
	case err != nil:
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// isFull reports whether an error says that no more can be written at that place,
// which is no mistake in how the program was called.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EIO) }

// unread returns the playbooks that arguments would have been, for the report
// of a run in which they could not be read.
func unread(args []string) []*runner.Playbook {
	var list []*runner.Playbook
	for _, arg := range args {
		list = append(list, &runner.Playbook{Name: arg, Title: arg, File: arg})
	}
	return list
}

// A githubJob is the step of a job of GitHub Actions in which the program runs.
type githubJob struct {
	summary string // the file that takes a summary, "" for none
	token   string // ends what the runner does not read
}

// inGitHub returns the job in which the program runs, nil for none.
func inGitHub() *githubJob {
	if os.Getenv("GITHUB_ACTIONS") != "true" {
		return nil
	}
	return &githubJob{summary: os.Getenv("GITHUB_STEP_SUMMARY"), token: rand.Text()}
}

// mute returns what keeps the runner from reading commands in what follows: a pod
// may write what it likes.
func (g *githubJob) mute() string { return "::stop-commands::" + g.token + "\n" }

// annotations returns what the runner is to read, behind what it is not to.
func (g *githubJob) annotations(r *reports) string {
	text := "::" + g.token + "::\n"
	for _, f := range r.files {
		if strings.HasPrefix(f.spec, "github=") {
			return text // they go where the user wants them
		}
	}
	return text + string(r.collected.In(transcript.Formats["github"]))
}

// summarize adds the summary of a run to that of the job.
func (g *githubJob) summarize(r *reports) error {
	if g.summary == "" {
		return nil
	}
	f, err := os.OpenFile(g.summary, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("write the job's summary: %w", err)
	}
	_, err = f.Write(append(r.collected.Summary(), '\n'))
	return errors.Join(err, f.Close())
}
