package expect

import (
	"slices"
	"strconv"

	"github.com/egressplay/egressplay/evidence"
)

// What is shown of a script is claimed of its output as a whole. A meaning is the same
// claim about the one command of which it is: only where it can be no other.

// proxyContainer is the container of Istio's proxy.
const proxyContainer = "istio-proxy"

// codesMean returns what exit codes that differ come to. want has those that are shown.
func codesMean(want []int, stages []evidence.Stage) (all []evidence.Meaning) {
	var in []int // the commands in pods
	for i := range stages {
		if stages[i].Exec {
			in = append(in, i)
		}
	}
	if len(want) > 0 && len(want) != len(in) {
		return nil // nobody knows which one was to fail
	}
	for n, i := range in {
		code := 0
		if len(want) > 0 {
			code = want[n]
		}
		if got := stages[i].Code; got != code {
			all = append(all, evidence.Meaning{Stage: i, Key: "expect.exitCode", Want: strconv.Itoa(code), Got: strconv.Itoa(got)})
		}
	}
	return all
}

// grepMeans returns what it comes to that grep finds no line.
func grepMeans(stages []evidence.Stage, at int) []evidence.Meaning {
	for i := at; i >= 0; i-- {
		switch s := stages[i]; {
		case s.Exec || s.Log:
			return []evidence.Meaning{{Stage: i, Key: "expect.stdout", Want: "a line that grep finds", Got: "none"}}
		case !s.Behind:
			return nil
		}
	}
	return nil
}

// means returns what a difference comes to.
func (c *comparison) means(d *difference, stages []evidence.Stage) []evidence.Meaning {
	var in []int
	for i := range stages {
		if (stages[i].Exec || stages[i].Log) && !stages[i].Inner {
			in = append(in, i)
		}
	}
	of, index := -1, 0 // which command, and which of its responses
	if len(in) == 1 {
		of, index = in[0], d.response
	}
	if len(in) > 1 && d.status != "" {
		of, index = c.respondent(stages, in, d.response)
	}
	if of < 0 {
		return nil
	}
	m := evidence.Meaning{Stage: of, Want: d.want, Got: d.got, Key: "expect.stdout"}
	s := &stages[of]
	shown, came := "", d.came
	if d.line != nil {
		shown = d.line.text
	}
	took := timeLine.FindStringSubmatch(shown)
	switch {
	case d.status != "":
		m.Key, m.Want, m.Got = "expect.responses["+strconv.Itoa(index)+"].status", d.status, orNone(d.gotStatus)
	case bareCode.MatchString(shown):
		m.Key, m.Want, m.Got = "expect.status", shown, orNone(came)
	case took != nil && took[1] == "real":
		m.Key = "expect.elapsed"
	case s.Log && s.Pod.Container != proxyContainer:
	case s.Log && s.Request != nil && s.Request.Command != nil && s.Request.Command.Pod.Name == s.Pod.Name:
		switch {
		case d.field != "":
			m.Key, m.Want, m.Got = "expect.log[0]."+d.field, d.shown, d.was
		case entryLine.MatchString(shown) || shown == "" && entryLine.MatchString(came):
			m.Key = "expect.log"
		}
	case s.Log && entryLine.MatchString(shown) && d.field == "":
		m.Key, m.Want, m.Got = "expect.path", "gateway/"+s.Pod.Name, "a way past it"
	}
	return []evidence.Meaning{m}
}

// respondent returns the command that printed a status line, and which of its own
// responses that is: where all that curl tells of its responses was printed.
func (c *comparison) respondent(stages []evidence.Stage, in []int, response int) (stage, index int) {
	var printed, told []string
	for _, line := range c.real {
		if m := statusLine.FindStringSubmatch(line); m != nil {
			printed = append(printed, m[2])
		}
	}
	stage = -1
	for _, i := range in {
		if stages[i].Request == nil || !stages[i].Exec {
			continue
		}
		for n, r := range stages[i].Request.Responses {
			if len(told) == response {
				stage, index = i, n
			}
			told = append(told, strconv.Itoa(r.Status))
		}
	}
	if !slices.Equal(printed, told) {
		return -1, 0
	}
	return stage, index
}
