package expect

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
)

// pagesOf returns the recorded outputs by their pages.
func pagesOf(all []recorded) [][]recorded {
	var pages [][]recorded
	for _, r := range all {
		if last := len(pages) - 1; last >= 0 && pages[last][0].From == r.From {
			pages[last] = append(pages[last], r)
		} else {
			pages = append(pages, []recorded{r})
		}
	}
	return pages
}

// judgePage judges the outputs of a page one after the other, and returns the first that
// does not hold; -1 for none.
func judgePage(page []recorded) (int, evidence.Verdicts) {
	var earlier []evidence.Output
	var last time.Time
	for i, r := range page {
		if !r.Log && strings.HasPrefix(r.Command, "kubectl exec") {
			last = time.Unix(int64(i), 0)
		}
		s := r.shell(r.Real, r.Codes)
		if strings.HasPrefix(r.Command, "kubectl get") {
			s.Stages[0].Exec = false
		}
		s.LastRequest, s.Earlier = last, earlier
		a := &evidence.Attempt{Shell: s}
		e := &Shown{Text: r.Shown}
		if vs := e.Judge(a); !held(vs) {
			return i, vs
		}
		if o, ok := e.Binds(a); ok {
			earlier = append(earlier, o)
		}
	}
	return -1, nil
}

// valuesOf returns the values of an output that are bound over a page: by what the page
// shows, what came.
func valuesOf(r recorded) map[token]string {
	o, _ := (&Shown{Text: r.Shown}).Binds(&evidence.Attempt{Shell: r.shell(r.Real, r.Codes)})
	values := map[token]string{}
	for _, b := range o.Bindings {
		values[token{b.Kind, b.Shown}] = b.Got
	}
	return values
}

// TestPageMutants changes one value of one output of a page, so that what is equal on the
// page is not in the run, or what differs on the page is one in the run. Each is noticed.
func TestPageMutants(t *testing.T) {
	n, caught := 0, 0
	for _, page := range pagesOf(readRecorded(t)) {
		at, vs := judgePage(page)
		require.Equal(t, -1, at, "%v", vs)
		for j := range page {
			later := valuesOf(page[j])
			for i := range j {
				for one, got := range valuesOf(page[i]) {
					for two, other := range later {
						with := ""
						switch {
						case one == two && one.kind != "request": // an id that is passed on may be another one
							with = elsewhere(got, rand.New(rand.NewSource(1)))
						case one.kind == "request" && two.kind == "request" && one.value != two.value:
							with = got
						case one.kind == "pod" && two.kind == "pod" && one.value != two.value && page[i].Log == page[j].Log && atOneTime(page[i].Shown, page[j].Shown, nil):
							with = got
						default:
							continue
						}
						mutated := slices.Clone(page)
						mutated[j].Real = strings.ReplaceAll(mutated[j].Real, other, with)
						require.NotEqual(t, page[j].Real, mutated[j].Real)
						n++
						if at, vs := judgePage(mutated); at != j {
							t.Errorf("let through: %s of %q for %q of %q: %v", with, page[j].Command, two.value, page[i].Command, vs)
						} else {
							caught++
						}
					}
				}
			}
		}
	}
	t.Logf("%d of %d changes of a value over the outputs of a page noticed", caught, n)
	assert.Greater(t, n, 10)
}

// TestOtherRunsOfPages has all outputs of each page as other runs have them.
func TestOtherRunsOfPages(t *testing.T) {
	n := 0
	for _, page := range pagesOf(readRecorded(t)) {
		var all []string
		for _, r := range page {
			all = append(all, r.Real)
		}
		for seed := range int64(20) {
			texts := strings.Split(elsewhere(strings.Join(all, "\x00"), rand.New(rand.NewSource(seed))), "\x00")
			run := slices.Clone(page)
			for i := range run {
				run[i].Real = texts[i]
			}
			n++
			at, vs := judgePage(run)
			assert.Equal(t, -1, at, "%s: %v", page[0].From, vs)
		}
	}
	t.Logf("%d of %d other runs of pages accepted", n, n)
}

// An outputOf is what a page shows in one place and what came.
type outputOf struct {
	argv        string // "kubectl exec" for a command in a pod
	page, real  string
	lastRequest int // its number
}

// judgeOutputs judges outputs of a page in order; it returns the verdicts of the last,
// those before must hold.
func judgeOutputs(t *testing.T, outputs []outputOf) evidence.Verdicts {
	t.Helper()
	var earlier []evidence.Output
	var vs evidence.Verdicts
	for i, o := range outputs {
		argv := strings.Fields(o.argv)
		s := &evidence.Shell{
			Text: o.real, LastRequest: time.Unix(int64(o.lastRequest), 0), Earlier: earlier,
			Stages: []evidence.Stage{{Argv: argv, Exec: argv[1] == "exec", Log: argv[1] == "logs"}},
		}
		a := &evidence.Attempt{Shell: s}
		e := &Shown{Text: o.page}
		vs = e.Judge(a)
		if i < len(outputs)-1 {
			require.True(t, held(vs), "%v", vs)
		}
		if o, ok := e.Binds(a); ok {
			earlier = append(earlier, o)
		}
	}
	return vs
}

func entry(at, id, address string) string {
	return fmt.Sprintf(`[%s.731Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 0 1 0 "-" "curl/7.88.1" "%s" "a.example" "%s:80" outbound|80||a.example 10.244.1.9:1 %s:80 10.244.1.9:2 - default`, at, id, address, address)
}

// TestWhatDiffersMustDiffer has outputs of one page in which values differ that are one
// in the run, of things that cannot be one, and of things that can.
func TestWhatDiffersMustDiffer(t *testing.T) {
	const (
		pods  = "NAME                     READY   STATUS    RESTARTS   AGE\n"
		sleep = "sleep-5f7cbdff8f-%s   2/2     Running   0          42s\n"
		httpb = "httpbin-76f6b99f94-zxcvb   2/2     Running   0          42s\n"
		svc   = "NAME   TYPE        CLUSTER-IP   EXTERNAL-IP   PORT(S)   AGE\n%s      ClusterIP   %s   <none>        80/TCP    42s\n"
		logs  = "kubectl logs p -c istio-proxy"
		exec  = "kubectl exec p -- curl -s a"
		get   = "kubectl get pod"
		id1   = "5c0b2f0a-9e1c-4f0e-8b57-6a2f0f9b1c11"
		id2   = "5c0b2f0a-9e1c-4f0e-8b57-6a2f0f9b1c12"
		id3   = "60473ca7-0c8d-4e0b-87dc-154a7071a8b2"
		id4   = "60473ca7-0c8d-4e0b-87dc-154a7071a8b3"
		day   = "2024-03-14T10:11:12"
		year  = "2020-03-14T10:11:12"
	)
	pod := func(name string) string { return fmt.Sprintf(pods+sleep, name) }
	both := func(name string) string { return pods + httpb + fmt.Sprintf(sleep, name) }
	service := func(name, ip string) string { return fmt.Sprintf(svc, name, ip) }
	for _, test := range []struct {
		name       string
		outputs    []outputOf
		want, told bool // held, and told as not checked
	}{
		{"two pods beside a third", []outputOf{{get, both("x2abc"), both("sklfs"), 0}, {get, both("y3def"), both("sklfs"), 0}}, false, false},
		{"two pods that are two", []outputOf{{get, both("x2abc"), both("sklfs"), 0}, {get, both("y3def"), both("sklft"), 0}}, true, false},
		{"a pod at two times", []outputOf{{get, pod("x2abc"), pod("sklfs"), 0}, {get, pod("y3def"), pod("sklfs"), 0}}, true, true},
		{"two pods, of one time by a third output", []outputOf{
			{get, pod("x2abc"), pod("sklfs"), 0}, {"kubectl logs p", pod("x2abc") + "[" + day + ".731Z] one", pod("sklfs") + "[" + day + ".731Z] one", 0},
			{"kubectl logs p", pod("y3def") + "[2024-03-14T10:31:12.731Z] two", pod("sklfs") + "[" + day + ".731Z] two", 0},
		}, false, false},
		{"a pod in logs of two years", []outputOf{
			{logs, pod("x2abc") + "[" + day + ".731Z] one", pod("sklfs") + "[" + day + ".731Z] one", 0},
			{logs, pod("y3def") + "[" + year + ".731Z] two", pod("sklfs") + "[" + day + ".731Z] two", 0},
		}, true, true},
		{"which of two pods answers", []outputOf{{exec, both("x2abc"), both("sklfs"), 1}, {exec, both("y3def"), both("sklfs"), 2}}, true, false},

		{"two Services with one address", []outputOf{{"kubectl get svc a", service("a", "10.0.0.1"), service("a", "10.9.9.1"), 0}, {"kubectl get svc b", service("b", "10.0.0.2"), service("b", "10.9.9.1"), 0}}, false, false},
		{"two Services", []outputOf{{"kubectl get svc a", service("a", "10.0.0.1"), service("a", "10.9.9.1"), 0}, {"kubectl get svc b", service("b", "10.0.0.2"), service("b", "10.9.9.2"), 0}}, true, false},
		{"a Service at two times", []outputOf{{"kubectl get svc a", service("a", "10.0.0.1"), service("a", "10.9.9.1"), 0}, {"kubectl get svc a", service("a", "10.0.0.2"), service("a", "10.9.9.1"), 0}}, true, true},
		{"bare addresses of two Services", []outputOf{
			{"kubectl get svc a -o jsonpath={.spec.clusterIP}", "10.0.0.1", "10.9.9.1", 0}, {"kubectl get svc b -o jsonpath={.spec.clusterIP}", "10.0.0.2", "10.9.9.1", 0},
		}, false, false},
		{"a Service and a connection to it", []outputOf{{"kubectl get svc a", service("a", "10.0.0.1"), service("a", "10.9.9.1"), 0}, {exec, "* Connected to a (10.0.0.1) port 80", "* Connected to a (10.9.9.1) port 80", 1}}, true, false},
		{"a Service and a connection elsewhere", []outputOf{{"kubectl get svc a", service("a", "10.0.0.1"), service("a", "10.9.9.1"), 0}, {exec, "* Connected to a (10.0.0.1) port 80", "* Connected to a (10.9.9.2) port 80", 1}}, false, false},
		{"an address that is not there", []outputOf{{"kubectl get svc a", service("a", "10.0.0.1"), service("a", "None    "), 0}, {"kubectl get svc a", service("a", "10.0.0.1"), service("a", "fd00::1"), 0}}, true, false},
		{"hosts of one address", []outputOf{{exec, "* Connected to a (1.2.3.4) port 80", "* Connected to a (9.9.9.9) port 80", 1}, {exec, "* Connected to b (1.2.3.5) port 80", "* Connected to b (9.9.9.9) port 80", 2}}, true, false},
		{"pods with one address one after the other", []outputOf{
			{"kubectl get pod a -o jsonpath={.status.podIP}", "10.0.0.1", "10.9.9.1", 0}, {"kubectl get pod b -o jsonpath={.status.podIP}", "10.0.0.2", "10.9.9.1", 0},
		}, true, false},

		{"one request for two", []outputOf{{logs, entry(day, id1, "1.2.3.4"), entry(day, id3, "1.2.3.4"), 1}, {logs, entry(day, id2, "1.2.3.4"), entry(day, id3, "1.2.3.4"), 2}}, false, false},
		{"two requests", []outputOf{{logs, entry(day, id1, "1.2.3.4"), entry(day, id3, "1.2.3.4"), 1}, {logs, entry(day, id2, "1.2.3.4"), entry(day, id4, "1.2.3.4"), 2}}, true, false},
		{"two looks at one request", []outputOf{{logs, entry(day, id1, "1.2.3.4"), entry(day, id3, "1.2.3.4"), 1}, {logs, entry(year, id2, "1.2.3.5"), entry(day, id3, "1.2.3.4"), 1}}, true, false},
		{"an id that a gateway replaces", []outputOf{{logs, entry(day, id1, "1.2.3.4"), entry(day, id3, "1.2.3.4"), 1}, {logs, entry(day, id1, "1.2.3.4"), entry(day, id4, "1.2.3.4"), 1}}, true, false},
		{"ids that requests have shown", []outputOf{
			{exec, "{\n  \"X-Request-Id\": \"" + id1 + "\"\n}", "{\n  \"X-Request-Id\": \"" + id3 + "\"\n}", 1},
			{exec, "{\n  \"X-Request-Id\": \"" + id2 + "\"\n}", "{\n  \"X-Request-Id\": \"" + id3 + "\"\n}", 2},
		}, false, false},
		{"an id that the page's requests have", []outputOf{{exec, "x-request-id: " + id1, "x-request-id: " + id1, 1}, {exec, "x-request-id: " + id1, "x-request-id: " + id1, 2}}, true, false},
		{"an object's own id at two times", []outputOf{{"kubectl get se a -o yaml", "uid: " + id1, "uid: " + id3, 0}, {"kubectl get se a -o yaml", "uid: " + id2, "uid: " + id3, 0}}, true, false},
		{"times, ports and what else may be the same", []outputOf{
			{exec, "at x:40001 2024-03-14T10:11:12Z curl/7.1 5795fab599dca0b8", "at x:40009 2026-03-14T10:11:12Z curl/8.1 6795fab599dca0b8", 1},
			{exec, "at x:40002 2024-03-14T10:11:13Z curl/7.2 5795fab599dca0b9", "at x:40009 2026-03-14T10:11:12Z curl/8.1 6795fab599dca0b8", 2},
		}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			vs := judgeOutputs(t, test.outputs)
			assert.Equal(t, test.want, held(vs), "%v", vs)
			assert.Equal(t, test.told, strings.Contains(vs.Of(evidence.NotChecked).String(), "written down at two times"), "%v", vs)
			if !test.want {
				assert.Contains(t, vs.String(), "earlier output")
			}
		})
	}
}
