package steps

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/curl"
	"github.com/egressplay/egressplay/curl/curltest"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
)

// play runs steps as one playbook on a fake cluster and returns the events.
func play(t *testing.T, c cluster.Interface, keep bool, actions ...runner.Action) []runner.Event {
	t.Helper()
	var events events
	r := &runner.Runner{Cluster: c, Sink: &events, Namespace: "default", IstioNamespace: "istio-system", Keep: keep}
	p := &runner.Playbook{Name: "p"}
	for i, a := range actions {
		p.Steps = append(p.Steps, runner.Step{
			StepInfo: runner.StepInfo{Index: i + 1, Title: "step", File: "p.yaml", Line: 1}, Holds: 1,
			Bind: func(runner.Lookup) (runner.Action, []runner.Check, error) { return a, nil, nil },
		})
	}
	r.Run(t.Context(), []*runner.Playbook{p})
	return events
}

type events []runner.Event

func (es *events) Send(e runner.Event) { *es = append(*es, e) }

// finished returns the events of the steps that were finished.
func finished(es []runner.Event) (steps []runner.Event) {
	for _, e := range es {
		if e.Kind == runner.StepFinished {
			steps = append(steps, e)
		}
	}
	return steps
}

func words(t *testing.T, text string) Words {
	t.Helper()
	var w Words
	require.NoError(t, w.UnmarshalText([]byte(text)))
	return w
}

func scope(c cluster.Interface) *runner.Scope {
	s := runner.NewScope(c, nil)
	s.Namespace, s.IstioNamespace = "default", "istio-system"
	return s
}

const entry = `apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata:
  name: httpbin-ext
spec:
  hosts: [httpbin.org]
`

var entryRef = cluster.Ref{APIVersion: "networking.istio.io/v1alpha3", Kind: "ServiceEntry", Namespace: "default", Name: "httpbin-ext"}

func TestApplyIsUndone(t *testing.T) {
	c := clustertest.NewFake()
	apply := &Apply{Manifest: Manifest{Text: entry}}

	steps := finished(play(t, c, true, apply))
	require.Equal(t, runner.Passed, steps[0].Status, "%v", steps[0].Problem)
	assert.Equal(t, "serviceentry.networking.istio.io/httpbin-ext created\n", steps[0].Output)
	assert.Equal(t, "kubectl apply -f - <<'EOF'\n"+entry+"EOF", steps[0].Command)
	_, err := c.Get(t.Context(), entryRef)
	require.NoError(t, err, "kept")

	c = clustertest.NewFake()
	play(t, c, false, apply)
	_, err = c.Get(t.Context(), entryRef)
	assert.True(t, apierrors.IsNotFound(err), "%v", err)
}

func TestWhatWasThereIsAsItWas(t *testing.T) {
	before := clustertest.Object("networking.istio.io/v1alpha3", "ServiceEntry", "default", "httpbin-ext",
		map[string]any{"spec": map[string]any{"hosts": []any{"other.org"}, "resolution": "DNS"}})
	before.SetLabels(map[string]string{"mine": "yes"})

	for name, actions := range map[string][]runner.Action{
		"applied":            {&Apply{Manifest: Manifest{Text: entry}}},
		"applied twice":      {&Apply{Manifest: Manifest{Text: entry}}, &Apply{Manifest: Manifest{Text: entry}}},
		"deleted":            {&Delete{Objects: []string{"serviceentry/httpbin-ext"}}},
		"deleted, applied":   {&Delete{Objects: []string{"serviceentry/httpbin-ext"}}, &Apply{Manifest: Manifest{Text: entry}}},
		"applied, deleted":   {&Apply{Manifest: Manifest{Text: entry}}, &Delete{Objects: []string{"serviceentry/httpbin-ext"}}},
		"labelled":           {&Label{Object: "serviceentry/httpbin-ext", Set: map[string]string{"a": "b", "mine": "no"}}},
		"its label removed":  {&Label{Object: "serviceentry/httpbin-ext", Remove: []string{"mine", "never"}}},
		"labelled, deleted":  {&Label{Object: "serviceentry/httpbin-ext", Set: map[string]string{"a": "b"}}, &Delete{Objects: []string{"se/httpbin-ext"}}},
		"changed, then fail": {&Apply{Manifest: Manifest{Text: entry}}, &Delete{Objects: []string{"serviceentry/none"}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := clustertest.NewFake(before)
			es := play(t, c, false, actions...)
			for _, e := range es {
				if e.Kind == runner.Undone {
					assert.Nil(t, e.Problem)
				}
			}
			after, err := c.Get(t.Context(), entryRef)
			require.NoError(t, err)
			assert.Equal(t, before.Object["spec"], after.Object["spec"])
			assert.Equal(t, before.GetLabels(), after.GetLabels())
		})
	}
}

func TestTheUndoIsRegisteredBeforeTheChange(t *testing.T) {
	lost := errors.New("connection reset") // what the server did is not known
	for made, want := range map[bool]string{true: "passed: serviceentry/httpbin-ext deleted", false: "skipped: serviceentry/httpbin-ext "} {
		c := clustertest.NewFake()
		c.FailFunc = func(call clustertest.Call) error {
			if call.Verb != "apply" {
				return nil
			}
			if made {
				c.Put(call.Object)
			}
			return lost
		}
		es := play(t, c, false, &Apply{Manifest: Manifest{Text: entry}})
		assert.Equal(t, runner.Errored, finished(es)[0].Status)
		var undone []string
		for _, e := range es {
			if e.Kind == runner.Undone {
				undone = append(undone, string(e.Status)+": "+e.Undo+" "+e.Back)
			}
		}
		assert.Equal(t, []string{want}, undone)
		_, err := c.Get(t.Context(), entryRef)
		assert.True(t, apierrors.IsNotFound(err), "%v", err)
	}
}

// What a step changed is known, so that the steps that follow wait until it is
// in force.
func TestAStepSaysWhatItChanged(t *testing.T) {
	serviceEntry := evidence.Change{APIVersion: "networking.istio.io/v1alpha3", Kind: "ServiceEntry", Namespace: "default", Name: "httpbin-ext"}
	preferred := serviceEntry
	preferred.APIVersion = "networking.istio.io/v1" // of a kind without a version
	istio := clustertest.Object("v1", "ConfigMap", "istio-system", "istio", map[string]any{"data": map[string]any{"mesh": meshConfig}})
	c := clustertest.NewFake(istio)
	for _, step := range []struct {
		action runner.Action
		want   []evidence.Change
	}{
		{&Apply{Manifest: Manifest{Text: entry}}, []evidence.Change{serviceEntry}},
		{&Label{Object: "serviceentry/httpbin-ext", Set: map[string]string{"a": "b"}}, []evidence.Change{preferred}},
		{&Label{Object: "serviceentry/httpbin-ext", Set: map[string]string{"a": "b"}}, nil},
		{&Delete{Objects: []string{"serviceentry/httpbin-ext"}}, []evidence.Change{preferred}},
		{&Policy{Expect: "ALLOW_ANY"}, nil},
		{&Policy{Set: "REGISTRY_ONLY"}, []evidence.Change{{APIVersion: "v1", Kind: "ConfigMap", Namespace: "istio-system", Name: "istio"}}},
		{&Policy{Set: "REGISTRY_ONLY"}, nil},
	} {
		a, err := step.action.Try(t.Context(), scope(c))
		require.NoError(t, err)
		assert.Equal(t, step.want, a.Changes, "%T %+v", step.action, step.action)
	}
}

// What the server did where the connection was lost is not known: it counts as a
// change.
func TestAChangeThatMayHaveBeenMadeCounts(t *testing.T) {
	c := clustertest.NewFake()
	c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "apply" {
			return errors.New("connection reset")
		}
		return nil
	}
	a, err := (&Apply{Manifest: Manifest{Text: entry}}).Try(t.Context(), scope(c))
	require.Error(t, err)
	assert.Len(t, a.Changes, 1)
}

func TestAnObjectThatIsRefusedIsAFailure(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want runner.Status
	}{
		{"invalid", apierrors.NewInvalid(schema.GroupKind{Kind: "ServiceEntry"}, "httpbin-ext", nil), runner.Failed},
		{"no such namespace", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "mesh-external"), runner.Failed},
		{"not allowed", apierrors.NewForbidden(schema.GroupResource{Resource: "serviceentries"}, "httpbin-ext", nil), runner.Errored},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := clustertest.NewFake()
			c.FailFunc = func(call clustertest.Call) error {
				if call.Verb == "apply" {
					return tc.err
				}
				return nil
			}
			assert.Equal(t, tc.want, finished(play(t, c, false, &Apply{Manifest: Manifest{Text: entry}}))[0].Status)
		})
	}
}

func TestWarningsOfTheServerAreShown(t *testing.T) {
	c := clustertest.NewFake()
	c.WarnFunc = func(call clustertest.Call) string {
		if call.Verb == "apply" {
			return "v1alpha3 ServiceEntry is deprecated"
		}
		return ""
	}
	second := strings.Replace(entry, "httpbin-ext", "second", 1)
	e := finished(play(t, c, false, &Apply{Manifest: Manifest{Text: entry + "---\n" + second}}))[0]
	assert.Equal(t, runner.Passed, e.Status)
	assert.Equal(t, `Warning: v1alpha3 ServiceEntry is deprecated
serviceentry.networking.istio.io/httpbin-ext created
serviceentry.networking.istio.io/second created
`, e.Output)
}

func TestDeleteOfNothingIsAFailure(t *testing.T) {
	es := play(t, clustertest.NewFake(), false, &Delete{Objects: []string{"serviceentry/none"}})
	e := finished(es)[0]
	assert.Equal(t, runner.Failed, e.Status)
	assert.ErrorContains(t, e.Problem, "serviceentry/none: want an object to delete, got none")
	assert.Equal(t, "kubectl delete serviceentry/none", e.Command)
}

// What the playbook made itself needs no look before it is deleted, which takes
// a third of the step's time.
func TestDeleteOfWhatThePlaybookMade(t *testing.T) {
	c := clustertest.NewFake()
	remove := func() *Delete { return &Delete{Objects: []string{"serviceentry/httpbin-ext"}} }
	es := play(t, c, false, &Apply{Manifest: Manifest{Text: entry}}, remove(), remove())
	steps := finished(es)
	assert.Equal(t, runner.Passed, steps[1].Status)
	assert.Equal(t, runner.Failed, steps[2].Status)
	assert.ErrorContains(t, steps[2].Problem, "serviceentry/httpbin-ext: want an object to delete, got none")
	gets := 0
	for _, call := range c.Calls() {
		if call.Verb == "get" {
			gets++
		}
	}
	assert.Equal(t, 2, gets, "that of apply, and that of what is there no more, in %v", c.Calls())
}

func TestLabelsOfARevision(t *testing.T) {
	c := clustertest.NewFake()
	s := scope(c)
	s.Revision = "canary"
	l := &Label{Object: "namespace/default", Set: map[string]string{"istio-injection": "enabled"}}
	assert.Equal(t, "kubectl label --overwrite namespace default istio-injection- istio.io/rev=canary", l.Command(s))
	_, err := l.Try(t.Context(), s)
	require.NoError(t, err)
	ns, err := c.Get(t.Context(), cluster.Ref{APIVersion: "v1", Kind: "Namespace", Name: "default"})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"istio.io/rev": "canary"}, ns.GetLabels())
}

func TestSet(t *testing.T) {
	c := clustertest.NewFake(
		clustertest.ReadyPod("default", "sleep-1", map[string]string{"app": "sleep"}, "sleep"),
		clustertest.ReadyPod("default", "two-1", map[string]string{"app": "two"}, "a"),
		clustertest.ReadyPod("default", "two-2", map[string]string{"app": "two"}, "a"),
	)
	for _, v := range []struct {
		value     Value
		want, err string
	}{
		{Value{Value: "x y"}, "x y", ""},
		{Value{Get: "pod", Selector: "app=sleep", JSONPath: "{.items..metadata.name}"}, "sleep-1", ""},
		{Value{Get: "pod", Selector: "app=sleep", JSONPath: "{.items[0].metadata.name}"}, "sleep-1", ""},
		{Value{Get: "pod", Selector: "app=sleep"}, "sleep-1", ""},
		{Value{Get: "pod/sleep-1", JSONPath: "{.status.podIP}/32"}, "10.244.1.10/32", ""},
		{Value{Get: "pod", Name: "sleep-1", JSONPath: ".status.podIP"}, "10.244.1.10", ""},
		{Value{Get: "pod", Selector: "app=two"}, "", "gives 2 values, want one"},
		{Value{Get: "pod", Selector: "app=none"}, "", "there is no pod with the labels app=none"},
		{Value{Get: "pod/none"}, "", "not found"},
		{Value{Get: "pod/sleep-1", JSONPath: "{.spec.nope}"}, "", "nope is not found"},
		{Value{Get: "gadget/x"}, "", "the cluster has no kind gadget"},
	} {
		s := scope(c)
		require.NoError(t, v.value.Validate())
		_, err := (&Set{"V": v.value}).Try(t.Context(), s)
		got, _ := s.Lookup("V")
		if v.err != "" {
			assert.ErrorContains(t, err, v.err)
			assert.Empty(t, got)
			continue
		}
		require.NoError(t, err, "%+v", v.value)
		assert.Equal(t, v.want, got)
	}
	set := &Set{"SOURCE_POD": {Get: "pod", Selector: "app=sleep", JSONPath: "{.items..metadata.name}"}, "A": {Value: "b c"}}
	assert.Equal(t, "export A='b c'\nexport SOURCE_POD=$(kubectl get pod -l app=sleep -o 'jsonpath={.items..metadata.name}')", set.Command(scope(c)))
}

// sleeper is a cluster with a ready pod in which a command ends as scripted.
func sleeper(result func(r cluster.ExecRequest) (cluster.ExecResult, error)) *clustertest.Fake {
	c := clustertest.NewFake(clustertest.ReadyPod("default", "sleep-1", map[string]string{"app": "sleep"}, "sleep", "istio-proxy"))
	c.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) { return result(r) }
	return c
}

func TestExec(t *testing.T) {
	c := sleeper(func(r cluster.ExecRequest) (cluster.ExecResult, error) {
		io.WriteString(r.Stdout, "out\n")
		io.WriteString(r.Stderr, "err\n")
		return cluster.ExecResult{ExitCode: 3, Trusted: true}, nil
	})
	e := &Exec{In: Pod{Name: "sleep-1"}, Container: "sleep", Argv: Words{"cat", "a b"}}
	assert.Equal(t, "kubectl exec sleep-1 -c sleep -- cat 'a b'", e.Command(scope(c)))
	o, err := e.Try(t.Context(), scope(c))
	require.NoError(t, err)
	assert.Equal(t, 3, *o.Command.ExitCode)
	assert.Equal(t, "out\n", o.Command.Stdout)
	assert.Equal(t, "err\n", o.Command.Stderr)
	assert.Nil(t, o.Command.Curl)
	assert.Equal(t, []string{"cat", "a b"}, o.Command.Argv)
	assert.Equal(t, evidence.Pod{Namespace: "default", Name: "sleep-1", IP: "10.244.1.10", Container: "sleep", Sidecar: true}, o.Command.Pod)
	assert.False(t, o.Ended.Before(o.Started))
	assert.Equal(t, "out\nerr\ncommand terminated with exit code 3\n", o.Text)
}

func TestAnExecThatIsLostIsNoExitCode(t *testing.T) {
	for _, lost := range []*cluster.LostError{{Started: true}, {Started: true, Err: io.ErrUnexpectedEOF}} {
		c := sleeper(func(cluster.ExecRequest) (cluster.ExecResult, error) { return cluster.ExecResult{}, lost })
		es := play(t, c, false, &Exec{In: Pod{Name: "sleep-1"}, Argv: Words{"true"}})
		e := finished(es)[0]
		assert.Equal(t, runner.Errored, e.Status)
		assert.Equal(t, 1, e.Attempts, "it may have run: it is not run again")
		assert.ErrorContains(t, e.Problem, "the connection was lost")
		require.NotNil(t, e.Evidence)
		assert.Nil(t, e.Evidence.Command.ExitCode)
	}
}

func TestAnExecThatNeverStartedIsTriedAgain(t *testing.T) {
	tries := 0
	c := sleeper(func(cluster.ExecRequest) (cluster.ExecResult, error) {
		if tries++; tries == 1 {
			return cluster.ExecResult{}, &cluster.LostError{}
		}
		return cluster.ExecResult{Trusted: true}, nil
	})
	s := scope(c)
	e := &Exec{In: Pod{Name: "sleep-1"}, Argv: Words{"true"}}
	_, err := e.Try(t.Context(), s)
	assert.Error(t, err)
	_, err = e.Try(t.Context(), s)
	assert.NoError(t, err)
}

func TestAnExitCodeNeedsAWitness(t *testing.T) {
	untrusted := func(transfers ...curl.Transfer) *clustertest.Fake {
		return sleeper(func(r cluster.ExecRequest) (cluster.ExecResult, error) {
			io.WriteString(r.Stdout, curltest.Answer(r.Command, transfers...))
			return cluster.ExecResult{ExitCode: 0, Trusted: false}, nil
		})
	}
	request := &Exec{In: Pod{Name: "sleep-1"}, Argv: Words{"curl", "-s", "http://a"}}
	try := func(c cluster.Interface, e *Exec) error { _, err := e.Try(t.Context(), scope(c)); return err }

	assert.ErrorContains(t, try(untrusted(), &Exec{In: Pod{Name: "sleep-1"}, Argv: Words{"true"}}), "cannot be trusted")
	assert.ErrorContains(t, try(untrusted(), request), "cannot be trusted")
	assert.ErrorContains(t, try(untrusted(curl.Transfer{ExitCode: 35}), request), "two exit codes: curl itself says 35, the server 0")
	assert.NoError(t, try(untrusted(curl.Transfer{Status: 200, Proto: "HTTP/1.1", LocalAddr: "10.244.1.2:40000"}), request))
}

// answer is a cluster in which curl ends with a code after these transfers.
func answer(code int, transfers ...curl.Transfer) *clustertest.Fake {
	return sleeper(func(r cluster.ExecRequest) (cluster.ExecResult, error) {
		io.WriteString(r.Stdout, curltest.Answer(r.Command, transfers...))
		return cluster.ExecResult{ExitCode: code, Trusted: true}, nil
	})
}

func TestCurlIsAWitnessOfItself(t *testing.T) {
	moved := curl.Head{Proto: "HTTP/1.1", Status: 301, Fields: []curl.Field{{Name: "Location", Value: "https://a/"}}}
	page := curl.Head{Proto: "HTTP/2", Status: 200, Fields: []curl.Field{{Name: "Server", Value: "x"}}}
	early := curl.Head{Proto: "HTTP/2", Status: 103}
	try := func(c cluster.Interface, command string) *evidence.Attempt {
		t.Helper()
		a, err := (&Exec{In: Pod{Name: "sleep-1"}, Argv: words(t, command)}).Try(t.Context(), scope(c))
		require.NoError(t, err)
		return a
	}

	t.Run("heads and a body", func(t *testing.T) {
		a := try(answer(0, curl.Transfer{
			Status: 200, Proto: "HTTP/2", Scheme: "https", Redirects: 1, Connects: 2, Elapsed: time.Second,
			LocalAddr: "10.244.1.10:40000", RemoteAddr: "203.0.113.10:443", ContentType: "text/html",
			Heads: []curl.Head{moved, early, page}, Body: "HTTP/1.1 500 Not A Head\r\n\r\nthe page\n",
		}), "curl -siL http://a/")
		assert.Equal(t, []evidence.Response{
			{Proto: "HTTP/1.1", Status: 301, Header: http.Header{"Location": {"https://a/"}}},
			{Proto: "HTTP/2", Status: 200, Header: http.Header{"Server": {"x"}}},
		}, a.Responses, "without the interim one")
		assert.Equal(t, "HTTP/1.1 500 Not A Head\r\n\r\nthe page\n", a.Body, "a body is no head")
		require.Len(t, a.Transfers, 1)
		tr := a.Transfers[0]
		assert.Positive(t, tr.HeadBytes)
		assert.EqualValues(t, len(a.Body), tr.BodyBytes)
		tr.HeadBytes, tr.BodyBytes = 0, 0
		assert.Equal(t, evidence.Transfer{
			URL: "http://a/", Status: 200, Proto: "HTTP/2", Redirects: 1, Connects: 2,
			Local: "10.244.1.10:40000", Remote: "203.0.113.10:443", Elapsed: time.Second, ContentType: "text/html",
		}, tr, "the URL is the author's")
		assert.Equal(t, &evidence.Curl{HeadsShown: true, BodyShown: true}, a.Command.Curl)
		assert.Equal(t, time.Second, a.Command.Elapsed, "by curl's own clock")
		assert.NotContains(t, a.Text, "10.244.1.10", "the report is cut out")
	})
	t.Run("no heads", func(t *testing.T) {
		a := try(answer(0, curl.Transfer{Status: 200, Proto: "HTTP/1.1", LocalAddr: "10.244.1.10:40000", HeadBytes: 90, Body: "the page"}), "curl -s http://a/")
		assert.Equal(t, []evidence.Response{{Proto: "HTTP/1.1", Status: 200}}, a.Responses, "as curl reports it")
		assert.Equal(t, &evidence.Curl{BodyShown: true}, a.Command.Curl)
		assert.Equal(t, "the page", a.Body)
	})
	t.Run("a body that went elsewhere", func(t *testing.T) {
		a := try(answer(0, curl.Transfer{Status: 200, Proto: "HTTP/1.1", BodyBytes: 4711}), "curl -s -o /dev/null http://a/")
		assert.Equal(t, new(evidence.Curl), a.Command.Curl)
		assert.Empty(t, a.Body)
	})
	t.Run("no response", func(t *testing.T) {
		a := try(answer(7, curl.Transfer{ExitCode: 7, Error: "refused"}), "curl -si http://a/")
		assert.Empty(t, a.Responses)
		assert.Equal(t, "refused", a.Transfers[0].Error)
		assert.Equal(t, 7, *a.Command.ExitCode)
	})
	t.Run("two URLs", func(t *testing.T) {
		a := try(answer(0,
			curl.Transfer{Status: 404, Proto: "HTTP/1.1", Body: "first", Elapsed: time.Second},
			curl.Transfer{Status: 200, Proto: "HTTP/1.1", Body: "second", Elapsed: 2 * time.Second},
		), "curl -s http://a/ http://b/")
		assert.Len(t, a.Responses, 2)
		assert.Equal(t, "http://b/", a.Transfers[1].URL)
		assert.Equal(t, "second", a.Body)
		assert.Equal(t, "firstsecond", a.Command.Stdout)
		assert.Equal(t, 3*time.Second, a.Command.Elapsed)
	})
	t.Run("a call by gRPC", func(t *testing.T) {
		status := curl.Head{Proto: "HTTP/2", Status: 200, Fields: []curl.Field{{Name: "Grpc-Status", Value: "14"}}}
		a := try(answer(0, curl.Transfer{Status: 200, Proto: "HTTP/2", ContentType: "application/grpc", Heads: []curl.Head{status}}), "curl -si https://a/")
		assert.Equal(t, "14", a.Transfers[0].GRPCStatus)
	})
	t.Run("curl chooses the address itself", func(t *testing.T) {
		for command, redirected := range map[string]bool{
			"curl -s http://a/": false, "curl -s --resolve a:80:10.0.0.1 http://a/": true, "curl -s --connect-to a:80:b:80 http://a/": true,
			"curl -s -x http://p:3128 http://a/": true, "env http_proxy=http://p:3128 curl -s http://a/": true,
			"curl -s --resol a:80:10.0.0.1 http://a/":           true,
			"sh -c 'curl -s --resolve a:80:10.0.0.1 http://a/'": true,
		} {
			a := try(answer(0, curl.Transfer{Status: 200, Proto: "HTTP/1.1"}), command)
			assert.Equal(t, redirected, a.Command.Curl.Redirected, command)
		}
	})
	t.Run("curl tries again", func(t *testing.T) {
		a := try(answer(0, curl.Transfer{Status: 200, Proto: "HTTP/1.1", Elapsed: time.Nanosecond}), "curl -s --retry 3 http://a/")
		assert.True(t, a.Command.Curl.Retries)
		assert.Greater(t, a.Command.Elapsed, time.Nanosecond, "curl's own clock knows the last try alone")
	})
	t.Run("curl cannot report", func(t *testing.T) {
		a := try(answer(0), "curl -K /tmp/config")
		assert.NotEmpty(t, a.Command.Curl.Unreported)
		assert.Empty(t, a.Transfers)
	})
}

func TestAReportThatIsCutShortIsAnError(t *testing.T) {
	c := sleeper(func(r cluster.ExecRequest) (cluster.ExecResult, error) {
		text := curltest.Answer(r.Command, curl.Transfer{Status: 200, Proto: "HTTP/1.1"})
		io.WriteString(r.Stdout, text[:len(text)-1])
		return cluster.ExecResult{Trusted: true}, nil
	})
	_, err := (&Exec{In: Pod{Name: "sleep-1"}, Argv: Words{"curl", "-s", "http://a/"}}).Try(t.Context(), scope(c))
	assert.ErrorContains(t, err, "cut short")
}

func TestTwoStatusesThatDifferAreAnError(t *testing.T) {
	c := answer(0, curl.Transfer{Status: 503, Proto: "HTTP/1.1", Scheme: "http", Heads: []curl.Head{{Proto: "HTTP/1.1", Status: 200}}})
	_, err := (&Exec{In: Pod{Name: "sleep-1"}, Argv: Words{"curl", "-sI", "http://a/"}}).Try(t.Context(), scope(c))
	assert.ErrorContains(t, err, "two statuses")
}

func TestOutputIsBounded(t *testing.T) {
	c := sleeper(func(r cluster.ExecRequest) (cluster.ExecResult, error) {
		for range 100 {
			n, err := io.WriteString(r.Stdout, strings.Repeat("x", 1<<16))
			assert.Equal(t, 1<<16, n)
			assert.NoError(t, err)
		}
		return cluster.ExecResult{Trusted: true}, nil
	})
	o, err := (&Exec{In: Pod{Name: "sleep-1"}, Argv: Words{"yes"}}).Try(t.Context(), scope(c))
	require.NoError(t, err)
	assert.Len(t, o.Command.Stdout, maxOutput)
	assert.True(t, o.Command.Truncated)
}

func TestAPodWithoutTheContainerIsAnErrorAtOnce(t *testing.T) {
	c := sleeper(nil)
	es := play(t, c, false, &Exec{In: Pod{Name: "sleep-1"}, Container: "curl", Argv: Words{"true"}})
	e := finished(es)[0]
	assert.Equal(t, runner.Errored, e.Status)
	assert.Equal(t, 1, e.Attempts)
	assert.ErrorContains(t, e.Problem, "sleep")
}

const meshConfig = `# of the mesh
accessLogFile: /dev/stdout
outboundTrafficPolicy:
  mode: ALLOW_ANY # says the tutorial
rootNamespace: istio-system
`

func TestPolicyIsSetAndPutBack(t *testing.T) {
	istio := clustertest.Object("v1", "ConfigMap", "istio-system", "istio", map[string]any{"data": map[string]any{"mesh": meshConfig, "other": "x"}})
	c := clustertest.NewFake(istio)
	es := play(t, c, false, &Policy{Expect: "ALLOW_ANY"}, &Policy{Set: "REGISTRY_ONLY"}, &Policy{Expect: "REGISTRY_ONLY"})
	for _, e := range finished(es) {
		assert.Equal(t, runner.Passed, e.Status, "%v", e.Problem)
	}
	after, err := c.Get(t.Context(), cluster.RefOf(istio))
	require.NoError(t, err)
	assert.Equal(t, istio.Object["data"], after.Object["data"])

	es = play(t, c, false, &Policy{Expect: "REGISTRY_ONLY"})
	e := finished(es)[0]
	assert.Equal(t, runner.Failed, e.Status)
	assert.ErrorContains(t, e.Problem, "outbound traffic policy: want REGISTRY_ONLY, got ALLOW_ANY")
}

// The mesh's configuration is not what is in force where an object overrides it
// for the pod.
func TestPolicyIsWhatIsInForce(t *testing.T) {
	istio := clustertest.Object("v1", "ConfigMap", "istio-system", "istio", map[string]any{"data": map[string]any{"mesh": meshConfig}})
	const ran = "sleep-1"
	for _, c := range []struct {
		name   string
		policy Policy
		last   string // the pod of the last command
		to     string // where its sidecar sends unknown hosts, "" where it cannot be asked
		want   string // the error, "" for none
		says   string
	}{
		{"the pod of the defaults", Policy{Expect: "ALLOW_ANY", in: ran}, "", "PassthroughCluster", "", "in force in the sidecar of sleep-1: unknown hosts go to PassthroughCluster"},
		{"another one is in force", Policy{Expect: "ALLOW_ANY", in: ran}, "", "BlackHoleCluster", "want ALLOW_ANY, got REGISTRY_ONLY (the mesh's configuration says ALLOW_ANY", "BlackHoleCluster"},
		{"a proxy of its own is in force", Policy{Expect: "ALLOW_ANY", in: ran}, "", "outbound|80||a", "want ALLOW_ANY, got outbound|80||a", "outbound|80||a"},
		{"it is in force, but not the mesh's", Policy{Expect: "REGISTRY_ONLY", in: ran}, "", "BlackHoleCluster", "want REGISTRY_ONLY, got ALLOW_ANY", "BlackHoleCluster"},
		{"a variable", Policy{Expect: "ALLOW_ANY", in: "${SOURCE_POD}"}, "", "BlackHoleCluster", "got REGISTRY_ONLY", "BlackHoleCluster"},
		{"a variable without a value", Policy{Expect: "ALLOW_ANY", in: "${LATER}"}, "", "BlackHoleCluster", "", "no pod with a sidecar is known here"},
		{"the pod of the last command", Policy{Expect: "ALLOW_ANY", in: "${LATER}"}, ran, "BlackHoleCluster", "got REGISTRY_ONLY", "BlackHoleCluster"},
		{"a pod that is not there", Policy{Expect: "ALLOW_ANY", in: "nobody"}, "", "BlackHoleCluster", "", "no pod with a sidecar is known here"},
		{"a pod without a sidecar", Policy{Expect: "ALLOW_ANY", in: "plain"}, "", "BlackHoleCluster", "", "no pod with a sidecar is known here"},
		{"it cannot be asked", Policy{Expect: "ALLOW_ANY", in: ran}, "", "", "", "what is in force was not looked at: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := clustertest.NewFake(istio, clustertest.ReadyPod("default", ran, nil, "sleep", mesh.Sidecar), clustertest.ReadyPod("default", "plain", nil, "sleep"))
			fake.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
				if c.to == "" {
					return cluster.ExecResult{ExitCode: 1, Trusted: true}, nil
				}
				fmt.Fprintf(r.Stdout, `{"configs": [{"active_state": {"listener": {"filter_chains": [
					{"filter_chain_match": {"destination_port": 15001}, "filters": [{"typed_config": {"cluster": "BlackHoleCluster"}}]},
					{"filters": [{"typed_config": {"cluster": %q}}]}]}}}]}`, c.to)
				return cluster.ExecResult{Trusted: true}, nil
			}
			s := scope(fake)
			s.Set("SOURCE_POD", ran)
			s.LastPod = evidence.Pod{Namespace: "default", Name: c.last}
			a, err := c.policy.Try(t.Context(), s)
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
			assert.Contains(t, a.Text, c.says)
		})
	}
}

func TestNonsenseIsFoundBeforeTheRun(t *testing.T) {
	for _, v := range []Validator{
		&Exec{Argv: Words{"true"}}, Pod{Name: "a", Selector: "b=c"},
		&Apply{}, &Apply{Manifest: Manifest{Text: entry}, Files: []string{"a"}}, &Apply{Manifest: Manifest{Text: entry}, Vars: []string{"A"}},
		&Delete{}, &Delete{Objects: []string{"serviceentry"}}, &Delete{Objects: []string{"a/b/c"}},
		&Label{Object: "namespace/a"}, &Label{Object: "namespace", Set: map[string]string{"a": "b"}},
		&Label{Object: "namespace/a", Set: map[string]string{"a": "b"}, Remove: []string{"a"}},
		&Logs{}, &Logs{In: Pod{Name: "a"}, Tail: -1},
		&Policy{}, &Policy{Expect: "ALLOW_ANY", Set: "ALLOW_ANY"}, &Policy{Set: "ALLOW_SOME"},
		&Set{}, &Value{JSONPath: "{.a}"}, &Value{Get: "pod", Value: "x"}, &Value{Get: "pod/a", Selector: "b=c"}, &Value{Get: "pod/a", JSONPath: "{.a"},
	} {
		assert.Error(t, v.Validate(), "%T %+v", v, v)
	}
}

func TestCertificates(t *testing.T) {
	c := &Certificates{
		"ROOT":   {CA: true, CommonName: "example.com", Organization: "example Inc."},
		"CLIENT": {Issuer: "ROOT", CommonName: "client.example.com"},
		"SERVER": {Issuer: "ROOT", CommonName: "nginx", DNSNames: []string{"nginx.example.com"}},
	}
	require.NoError(t, c.Validate())
	assert.Equal(t, []string{"CLIENT_CRT", "CLIENT_KEY", "ROOT_CRT", "ROOT_KEY", "SERVER_CRT", "SERVER_KEY"}, c.Defines())
	s := scope(clustertest.NewFake())
	_, err := c.Try(t.Context(), s)
	require.NoError(t, err)
	value := func(name string) []byte { v, _ := s.Lookup(name); return []byte(v) }

	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(value("ROOT_CRT")))
	for _, name := range []string{"CLIENT", "SERVER"} {
		pair, err := tls.X509KeyPair(value(name+"_CRT"), value(name+"_KEY"))
		require.NoError(t, err, "key and certificate belong together")
		_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		assert.NoError(t, err)
	}
	server, _ := tls.X509KeyPair(value("SERVER_CRT"), value("SERVER_KEY"))
	assert.NoError(t, server.Leaf.VerifyHostname("nginx.example.com"))
	assert.Error(t, server.Leaf.VerifyHostname("nginx"), "a common name is no name of a server")

	for _, wrong := range []Certificates{
		{}, {"A": {CommonName: "a"}}, {"A": {CommonName: "a", CA: true, Issuer: "A"}},
		{"A": {CommonName: "a", Issuer: "B"}}, {"A": {CommonName: "a", Issuer: "A"}},
	} {
		assert.Error(t, wrong.Validate(), "%v", wrong)
	}
}
