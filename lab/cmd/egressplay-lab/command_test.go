package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/cluster"
	"github.com/egressplay/egressplay/lab/internet"
)

func TestMakeFolder(t *testing.T) {
	f := cluster.Folder(filepath.Join(privateDir(t), "labs", "x"))
	require.NoError(t, makeFolder(f))
	for _, dir := range []string{filepath.Dir(string(f)), string(f)} {
		info, err := os.Stat(dir)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), dir)
	}
	require.NoError(t, makeFolder(f), "it may be there")
}

func TestEmptyKeepsTheLock(t *testing.T) {
	f := cluster.Folder(t.TempDir())
	require.NoError(t, os.MkdirAll(f.Logs(), 0o700))
	for _, file := range []string{f.Lock(), f.Info(), f.Log("etcd")} {
		require.NoError(t, os.WriteFile(file, nil, 0o600))
	}
	require.NoError(t, empty(f))
	entries, err := os.ReadDir(string(f))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, f.Lock(), filepath.Join(string(f), entries[0].Name()))
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := locked(path)
	require.NoError(t, err)
	assert.False(t, held, "nothing is there")

	f, err := lock(t.Context(), path)
	require.NoError(t, err)
	held, err = locked(path)
	require.NoError(t, err)
	assert.True(t, held)

	why := errors.New("no more time")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Millisecond, why)
	defer cancel()
	_, err = lock(ctx, path)
	require.ErrorIs(t, err, why)

	got := make(chan error)
	go func() {
		f, err := lock(t.Context(), path)
		if err == nil {
			err = f.Close()
		}
		got <- err
	}()
	require.NoError(t, f.Close())
	require.NoError(t, <-got)
	held, err = locked(path)
	require.NoError(t, err)
	assert.False(t, held)
}

func TestTakeName(t *testing.T) {
	for _, tt := range []struct {
		args []string
		name string
		rest []string
	}{
		{nil, defaultName, nil},
		{[]string{"get", "pods"}, defaultName, []string{"get", "pods"}},
		{[]string{"--name", "two", "get", "pods"}, "two", []string{"get", "pods"}},
		{[]string{"--name=two", "get"}, "two", []string{"get"}},
		{[]string{"get", "--name", "x"}, defaultName, []string{"get", "--name", "x"}},
		{[]string{"-n", "ns", "get"}, defaultName, []string{"-n", "ns", "get"}},
	} {
		name, rest := takeName(tt.args)
		assert.Equal(t, tt.name, name, tt.args)
		assert.Equal(t, tt.rest, rest, tt.args)
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	for _, e := range []cluster.Event{
		{Component: "etcd", State: "starting", Seconds: 0.1},
		{Component: "kubelet", State: "starting", Seconds: 1},
		{Component: "etcd", State: "ready", Seconds: 0.5},
		{Ready: true, Seconds: 2},
	} {
		p.show(e)
	}
	assert.Equal(t, "  0.50s  etcd                     ready, took 0.40s\n", out.String())
}

func TestSentence(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	unavailable := 14
	for want, r := range map[string]internet.Record{
		"03:04:05.006 httpbin.org from 10.244.1.4:5 GET http://httpbin.org/headers HTTP/1.1 200": {
			Time: at, Site: "httpbin.org", Host: "httpbin.org", Remote: "10.244.1.4:5",
			Method: "GET", Path: "/headers", Protocol: "HTTP/1.1", Status: 200,
		},
		"03:04:05.006 www.baidu.com from 10.244.1.4:5 sni=www.baidu.com HEAD https://www.baidu.com/ HTTP/2.0 200": {
			Time: at, Site: "www.baidu.com", Host: "www.baidu.com", Remote: "10.244.1.4:5", TLS: true, SNI: "www.baidu.com",
			Method: "HEAD", Path: "/", Protocol: "HTTP/2.0", Status: 200,
		},
		"03:04:05.006 www.baidu.com from 10.244.1.4:5 sni=x: handshake: EOF": {
			Time: at, Site: "www.baidu.com", Remote: "10.244.1.4:5", TLS: true, SNI: "x", Error: "handshake: EOF",
		},
		`03:04:05.006 httpbin.org from 10.244.1.4:5 GET http://httpbin.org/?\u001b[31m\u009b HTTP/1.1 200 (cut short)`: {
			Time: at, Site: "httpbin.org", Host: "httpbin.org", Remote: "10.244.1.4:5",
			Method: "GET", Path: "/?\x1b[31m\u009b", Protocol: "HTTP/1.1", Status: 200, Truncated: true,
		},
		"03:04:05.006 a.test from 10.244.1.4:5 GET http://a.test/slow HTTP/1.1: not answered yet": {
			Open: true, Time: at, Site: "a.test", Host: "a.test", Remote: "10.244.1.4:5", Method: "GET", Path: "/slow", Protocol: "HTTP/1.1",
		},
		"03:04:05.006 a.test from 10.244.1.4:5 POST http://a.test/p.S/M HTTP/2.0 200 grpc-status=14": {
			Time: at, Site: "a.test", Host: "a.test", Remote: "10.244.1.4:5", Method: "POST", Path: "/p.S/M", Protocol: "HTTP/2.0", Status: 200, GRPCStatus: &unavailable,
		},
		"03:04:05.006 a.test from 10.244.1.4:5 TCP, 7 bytes": {Time: at, Site: "a.test", Remote: "10.244.1.4:5", Protocol: "TCP", Received: 7},
		"03:04:05.006 a.test from 10.244.1.4:5: connected":   {Open: true, Time: at, Site: "a.test", Remote: "10.244.1.4:5"},
	} {
		assert.Equal(t, want, sentence(r))
	}
}

// A request that arrived is printed once, however many records the file has of it.
func TestPrintRecords(t *testing.T) {
	const lines = `{"id":1,"open":true,"time":"2026-01-02T03:04:05Z","site":"a.test","tls":false,"remote":"r","local":"l"}
{"id":2,"open":true,"time":"2026-01-02T03:04:06Z","site":"b.test","tls":false,"remote":"r","local":"l"}
{"id":1,"time":"2026-01-02T03:04:05Z","site":"a.test","tls":false,"status":200,"remote":"r","local":"l"}
{"id":1,"time":"2026-01-02T03:04:05Z","si`
	var out bytes.Buffer
	require.NoError(t, printRecords(strings.NewReader(lines), &out, true, false))
	assert.Equal(t, `{"id":1,"time":"2026-01-02T03:04:05Z","site":"a.test","tls":false,"status":200,"remote":"r","local":"l"}
{"id":2,"open":true,"time":"2026-01-02T03:04:06Z","site":"b.test","tls":false,"remote":"r","local":"l"}
`, out.String())
	out.Reset()
	require.NoError(t, printRecords(strings.NewReader(lines), &out, false, true))
	assert.Equal(t, "03:04:05.000 a.test from r\n", out.String(), "what is open may still change")
}

// internet check reports what is wrong with a file, for people and for programs.
func TestInternetCheck(t *testing.T) {
	const good = "apiVersion: egressplay/v1\nkind: Internet\nhosts: [{names: [a.test]}]\n"
	check := func(text string, args ...string) (string, error) {
		c := newCommand()
		var out bytes.Buffer
		c.SetArgs(append([]string{"internet", "check", "-"}, args...))
		c.SetIn(strings.NewReader(text))
		c.SetOut(&out)
		err := c.Execute()
		return out.String(), err
	}
	out, err := check(good)
	require.NoError(t, err)
	assert.Empty(t, out)
	out, err = check(good, "-o", "json")
	require.NoError(t, err)
	assert.Equal(t, "[]\n", out)

	bad := strings.Replace(good, "names", "nmaes", 1)
	_, err = check(bad)
	require.ErrorContains(t, err, `stdin:3:10: unknown key "nmaes": want one of names,`)
	assert.Equal(t, exitUsage, report(err))
	out, err = check(bad, "-o", "json")
	assert.Equal(t, exitUsage, report(err))
	assert.True(t, strings.HasPrefix(out, `[{"file":"stdin","line":3,"column":9,"text":"a host without names"},`), out)
}

// grows is a file that grows from time to time.
type grows struct{ parts []string }

func (g *grows) Read(p []byte) (int, error) {
	if len(g.parts) == 0 || g.parts[0] == "" {
		g.parts = g.parts[min(1, len(g.parts)):]
		return 0, io.EOF
	}
	n := copy(p, g.parts[0])
	g.parts[0] = g.parts[0][n:]
	return n, nil
}

func TestFollowedReadsOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	got := make([]byte, 4)
	in := followed(ctx, &grows{[]string{"ab", "cd"}}, func() (bool, error) { return false, nil })
	_, err := io.ReadFull(in, got)
	require.NoError(t, err)
	assert.Equal(t, "abcd", string(got))
	cancel()
	_, err = in.Read(got)
	require.ErrorIs(t, err, io.EOF)
}

// Everything that is written before the end is read, however late the end is noticed.
func TestFollowedReadsToTheEnd(t *testing.T) {
	ended := func() (bool, error) { return true, nil }
	got, err := io.ReadAll(followed(t.Context(), &grows{[]string{"ab", "cd"}}, ended))
	require.NoError(t, err)
	assert.Equal(t, "abcd", string(got))

	failed := errors.New("no such lock")
	_, err = io.ReadAll(followed(t.Context(), &grows{}, func() (bool, error) { return false, failed }))
	require.ErrorIs(t, err, failed)
}

// A life ends with the lab that ran when the life was taken, even if another lab of the
// same name has begun.
func TestLife(t *testing.T) {
	i := &instance{"one", newFolder(t, privateDir(t))}
	none, err := i.life()
	require.NoError(t, err)
	ended, err := none.ended()
	require.NoError(t, err)
	assert.True(t, ended, "no lab runs")

	first, err := lock(t.Context(), i.folder.Alive())
	require.NoError(t, err)
	l, err := i.life()
	require.NoError(t, err)
	defer l.Close()
	ended, err = l.ended()
	require.NoError(t, err)
	assert.False(t, ended)

	require.NoError(t, os.Remove(i.folder.Alive()))
	second, err := lock(t.Context(), i.folder.Alive())
	require.NoError(t, err)
	defer second.Close()
	require.NoError(t, first.Close())
	for range 2 {
		ended, err = l.ended()
		require.NoError(t, err)
		assert.True(t, ended)
	}
}

func TestExitCodes(t *testing.T) {
	assert.Equal(t, 0, report(nil))
	assert.Equal(t, exitUsage, report(errors.New("unknown flag")))
	assert.Equal(t, exitFailed, report(failed(errors.New("the lab did not come up"))))
	assert.Equal(t, 7, report(failed(exitError(7))))
}

func TestSameVersion(t *testing.T) {
	assert.NoError(t, sameVersion(""))
	assert.NoError(t, sameVersion(version))
	assert.ErrorContains(t, sameVersion("v9"), "egressplay is version v9 and egressplay-lab is version "+version)
}

// The end of the leash ends the lab, unless the lab was let go.
func TestLeash(t *testing.T) {
	for word, ends := range map[string]bool{"": true, "x": true, "d": false} {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		ended := make(chan bool)
		go func() {
			leash(r)
			close(ended)
		}()
		_, err = w.WriteString(word)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		if ends {
			<-ended
			continue
		}
		select {
		case <-ended:
			assert.Fail(t, "it was let go")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// An error about a command line names what exists instead.
func TestWrongCommandLines(t *testing.T) {
	for _, w := range []struct{ line, says string }{
		{"statsu", "did you mean status?"},
		{"nosuch", `"egressplay lab --help" lists the commands`},
		{"logs istio", "the components are lab, "},
		{"logs istoid", "did you mean istiod? the components are lab, "},
		{"load none.tar", "none.tar: no such file"},
		{"logs etcd lab", "logs takes one component"},
		{"list -o yaml", "-o yaml: want json"},
		{"up now", `egressplay lab up takes no arguments, got "now"`},
		{"up --nmae x", "did you mean --name?"},
		{"up --nothing", `"egressplay lab up --help" says more`},
		{"load", "egressplay lab load needs an archive, or - for stdin"},
		{"load a b", "egressplay lab load takes one argument, got a b"},
		{"add-host", "egressplay lab add-host needs a file of hosts, or - for stdin"},
		{"internet ad x", "did you mean add?"},
		{"internet nosuch", `unknown command "nosuch" of egressplay lab internet`},
	} {
		c := newCommand()
		c.SetArgs(strings.Fields(w.line))
		err := c.Execute()
		require.ErrorContains(t, err, w.says, w.line)
		assert.Equal(t, exitUsage, report(err), w.line)
	}
}

// list shows the labs that run; no ended lab, and no folder that is not a lab's.
func TestList(t *testing.T) {
	dir := privateDir(t)
	t.Setenv("EGRESSPLAY_LAB_DIR", dir)
	said := func() string {
		var out bytes.Buffer
		c := newCommand()
		c.SetArgs([]string{"list"})
		c.SetOut(&out)
		require.NoError(t, c.Execute())
		return out.String()
	}
	assert.Equal(t, "no lab is running: start one with `egressplay lab up`\n", said())

	for _, name := range []string{"ended", "runs"} {
		i, err := newInstance(name)
		require.NoError(t, err)
		require.NoError(t, makeFolder(i.folder))
		require.NoError(t, os.WriteFile(i.folder.Info(), []byte(`{"name": "`+name+`", "pid": 7, "version": "v1"}`), 0o600))
		if name == "runs" {
			alive, err := lock(t.Context(), i.folder.Alive())
			require.NoError(t, err)
			defer alive.Close()
		}
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "no lab"), 0o700))
	out := said()
	assert.Regexp(t, `(?m)^runs +7 +v1 +`+dir+`/runs/kubeconfig$`, out)
	assert.NotContains(t, out, "ended")
}
