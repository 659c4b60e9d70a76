package expect

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/egressplay/egressplay/evidence"
)

// outcome judges what came of one command in a pod, with its exit codes, behind
// which grep reads where grep is not negative.
func outcome(page, real string, grep int, codes ...int) evidence.Verdicts {
	s := &evidence.Shell{Text: real}
	for _, code := range codes {
		s.Stages = append(s.Stages, evidence.Stage{Argv: []string{"kubectl", "exec", "p", "--", "x"}, Code: code, Exec: true})
		if grep >= 0 {
			s.Stages = append(s.Stages, evidence.Stage{Argv: []string{"grep", "x"}, Code: grep, Behind: true})
		}
	}
	return (&Shown{Text: page}).Judge(&evidence.Attempt{Shell: s})
}

func held(vs evidence.Verdicts) bool {
	return len(vs.Of(evidence.NotHeld)) == 0 && len(vs.Of(evidence.NotJudged)) == 0
}

func TestShownExitCodes(t *testing.T) {
	const exit35 = "command terminated with exit code 35\n"
	assert.True(t, held(outcome("", "", -1, 0)))
	assert.False(t, held(outcome("", "", -1, 3)), "nothing shown claims success")
	assert.False(t, held(outcome("", "", 1, 0)), "a grep that finds nothing")
	assert.False(t, held(outcome("HTTP/2 200", "HTTP/2 200\ncommand terminated with exit code 3\n", -1, 3)), "right words, wrong code")
	assert.True(t, held(outcome(exit35, exit35, 1, 35)))
	assert.False(t, held(outcome(exit35, "", 1, 0)))
	assert.False(t, held(outcome(exit35, "command terminated with exit code 7\n", 1, 7)))
	assert.False(t, held(outcome(exit35, "HTTP/2 200\n"+exit35, 0, 35)), "a status line beside the shown exit code")
	assert.True(t, held(outcome(exit35+exit35, exit35+exit35, 1, 35, 35)))
	vs := outcome(exit35+exit35, exit35+"HTTP/2 200\n", 0, 35, 0)
	assert.False(t, held(vs))
	assert.True(t, held(outcome(exit35, "curl: (35) Recv failure\n"+exit35, -1, 35)), "curl's own words beside the code")
}

func TestShownTimes(t *testing.T) {
	const page = "200\nreal    0m5.024s\nuser    0m0.003s\nsys     0m0.003s\n"
	gnu := func(elapsed string) string {
		return "200\n0.01user 0.00system " + elapsed + "elapsed 0%CPU (0avgtext+0avgdata 10932maxresident)k\n0inputs+0outputs (0major+611minor)pagefaults 0swaps\n"
	}
	assert.True(t, held(outcome(page, "200\nreal\t0m 5.60s\nuser\t0m 0.00s\nsys\t0m 0.00s\n", -1, 0)), "busybox")
	assert.True(t, held(outcome(page, gnu("0:05.45"), -1, 0)), "GNU")
	assert.False(t, held(outcome(page, gnu("0:03.45"), -1, 0)), "another time")
	assert.False(t, held(outcome(page, gnu("1:05.45"), -1, 0)), "a minute more")
	assert.False(t, held(outcome(page, strings.Replace(gnu("0:05.45"), "200", "504", 1), -1, 0)), "another status")
	assert.False(t, held(outcome("200", gnu("0:05.45"), -1, 0)), "times that are not shown")
}

func TestShownOfOtherAges(t *testing.T) {
	const page = "{\n  \"headers\": {\n    \"Host\": \"a.example\",\n    \"X-Amzn-Trace-Id\": \"Root=1-6675d2e5-5a8cf34f1b08829c1201f79f\"\n  }\n}\n"
	const real = "{\n  \"headers\": {\n    \"Host\": \"a.example\"\n  }\n}\n"
	vs := outcome(page, real, -1, 0)
	assert.True(t, held(vs), "a header of somebody's network")
	assert.Contains(t, vs.String(), "nobody sent")
	assert.False(t, held(outcome(page, strings.Replace(real, "a.example", "b.example", 1), -1, 0)), "another host")
	assert.False(t, held(outcome(strings.Replace(page, "X-Amzn-Trace-Id", "X-Envoy-Internal", 1), real, -1, 0)), "a header of the mesh")

	const exit35 = "\ncommand terminated with exit code 35\n"
	const old = "curl: (35) error:1408F10B:SSL routines:ssl3_get_record:wrong version number" + exit35
	assert.True(t, held(outcome(old, "curl: (35) OpenSSL/3.0.19: error:0A00010B:SSL routines::wrong version number"+exit35, -1, 35)))
	assert.False(t, held(outcome(old, "curl: (35) OpenSSL/3.0.19: error:0A000410:SSL routines::sslv3 alert handshake failure"+exit35, -1, 35)))

	const entry = `[2026-11-29T04:29:29.731Z] "GET /status/200 HTTP/1.1" 200 - via_upstream - "-" 0 0 1 0 "-" "curl/7.88.1" "16b1c1e6-af8f-4ed4-a816-61d443cb0af9" "httpbin.org" "203.0.113.13:80" outbound|80||httpbin.org 10.244.1.9:1 203.0.113.13:80 10.244.1.9:2 - default`
	vs = outcome(strings.Replace(entry, " - default", " a.example default", 1), entry, -1, 0)
	assert.False(t, held(vs))
	assert.Contains(t, vs.String(), "SNI: shown a.example, was none")
	open := strings.ReplaceAll(strings.ReplaceAll(entry, "203.0.113.13", "X.Y.Z"), "10.244.1.9", "X.Y.Z")
	assert.True(t, held(outcome(open, entry, -1, 0)), "addresses that are left open")
	assert.False(t, held(outcome(open, strings.Replace(entry, "203.0.113.13:80\" outbound", "203.0.113.13:443\" outbound", 1), -1, 0)), "another port")
}

func TestShownNamesTheCommand(t *testing.T) {
	s := &evidence.Shell{Text: "x"}
	for i, name := range []string{"first", "second"} {
		s.Stages = append(s.Stages, evidence.Stage{Argv: []string{"kubectl", "exec", name}, Code: 35 * (1 - i), Exec: true})
	}
	vs := (&Shown{Text: "command terminated with exit code 35\ncommand terminated with exit code 35"}).Judge(&evidence.Attempt{Shell: s})
	assert.Contains(t, vs[0].Why, "second")
}

const redirected = "HTTP/1.1 301 Moved Permanently\nserver: envoy\nlocation: https://a.example/politics\ndate: Mon, 01 Jan 2024 10:00:00 GMT\n\nHTTP/2 200\nage: 3\n"

func TestShownHeads(t *testing.T) {
	const page = "HTTP/1.1 301 Moved Permanently\n...\nlocation: https://a.example/politics\n...\n\nHTTP/2 200\n...\n"
	assert.True(t, held(outcome(page, redirected, -1, 0)))
	vs := outcome(page, strings.Replace(redirected, "HTTP/1.1 301 Moved Permanently", "HTTP/1.1 200 OK", 1), -1, 0)
	assert.False(t, held(vs))
	assert.Contains(t, vs.String(), "response 1: shown 301, was 200")
	for what, real := range map[string]string{
		"another last status":        strings.Replace(redirected, "HTTP/2 200", "HTTP/2 503", 1),
		"another protocol":           strings.Replace(redirected, "HTTP/2 200", "HTTP/1.1 200", 1),
		"a response in between":      strings.Replace(redirected, "\nHTTP/2", "\nHTTP/1.1 503 x\n\nHTTP/2", 1),
		"another place":              strings.Replace(redirected, "/politics", "/politicsXYZ", 1),
		"the first one is missing":   redirected[strings.Index(redirected, "HTTP/2"):],
		"a response more at the end": redirected + "HTTP/2 200\n",
		"an error":                   redirected + "curl: (56) x\n",
		"nothing":                    "",
	} {
		assert.False(t, held(outcome(page, real, -1, 0)), what)
	}
}

func TestShownValuesThatVary(t *testing.T) {
	for _, test := range []struct {
		page, real string
		want       bool
	}{
		{"a 10.0.0.1 b 10.0.0.1", "a 10.9.9.9 b 10.9.9.9", true},
		{"a 10.0.0.1 b 10.0.0.1", "a 10.9.9.9 b 10.9.9.8", false},
		{"a 10.0.0.1 b 10.0.0.2", "a 10.9.9.9 b 10.9.9.9", false},
		{"a 10.0.0.1", "a x", false},
		{"pod sleep-5f7cbdff8f-abcd1 up", "pod sleep-86f6b99f94-zxcvb up", true},
		{"pod sleep-5f7cbdff8f-abcd1 up", "pod curl-86f6b99f94-zxcvb up", false},
		{"* Connected to a (10.0.0.1) port 80", "* Connected to a (10.9.9.9) port 80 (#0)", true},
		{"* Connected to a (10.0.0.1) port 80 (#0)", "* Connected to a (10.9.9.9) port 80", true},
		{"* Connected to a (10.0.0.1) port 80 (#0)", "* Connected to a (10.9.9.9) port 81 (#0)", false},
		{"real 0m5.024s\nuser 0m0.003s", "real 0m 5.61s\nuser 0m 0.09s", true},
		{"real 0m5.024s", "real 0m3.0s", false},
		{"200", "200", true},
		{"200", "503", false},
		{"one\ntwo", "two\none", false},
		{"one", "one\ntwo", false},
		{"one\n...", "one\ntwo", true},
		{"one\n...\nthree", "one\nthree", true},
		{"<title>A ... B</title>", "<title>A long B</title>", true},
		{"<title>A ... B</title>", "<title>A long C</title>", false},
		{"...", "HTTP/2 200", false},
		{"a\r\n  ", "a", true},
		{"  mode: X", "mode: X", true},
		{"    policy:\n      mode: X", "policy:\n  mode: X", true},
		{"policy:\n  mode: X\nextra:\n  enabled: true", "policy:\n  mode: X", false},
		{"x", "  % Total    % Received % Xferd\n                                 Dload  Upload\n  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0\rx", true},
	} {
		assert.Equal(t, test.want, held(outcome(test.page, test.real, -1, 0)), "%q and %q", test.page, test.real)
	}
}

func TestShownJSON(t *testing.T) {
	page := "{\n  \"headers\": {\n    \"Host\": \"a.example\",\n    \"User-Agent\": \"curl/7.1\",\n    ...\n  }\n}"
	real := "{\n  \"headers\": {\n    \"Host\": \"a.example\",\n    \"User-Agent\": \"curl/8.2\",\n    \"X-More\": \"1\"\n  }\n}"
	assert.True(t, held(outcome(page, real, -1, 0)))
	assert.False(t, held(outcome(page, strings.Replace(real, "a.example", "b.example", 1), -1, 0)))
	vs := outcome(strings.Replace(page, "    ...\n", "", 1), real, -1, 0)
	assert.True(t, held(vs))
	assert.NotEmpty(t, vs.Of(evidence.NotChecked), "a key more is told")
}

// TestShownObjects has objects in YAML: a page may lack what the server and the run add to
// them, and show what only kubectl apply writes.
func TestShownObjects(t *testing.T) {
	const real = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  creationTimestamp: \"2026-11-29T15:48:45Z\"\n  generation: 1\n" +
		"  labels:\n    app.kubernetes.io/managed-by: egressplay\n    egressplay.io/run: k4ln3ke5zx\n  name: cnn\n  namespace: default\n  resourceVersion: \"563\"\n" +
		"  uid: 6dc54d79-b4ab-4239-be75-5f6799938029\nspec:\n  hosts:\n  - a.example\n  resolution: DNS\nstatus:\n  addresses:\n  - host: a.example\n    value: 240.240.0.1\n"
	const page = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: cnn\n  namespace: default\nspec:\n  hosts:\n  - a.example\n  resolution: DNS"
	const applied = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n" +
		"      {\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"ServiceEntry\"}\n  creationTimestamp: \"2024-01-02T03:04:05Z\"\n  generation: 1\n  name: cnn\n  namespace: default\n" +
		"  resourceVersion: \"99\"\n  uid: 11111111-2222-3333-4444-555555555555\nspec:\n  hosts:\n  - a.example\n  resolution: DNS"
	labelled := strings.Replace(real, "  labels:\n", "  labels:\n    mine: \"yes\"\n", 1)
	list := "apiVersion: v1\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(real), "\n", "\n  ") + "\nkind: List\n"
	for name, test := range map[string]struct {
		page, real string
		want       bool
	}{
		"written":                  {page, real, true},
		"with an ellipsis":         {strings.Replace(page, "  name", "  ...\n  name", 1), real, true},
		"applied by kubectl":       {applied, real, true},
		"in a list":                {"apiVersion: v1\nitems:\n- " + strings.ReplaceAll(page, "\n", "\n  ") + "\nkind: List", list, true},
		"with a label":             {strings.Replace(page, "  name", "  labels:\n    mine: \"yes\"\n  name", 1), labelled, true},
		"a label more":             {page, labelled, false},
		"a label that is not":      {strings.Replace(page, "  name", "  labels:\n    mine: \"yes\"\n  name", 1), real, false},
		"another host":             {page, strings.Replace(real, "- a.example\n", "- b.example\n", 1), false},
		"a field more":             {page, strings.Replace(real, "  resolution", "  location: MESH_EXTERNAL\n  resolution", 1), false},
		"a field less":             {page, strings.Replace(real, "  resolution: DNS\n", "", 1), false},
		"an annotation more":       {page, strings.Replace(real, "  generation", "  annotations:\n    a: b\n  generation", 1), false},
		"a version in JSON":        {"{\n  \"resourceVersion\": \"9\",\n  \"a\": 1\n}", "{\n  \"resourceVersion\": \"1234\",\n  \"a\": 1\n}", true},
		"another generation":       {strings.Replace(applied, "generation: 1", "generation: 2", 1), real, false},
		"a status that is shown":   {page + "\nstatus:\n  addresses:\n  - host: a.example\n    value: 240.240.0.9", real, true},
		"another status":           {page + "\nstatus:\n  addresses:\n  - host: b.example", real, false},
		"status, but no object":    {"spec:\n  a: b", "spec:\n  a: b\nstatus:\n  c: d", false},
		"status of the spec":       {page, strings.Replace(real, "spec:\n", "spec:\n  status: x\n", 1), false},
		"labels of a pod template": {page, strings.Replace(real, "spec:\n", "spec:\n  labels:\n    egressplay.io/run: x\n", 1), false},
	} {
		vs := outcome(test.page, test.real, -1, 0)
		assert.Equal(t, test.want, held(vs), name)
		if name == "written" || name == "applied by kubectl" {
			assert.NotEmpty(t, vs.Of(evidence.NotChecked), "what is lacking is told: %s", name)
		}
	}
}

// TestShownOfLogs has what comes of a log, which may have other lines, and of a log
// and something else, which may not.
func TestShownOfLogs(t *testing.T) {
	log := evidence.Stage{Argv: []string{"kubectl", "logs", "p"}, Log: true}
	other := evidence.Stage{Argv: []string{"kubectl", "exec", "p"}, Exec: true}
	judge := func(stages ...evidence.Stage) bool {
		return held((&Shown{Text: "one"}).Judge(&evidence.Attempt{Shell: &evidence.Shell{Text: "zero\none\ntwo\n", Stages: stages}}))
	}
	assert.True(t, judge(log))
	assert.False(t, judge(other))
	assert.False(t, judge(log, other))
	assert.False(t, judge(other, log))
}

// TestShownColumns has tables with other columns: a failure names the columns.
func TestShownColumns(t *testing.T) {
	for _, v := range outcome("NAME     GATEWAYS   AGE\na        [gw]       5s", "NAME   HOSTS   AGE\na      [a]     5s", -1, 0).Of(evidence.NotHeld) {
		if v.Got != "" {
			assert.Equal(t, [2]string{"NAME GATEWAYS", "NAME"}, [2]string{v.Want, v.Got})
			return
		}
	}
	t.Error("no failure names what came")
}

func TestShownTable(t *testing.T) {
	const page = "NAME                     READY     STATUS    RESTARTS   AGE\negress-5f7cbdff8f-abcd1   1/1       Running   0          3d\n"
	const real = "NAME                      READY   STATUS    RESTARTS   AGE\negress-86f6b99f94-zxcvb   1/1     Running   2          5s\n"
	assert.True(t, held(outcome(page, real, -1, 0)))
	for _, change := range [][2]string{{"1/1", "0/1"}, {"Running", "Pending"}, {"egress-", "ingress-"}} {
		assert.False(t, held(outcome(page, strings.Replace(real, change[0], change[1], 1), -1, 0)), "%v", change)
	}
	assert.False(t, held(outcome(page, real+"more-86f6b99f94-zxcvb   1/1     Running   2          5s\n", -1, 0)))
}

// TestShownTables has the tables of several kinds, each with columns of its own.
func TestShownTables(t *testing.T) {
	const page = "NAME    READY   STATUS    AGE\npod/a   1/1     Running   3d\n\nNAME        TYPE        CLUSTER-IP   PORT(S)   AGE\nservice/a   ClusterIP   10.96.0.9    80/TCP    3d\nservice/b   ClusterIP   10.96.0.8    81/TCP    3d\n"
	const real = "NAME    READY   STATUS    RESTARTS   AGE\npod/a   1/1     Running   0          5s\n\nNAME        TYPE        CLUSTER-IP    EXTERNAL-IP   PORT(S)   AGE\nservice/a   ClusterIP   10.96.1.1     <none>        80/TCP    5s\nservice/b   ClusterIP   10.96.1.200   <none>        81/TCP    5s\n"
	assert.True(t, held(outcome(page, real, -1, 0)))
	for _, change := range [][2]string{{"80/TCP", "8080/TCP"}, {"service/b", "service/c"}, {"ClusterIP   10.96.1.1 ", "NodePort    10.96.1.1 "}, {"1/1", "0/1"}} {
		assert.False(t, held(outcome(page, strings.Replace(real, change[0], change[1], 1), -1, 0)), "%v", change)
	}
}

func TestShownReplicaSet(t *testing.T) {
	const page = "NAME                              DESIRED   CURRENT   READY   AGE\nreplicaset.apps/curl-6c8d5b8f6b   1         1         1       5s\n"
	assert.True(t, held(outcome(page, strings.Replace(page, "6c8d5b8f6b", "7b67574649", 1), -1, 0)))
	assert.False(t, held(outcome(page, strings.Replace(page, "curl-", "sleep-", 1), -1, 0)))
	assert.False(t, held(outcome(page, strings.Replace(page, "1         1         1", "1         1         0", 1), -1, 0)))
}

func TestShownLog(t *testing.T) {
	const page = `[2019-01-24T12:17:11.640Z] "GET /headers HTTP/1.1" 200 - 0 599 214 214 "-" "curl/7.60.0" "17fde8f7-fa62-9b39-8999-302324e6def2" "a.example" "35.173.6.94:80" outbound|80||a.example - 35.173.6.94:80 172.30.109.82:55314 -`
	const real = `[2026-11-24T12:17:11.640Z] "GET /headers HTTP/1.1" 200 - via_upstream - "-" 0 599 214 214 "-" "curl/8.0" "27fde8f7-fa62-9b39-8999-302324e6def2" "a.example" "10.0.6.94:80" outbound|80||a.example 10.1.1.1:2222 10.0.6.94:80 172.30.109.82:55314 - default`
	assert.True(t, held(outcome(page, "another line\n"+real+"\nand another\n", -1, 0)))
	for _, change := range [][2]string{{"/headers", "/headersXYZ"}, {"200 -", "503 -"}, {"200 -", "200 UF"}, {"outbound|80||a", "outbound|80||b"}, {`"a.example"`, `"b.example"`}, {"GET", "POST"}} {
		assert.False(t, held(outcome(page, strings.Replace(real, change[0], change[1], 1), -1, 0)), "%v", change)
	}
	assert.False(t, held(outcome(page+"\n"+page, real, -1, 0)), "two lines shown, one came")
	assert.True(t, held(outcome("1544160065.248    228 172.30.109.89 TCP_TUNNEL/200 87633 CONNECT a.example:443 - HIER_DIRECT/91.198.174.192 -",
		"1744160065.248    28 172.1.109.89 TCP_TUNNEL/200 7633 CONNECT a.example:443 - HIER_DIRECT/91.1.174.192 -", -1, 0)))
	assert.False(t, held(outcome("1544160065.248    228 172.30.109.89 TCP_TUNNEL/200 87633 CONNECT a.example:443 - HIER_DIRECT/91.198.174.192 -",
		"1744160065.248    28 172.1.109.89 TCP_DENIED/403 7633 CONNECT a.example:443 - HIER_NONE/- -", -1, 0)))
}

// TestShownOfUndatedLogs has lines of a log of which nobody knows when they were
// written: what they seem to show is no pass.
func TestShownOfUndatedLogs(t *testing.T) {
	tail := evidence.Stage{Argv: []string{"kubectl", "exec", "p", "--", "tail", "/a.log"}, Exec: true, Undated: true}
	grep := evidence.Stage{Argv: []string{"grep", "one"}, Behind: true}
	judge := func(page string, stages ...evidence.Stage) evidence.Verdicts {
		return (&Shown{Text: page}).Judge(&evidence.Attempt{Shell: &evidence.Shell{Text: "one\n", Stages: stages}})
	}
	assert.Len(t, judge("one", tail).Of(evidence.NotJudged), 1)
	assert.Len(t, judge("", tail, grep).Of(evidence.NotJudged), 1)
	assert.True(t, held(judge("", tail)), "nothing is claimed of its lines")
	tail.Undated = false
	assert.True(t, held(judge("one", tail)))
	assert.True(t, held(judge("", tail, grep)))
}

// TestShownTableWithEmptyCells has a kind whose columns may be empty.
func TestShownTableWithEmptyCells(t *testing.T) {
	const page = "NAME   HOSTS           LOCATION   RESOLUTION   AGE\na      [\"a.example\"]              DNS          3d\n"
	const real = "NAME   HOSTS           LOCATION        RESOLUTION   AGE\na      [\"a.example\"]                   DNS          5s\n"
	assert.True(t, held(outcome(page, real, -1, 0)))
	assert.True(t, held(outcome("NAME   HOSTS   RESOLUTION   AGE\na      [\"a.example\"]   DNS   3d\n", real, -1, 0)), "not aligned")
	for what, change := range map[string][2]string{
		"another host":       {"a.example", "b.example"},
		"another column":     {"                   DNS          5s", "   DNS                          5s"},
		"another resolution": {"DNS", "NONE"},
		"a location":         {"                   DNS", "   MESH_EXTERNAL   DNS"},
	} {
		assert.False(t, held(outcome(page, strings.Replace(real, change[0], change[1], 1), -1, 0)), what)
	}
}

// TestShownOverOutputs has two outputs of one tutorial: what is equal in them must be
// equal in the run.
func TestShownOverOutputs(t *testing.T) {
	first := &evidence.Attempt{Shell: &evidence.Shell{Text: "a 10.9.9.9 egress-86f6b99f94-zxcvb\n"}}
	output, ok := (&Shown{Text: "a 10.0.0.1 egress-5f7cbdff8f-abcd1"}).Binds(first)
	assert.True(t, ok)
	assert.Len(t, output.Bindings, 2)
	for _, test := range []struct {
		page, real string
		want       bool
	}{
		{"b 10.0.0.1", "b 10.9.9.9", true},
		{"b 10.0.0.1", "b 10.9.9.8", false},
		{"b 10.0.0.2", "b 10.9.9.8", true},
		{"b 10.0.0.2", "b 10.9.9.9", true}, // it may have been written down at another time
		{"pod x-5f7cbdff8f-abcd1 up", "pod x-86f6b99f94-zxcvb up", true},
		{"pod x-5f7cbdff8f-abcd1 up", "pod x-86f6b99f94-zxcvc up", false},
	} {
		vs := (&Shown{Text: test.page}).Judge(&evidence.Attempt{Shell: &evidence.Shell{Text: test.real, Earlier: []evidence.Output{output}}})
		assert.Equal(t, test.want, held(vs), "%q and %q", test.page, test.real)
		if !test.want {
			assert.Contains(t, vs.String(), "an earlier output had")
		}
	}
}

// TestShownSerials compares rows of certificates, of which grep has left out the head.
func TestShownSerials(t *testing.T) {
	const page = "kubernetes://client     Cert Chain     ACTIVE     true     1     2024-06-04T12:15:20Z     2023-06-05T12:15:20Z\n" +
		"kubernetes://client-ca     CA     ACTIVE     true     10792363984292733914     2024-06-04T12:15:19Z     2023-06-05T12:15:19Z\n"
	real := strings.NewReplacer("     1     ", "     0000000000000000b1f2c3d4e5f60718     ", "10792363984292733914", "00000000000000000000000000000002", "2024", "2027", "2023", "2026").Replace(page)
	assert.True(t, held(outcome(page, real, 0, 0)), "other serial numbers")
	for what, other := range map[string]string{
		"another state": strings.Replace(real, "ACTIVE", "WARMING", 1), "not valid": strings.Replace(real, "true", "false", 1),
		"another type": strings.Replace(real, "Cert Chain", "CA", 1), "another name": strings.Replace(real, "client-ca", "other-ca", 1),
		"no serial number": strings.Replace(real, "00000000000000000000000000000002", "", 1),
	} {
		assert.False(t, held(outcome(page, other, 0, 0)), what)
	}
}

// TestShownEndpoints compares endpoints of proxies, which istioctl sorts by addresses.
func TestShownEndpoints(t *testing.T) {
	const page = "ENDPOINT            STATUS      OUTLIER CHECK     CLUSTER\n" +
		"10.0.0.9:8080       HEALTHY     OK                outbound|80||a.example\n10.1.0.1:443        HEALTHY     OK                outbound|443||b.example\n"
	const real = "ENDPOINT            STATUS      OUTLIER CHECK     CLUSTER\n" +
		"10.7.0.1:443        HEALTHY     OK                outbound|443||b.example\n10.8.0.9:8080       HEALTHY     OK                outbound|80||a.example\n"
	assert.True(t, held(outcome(page, real, -1, 0)), "another order")
	rows := real[strings.IndexByte(real, '\n')+1:]
	assert.True(t, held(outcome(page[strings.IndexByte(page, '\n')+1:], rows, -1, 0)), "of grep")
	for what, other := range map[string]string{
		"another state": strings.Replace(real, "HEALTHY", "UNHEALTHY", 1), "another cluster": strings.Replace(real, "||a", "||c", 1), "another port": strings.Replace(real, "8080", "8081", 1),
		"one less": rows[strings.IndexByte(rows, '\n')+1:], "failed": strings.Replace(real, "OK", "FAILED", 1), "one twice": real + "10.8.0.9:8080       HEALTHY     OK                outbound|80||a.example\n",
		"one address": strings.Replace(real, "10.7.0.1", "10.8.0.9", 1),
	} {
		assert.False(t, held(outcome(page, other, -1, 0)), what)
	}
}

// The address of a Gateway is the cluster's, that of a WorkloadEntry the page's own.
func TestShownAddressColumns(t *testing.T) {
	const gateway = "NAME   CLASS   ADDRESS                  PROGRAMMED   AGE\na      istio   b.elb.example.com        True         4s\n"
	assert.True(t, held(outcome(gateway, strings.Replace(gateway, "b.elb.example.com", "10.0.0.7         ", 1), -1, 0)))
	assert.False(t, held(outcome(gateway, strings.Replace(gateway, "True ", "False", 1), -1, 0)))
	const entry = "NAME   AGE   ADDRESS\na      4s    db.example.com\n"
	assert.True(t, held(outcome(entry, strings.Replace(entry, "4s", "9s", 1), -1, 0)))
	assert.False(t, held(outcome(entry, strings.Replace(entry, "db.example.com", "no.example.com", 1), -1, 0)))
}

// istioctl analyze tells what it has found by words and by an exit code.
func TestShownAnalysis(t *testing.T) {
	const words = "Error [IST0101] (VirtualService default/a) Referenced gateway not found: \"b\"\nError: Analyzers found issues when analyzing namespace: default.\n"
	analyzed := func(page, real string, code int) bool {
		s := &evidence.Shell{Text: real, Stages: []evidence.Stage{{Argv: []string{"istioctl", "analyze"}, Code: code}}}
		return held((&Shown{Text: page}).Judge(&evidence.Attempt{Shell: s}))
	}
	const none = "✔ No validation issues found when analyzing namespace: default.\n"
	assert.True(t, analyzed(words, words, 79))
	assert.True(t, analyzed(none, none, 0))
	assert.False(t, analyzed(none, words, 79))
	assert.False(t, analyzed(words, none, 0))
	const see = "See https://istio.io/v1.16/docs/reference/config/analysis for more.\n"
	assert.True(t, analyzed(words+see, words+strings.Replace(see, "1.16", "1.31", 1), 79), "another version of Istio")
	assert.False(t, analyzed("", words, 79), "nothing shown claims success")
	assert.False(t, analyzed(words, words, 1), "another exit code")
}
