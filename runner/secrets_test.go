package runner

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/redact"
)

// oneObject is a cluster that has one object, and refuses changes of it.
type oneObject struct {
	cluster.Interface
	object map[string]any
}

func (c oneObject) Get(context.Context, cluster.Ref) (*unstructured.Unstructured, error) {
	return &unstructured.Unstructured{Object: c.object}, nil
}

func (c oneObject) Apply(_ context.Context, obj *unstructured.Unstructured, _ cluster.WriteOptions) (*unstructured.Unstructured, error) {
	return nil, errors.New("cannot take the value 123 or quoted-value")
}

// Each text of each event is free of secrets, whatever field it stands in.
func TestNoSecretLeavesTheRunner(t *testing.T) {
	secret := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "s"},
		"data": map[string]any{"a": "cGxhbnRlZC1pbi1kYXRh"}, // planted-in-data
	}
	said := "planted-in-data cGxhbnRlZC1pbi1kYXRh planted-by-flag planted-in-variable ordinary"
	bad := []string{"planted", "cGxhbnRlZ", "1234567"}
	a := action{try: func(ctx context.Context, s *Scope) (*evidence.Attempt, error) {
		_, err := s.Cluster.Get(ctx, cluster.Ref{})
		require.NoError(t, err)
		s.SetSecret("V", "planted-in-variable")
		return &evidence.Attempt{
			Text: said, Body: said,
			Command:   &evidence.Command{Argv: []string{"curl", "-u", "me:1234567", said}, Stdout: said, Stderr: said},
			Responses: []evidence.Response{{Header: http.Header{"X": {said}, "Set-Cookie": {"a=planted-cookie; Path=/"}}}},
			Transfers: []evidence.Transfer{{URL: "http://me:1234567@host/" + said, Error: said}},
			Lines:     []evidence.Line{{Text: said, Path: said, Authority: said}},
			Unread:    []evidence.Unread{{Text: said}},
			Proxies:   []evidence.Proxy{{Log: evidence.Log{Why: said}}},
			Past:      &evidence.Past{For: []string{said}},
			Arrivals:  &evidence.Arrivals{All: []evidence.Arrival{{Host: said, Path: said}}},
		}, nil
	}}
	judge := says(evidence.Verdict{Outcome: evidence.NotHeld, What: said, Want: said, Got: said, Why: said, Hint: said, Facts: []string{said, "planted-cookie"}})
	cookie := Check{Key: "headers", Expectation: says(evidence.Verdict{Field: []string{"set-cookie"}, Outcome: evidence.NotHeld, Want: "b", Got: "c=d"})}
	failing := step(a, judge)
	failing.Bind = func(Lookup) (Action, []Check, error) {
		return a, []Check{{Key: "body", Expectation: judge}, cookie}, nil
	}
	failing.Title = "a title"
	r := &Runner{Secrets: redact.New(), Cluster: oneObject{object: secret}}
	r.Secrets.AddWord("planted-by-flag")
	_, events := run(t, r, t.Context(), failing)
	text, err := json.Marshal(events)
	require.NoError(t, err)
	for _, b := range bad {
		assert.NotContains(t, string(text), b)
	}
	assert.NotContains(t, string(text), "c=d", "the header's value, though it is short")
	assert.Contains(t, string(text), "ordinary")
	assert.Contains(t, string(text), `"a title"`)
	e := events.last(StepFinished)
	assert.Equal(t, "(secret) (secret) (secret) (secret) ordinary", e.Output)
	assert.Equal(t, []string{"(secret)"}, e.Evidence.Responses[0].Header["Set-Cookie"])
	assert.Equal(t, []string{"curl", "-u", "me:(secret)", e.Output}, e.Evidence.Command.Argv)
}

// What is judged is what there was, not what is shown of it.
func TestVerdictsAreJudgedOnTheRealValues(t *testing.T) {
	a := action{try: func(ctx context.Context, s *Scope) (*evidence.Attempt, error) {
		s.SetSecret("V", "planted-value")
		return &evidence.Attempt{Text: "planted-value", Command: &evidence.Command{Stdout: "planted-value"}}, nil
	}}
	looks := expectation{judge: func(a *evidence.Attempt) evidence.Verdicts {
		v := evidence.Verdict{Outcome: evidence.Held, Got: a.Command.Stdout}
		if a.Command.Stdout != "planted-value" {
			v.Outcome = evidence.NotHeld
		}
		return evidence.Verdicts{v}
	}}
	result, events := run(t, &Runner{}, t.Context(), step(a, looks))
	assert.Equal(t, Summary{Passed: 1}, result.Summary)
	assert.Equal(t, "(secret)", events.last(StepFinished).Verdicts[0].Got)
}

// The API server's refusal of a Secret may quote it.
func TestRefusedSecret(t *testing.T) {
	secret := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "s"},
		"stringData": map[string]any{"a": int64(123), "b": "quoted-value"},
	}}
	a := action{try: func(ctx context.Context, s *Scope) (*evidence.Attempt, error) {
		_, err := s.Cluster.Apply(ctx, secret, cluster.WriteOptions{})
		return nil, err
	}}
	_, events := run(t, &Runner{Cluster: oneObject{}}, t.Context(), step(a))
	assert.Equal(t, "cannot take the value (secret) or (secret)", events.last(StepFinished).Problem.Text)
}

// A secret that control characters or the bound of a text cut in two is found.
func TestHiddenAndCutSecrets(t *testing.T) {
	r := &Runner{Secrets: redact.New()}
	r.Secrets.Add("planted-value")
	show := func(text string) string { return r.shown(Event{Text: text}).Text }
	assert.Equal(t, "a (secret) b", show("a plan\x1b[31mted-va\x00lue b"))
	long := make([]byte, 2*maxShown-5)
	for i := range long {
		long[i] = ' '
	}
	assert.NotContains(t, show(string(long)+"planted-value"), "plan")
	assert.Equal(t, 2, len(r.shown(Event{Left: []string{"planted-value", "b"}}).Left))
}
