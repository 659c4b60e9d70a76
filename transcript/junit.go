package transcript

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// The elements below are those of junit-10.xsd in jenkinsci/xunit-plugin, which
// Jenkins reads and GitLab reads a part of.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr,omitempty"`
	File       string          `xml:"file,attr"`
	Properties []junitProperty `xml:"properties>property,omitempty"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	Classname string        `xml:"classname,attr"`
	Time      string        `xml:"time,attr"`
	Skipped   *junitProblem `xml:"skipped"`
	Error     *junitProblem `xml:"error"`
	Failure   *junitProblem `xml:"failure"`
	Out       string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// junitDocument returns the report as JUnit's XML: a playbook is a suite, a step a
// case. What could not be run or judged is an error, not a failure, and so is what
// could not be put back.
func junitDocument(d *document) []byte {
	all := junitSuites{Name: "egressplay", Time: junitTime(d.DurationMS)}
	for _, p := range d.Playbooks {
		s := junitSuiteOf(d, p)
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
		all.Suites = append(all.Suites, s)
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		panic(err) // XML has all of it, or a sign in its place
	}
	b.WriteByte('\n')
	return printable(b.Bytes())
}

func junitSuiteOf(d *document, p *playbookReport) junitSuite {
	s := junitSuite{Name: p.class(), File: p.File, Time: junitTime(p.DurationMS)}
	if p.Round > 0 {
		s.Name += fmt.Sprintf(" (round %d)", p.Round)
	}
	if p.Part != "" {
		s.Name += " (" + p.Part + ")"
	}
	if !p.Started.IsZero() {
		s.Timestamp = p.Started.UTC().Format("2006-01-02T15:04:05")
	}
	add := func(name, value string) { s.Properties = append(s.Properties, junitProperty{name, value}) }
	add("title", p.Title)
	target, versions := d.in(p)
	if target != "" {
		add("target", target)
	}
	for _, name := range []string{"egressplay", "kubernetes", "istio", "envoy"} {
		if v := versions[name]; v != "" {
			add(name, v)
		}
	}
	for _, step := range p.Steps {
		s.add(junitCaseOf(p, step))
	}
	if p.Error != nil {
		c := junitCase{Name: "the playbook", Classname: p.class(), Time: junitTime(0)}
		if p.Status == runner.Skipped {
			c.Skipped = &junitProblem{Message: *p.Error}
		} else {
			c.Error = &junitProblem{Message: firstLine(*p.Error), Type: string(p.Status), Text: *p.Error}
		}
		s.add(c)
	}
	for _, u := range p.Cleanup {
		if u.Error != "" {
			s.add(junitCase{
				Name: "put back: " + u.What, Classname: p.class(), Time: junitTime(u.DurationMS),
				Error: &junitProblem{Message: "not put back: " + u.What, Type: "cleanup", Text: u.Error},
			})
		}
	}
	return s
}

// class returns the name of a playbook, which differs from one cluster to another.
func (p *playbookReport) class() string {
	if p.Context == "" {
		return p.Name
	}
	return p.Name + " (context " + p.Context + ")"
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func junitCaseOf(p *playbookReport, s *stepReport) junitCase {
	c := junitCase{Name: fmt.Sprintf("%d %s", s.Index, s.Title), Classname: p.class(), Time: junitTime(s.DurationMS)}
	said := ""
	if s.Error != nil {
		said = *s.Error
	}
	problem := &junitProblem{Message: firstLine(said), Type: string(s.Status), Text: fmt.Sprintf("%s:%d\n%s", s.File, s.Line, said)}
	for i := range s.Findings {
		problem.Text += "\ncause: " + s.Findings[i].Cause
		if next := s.Findings[i].Next; next != "" {
			problem.Text += "\nnext: " + next
		}
	}
	if s.Hint != "" {
		problem.Text += "\nhint: " + s.Hint
	}
	switch s.Status {
	case runner.Passed:
	case runner.Failed:
		c.Failure = problem
	case runner.Skipped:
		c.Skipped = &junitProblem{Message: cmp.Or(firstLine(said), "not run")}
	default:
		c.Error = problem
	}
	var out []string
	if s.Command != "" {
		out = append(out, "$ "+strings.TrimRight(s.Command, "\n"))
	}
	if s.Output != "" {
		out = append(out, strings.TrimRight(s.Output, "\n"))
	}
	if s.Evidence != nil {
		out = append(out, proof(s.Evidence)...)
	}
	for _, v := range s.of(evidence.NotChecked) {
		out = append(out, "not checked here: "+v.Subject()+", for "+v.Why)
	}
	c.Out = strings.Join(out, "\n")
	return c
}

// junitTime returns milliseconds in seconds.
func junitTime(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	return fmt.Sprintf("%d.%03d", int64(d/time.Second), ms%1000)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
