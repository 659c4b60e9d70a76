package curl

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// An Output takes what a command writes to stdout, cuts curl's reports out and keeps
// the beginning of the rest. It is an io.Writer that never fails: a command that writes
// too much must not end by that.
type Output struct {
	command *Command
	max     int // bytes of stdout that are kept

	kept    []byte // stdout without the reports, its beginning
	size    int    // the size of stdout without the reports
	pending []byte // possibly the beginning of a mark, or a part of a report
	part    part
	begin   int // the beginning, in stdout, of the transfer that is not yet reported
	reports []report
	err     error
}

// A part is the text between two marks.
type part int

const (
	printed part = iota // heads and body
	values
	message
	written // by the author's own --write-out, if there is one
)

// A report is a report that was cut out, and the place of its transfer's output in
// stdout.
type report struct {
	begin, end      int // heads and body
	written         int // the end of what the author's --write-out wrote
	values, message string
}

const (
	maxReports = 1000
	maxReport  = 1 << 20 // bytes; a URL can be long
)

// Output returns an [Output] for one run of the command, which keeps max bytes
// of its stdout.
func (c *Command) Output(max int) *Output { return &Output{command: c, max: max} }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	if o.command.Unreported != "" {
		o.keep(p)
		return len(p), nil
	}
	o.pending = append(o.pending, p...)
	mark := []byte(o.command.mark)
	for {
		before, after, found := bytes.Cut(o.pending, mark)
		if !found {
			break
		}
		o.take(before)
		o.pending = after
		o.next()
	}
	switch o.part {
	case printed, written:
		safe := max(0, len(o.pending)-len(mark)+1) // the rest may begin a mark
		o.keep(o.pending[:safe])
		o.pending = bytes.Clone(o.pending[safe:])
	default:
		if len(o.pending) > maxReport {
			o.fail(errors.New("curl's report does not end"))
			o.pending, o.part = nil, printed
		}
	}
	return len(p), nil
}

// keep keeps the beginning of the output that is not a report.
func (o *Output) keep(p []byte) {
	o.size += len(p)
	o.kept = append(o.kept, p[:min(len(p), max(0, o.max-len(o.kept)))]...)
}

// take takes the part that a mark ends.
func (o *Output) take(p []byte) {
	switch o.part {
	case printed, written:
		o.keep(p)
	case values:
		o.reports = append(o.reports, report{begin: o.begin, end: o.size, values: string(p)})
	case message:
		last := &o.reports[len(o.reports)-1]
		last.message, last.written = string(p), o.size
	}
}

// next goes on to the part after a mark.
func (o *Output) next() {
	switch o.part {
	case printed:
		o.part = values
		if len(o.reports) == maxReports {
			o.fail(fmt.Errorf("curl made more than %d transfers", maxReports))
			o.reports = o.reports[:0]
		}
	case values:
		o.part = message
	case message:
		o.part, o.begin = printed, o.size
		if o.command.bounded {
			o.part = written
		}
	case written:
		o.part, o.begin = printed, o.size
		o.reports[len(o.reports)-1].written = o.size
	}
}

func (o *Output) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// Stdout returns what the author's command would have written to stdout, as far as it
// is kept.
func (o *Output) Stdout() string {
	if o.part == printed || o.part == written {
		o.keep(o.pending)
		o.pending = nil
	}
	return string(o.kept)
}

// Truncated reports whether more was written than was kept.
func (o *Output) Truncated() bool {
	o.Stdout()
	return o.size > len(o.kept)
}

// Transfers returns curl's reports, in the order in which it fetched its URLs. It
// returns none if curl was ended, or refused its options, before it had finished the
// first. It returns an error if a report cannot be read, or does not agree with the
// output.
func (o *Output) Transfers() ([]Transfer, error) {
	stdout := o.Stdout()
	c := o.command
	switch {
	case o.err != nil:
		return nil, o.err
	case o.part == values || o.part == message:
		return nil, errors.New("curl's report was cut short")
	}
	if c.URLs >= 0 && len(o.reports) > c.URLs {
		return nil, fmt.Errorf("curl reports %d transfers, and its command line has %d", len(o.reports), c.URLs)
	}
	transfers := make([]Transfer, 0, len(o.reports))
	for i, r := range o.reports {
		t, err := parseReport(r.values, r.message)
		if err != nil {
			return nil, err
		}
		if t.Number < 0 || t.Number >= len(c.targets) {
			return nil, fmt.Errorf("curl's report is of URL %d, of %d", t.Number+1, len(c.targets))
		}
		t.Asked = c.targets[t.Number].url
		if c.URLs >= 0 && t.Redirects == 0 && isElsewhere(t) {
			return nil, fmt.Errorf("curl's report is of %s, and its command line has %s", t.URL, t.Asked)
		}
		last := i == len(o.reports)-1
		if c.asked != "" && !c.bounded {
			// The end of the author's --write-out is not known.
			if !last && (c.HeadsToStdout || c.BodyToStdout) {
				return nil, errors.New("the output of several URLs cannot be told apart: --write-out ends in a way that hides its end")
			}
			r.written = o.size
		}
		clip := func(from, to int) string { return stdout[min(from, len(stdout)):min(to, len(stdout))] }
		t.Written = clip(r.end, r.written)
		t.Truncated = r.end > len(stdout)
		if err := c.split(t, clip(r.begin, r.end)); err != nil {
			return nil, fmt.Errorf("%s: %w", t.URL, err)
		}
		transfers = append(transfers, *t)
	}
	return transfers, nil
}

// isElsewhere reports whether a transfer without redirects was of another host than the
// URL that the command names: a .curlrc in the pod may have URLs of its own.
func isElsewhere(t *Transfer) bool {
	asked, did := t.Asked, t.URL
	if !strings.Contains(asked, "://") {
		asked = "http://" + asked
	}
	u, err1 := url.Parse(asked)
	v, err2 := url.Parse(did)
	if err1 != nil || err2 != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	return u.Hostname() != "" && v.Hostname() != "" && !strings.EqualFold(u.Hostname(), v.Hostname())
}
