package main

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/runner"
)

// sixSteps is a playbook that changes something in its steps 1, 2 and 4, and makes a
// request in 3, 5 and 6.
func sixSteps() *runner.Playbook {
	p := &runner.Playbook{Name: "six"}
	for i, s := range []struct {
		id, title string
		role      runner.Role
	}{
		{"", "Deploy the sample", runner.Acts}, {"set", "Set SOURCE_POD", runner.Acts}, {"plain", "An HTTP request", runner.Requests},
		{"", "Apply the rule", runner.Acts}, {"tls", "An HTTPS request", runner.Requests}, {"", "The request of 7", runner.Requests},
	} {
		p.Steps = append(p.Steps, runner.Step{StepInfo: runner.StepInfo{Index: i + 1, ID: s.id, Title: s.title}, Role: s.role})
	}
	return p
}

func TestPartsMark(t *testing.T) {
	const runs, needed, out = runner.Choice(""), runner.Needed, runner.LeftOut
	for _, tt := range []struct {
		parts parts
		want  []runner.Choice
		words string
	}{
		{parts{only: []string{"plain"}}, []runner.Choice{needed, needed, runs, out, out, out}, "step 3 of 6"},
		{parts{only: []string{"5"}}, []runner.Choice{needed, needed, out, needed, runs, out}, "step 5 of 6"},
		{parts{only: []string{"set", "https"}}, []runner.Choice{needed, runs, out, needed, runs, out}, "steps 2, 5 of 6"},
		{parts{from: "apply THE"}, []runner.Choice{needed, needed, out, runs, runs, runs}, "steps 4 to 6 of 6"},
		{parts{until: "plain"}, []runner.Choice{runs, runs, runs, out, out, out}, "steps 1 to 3 of 6"},
		{parts{from: "plain", until: "tls"}, []runner.Choice{needed, needed, runs, runs, runs, out}, "steps 3 to 5 of 6"},
		{parts{from: "1"}, []runner.Choice{runs, runs, runs, runs, runs, runs}, ""},
		{parts{only: []string{"1"}}, []runner.Choice{runs, out, out, out, out, out}, "step 1 of 6"},
	} {
		p := sixSteps()
		_, err := tt.parts.choose([]*runner.Playbook{p})
		require.NoError(t, err)
		var got []runner.Choice
		for _, s := range p.Steps {
			got = append(got, s.Choice)
		}
		assert.Equal(t, tt.want, got, "%+v", tt.parts)
		assert.Equal(t, tt.words, p.Part)
	}
}

// A step that reads a log needs the requests that have left its lines.
func TestPartsOfALog(t *testing.T) {
	const acts, looks, requests, reads = runner.Acts, runner.Looks, runner.Requests, runner.ReadsTraces
	for _, tt := range []struct {
		roles  []runner.Role
		needed []int // of the last step
	}{
		{[]runner.Role{requests, reads}, []int{0}},
		{[]runner.Role{requests, acts, requests, looks, requests, reads}, []int{1, 2, 4}},
		{[]runner.Role{requests, acts, reads, reads}, []int{0, 1}},
		{[]runner.Role{acts, reads}, []int{0}},
		{[]runner.Role{requests, requests}, nil},
		{[]runner.Role{requests, looks}, nil},
	} {
		p := &runner.Playbook{Name: "log"}
		for i, role := range tt.roles {
			p.Steps = append(p.Steps, runner.Step{StepInfo: runner.StepInfo{Index: i + 1}, Role: role})
		}
		part := parts{only: []string{strconv.Itoa(len(tt.roles))}}
		_, err := part.choose([]*runner.Playbook{p})
		require.NoError(t, err)
		var needed []int
		for i, s := range p.Steps {
			if s.Choice == runner.Needed {
				needed = append(needed, i)
			}
		}
		assert.Equal(t, tt.needed, needed, "%v", tt.roles)
	}
}

func TestPartsThatCannotBeMeant(t *testing.T) {
	for want, p := range map[string]parts{
		`"request" is in the titles of 3 steps of six`:              {only: []string{"request"}},
		"six has steps 1 to 6, got 7":                               {only: []string{"7"}},
		"six has steps 1 to 6, got 0":                               {from: "0"},
		`six has no step "plian": name one by its id`:               {until: "plian"},
		`six has no step "Aply the rule": name one by its id`:       {until: "Aply the rule"},
		"--from step 5 comes behind --until step 3":                 {from: "tls", until: "plain"},
		"--only and a range cannot both be meant":                   {only: []string{"1"}, from: "2"},
		"none of the playbooks has topic 3":                         {topics: []int{3}},
		`none of the playbooks has topic 3 or tag "egress-gatewai"`: {topics: []int{3}, tags: []string{"egress-gatewai"}},
	} {
		_, err := p.choose([]*runner.Playbook{sixSteps()})
		assert.ErrorContains(t, err, want)
		assert.True(t, isUsage(err))
	}
	_, err := (&parts{only: []string{"1"}}).choose([]*runner.Playbook{sixSteps(), sixSteps()})
	assert.ErrorContains(t, err, "choose steps of one playbook")
	_, err = (&parts{until: "plian"}).choose([]*runner.Playbook{sixSteps()})
	h, ok := err.(hinter)
	require.True(t, ok)
	assert.Equal(t, "did you mean plain?", h.Hint())
}

func TestChosen(t *testing.T) {
	assert.True(t, chosen(nil, nil, 3, nil))
	assert.True(t, chosen([]int{1, 3}, nil, 3, nil))
	assert.False(t, chosen([]int{1}, nil, 3, nil))
	assert.True(t, chosen(nil, []string{"a", "b"}, 3, []string{"b"}))
	assert.False(t, chosen([]int{3}, []string{"a"}, 3, []string{"b"}))
}
