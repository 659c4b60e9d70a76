//go:build lab

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
)

// unlike are the commands that do not do when they are pasted what the step does, as
// PLAYBOOK/STEP with the reason.
var unlike = map[string]string{}

// Commands that are shown can be pasted: into a bash in `egressplay lab shell`, one
// after the other, where each ends with the exit code that it had in the run, and what
// it prints passes what the playbook expects of it. EGRESSPLAY_E2E_PASTE=all takes
// every built-in playbook, and names of some take those.
func TestShownCommandsCanBePasted(t *testing.T) {
	once(t)
	names := []string{"accessing-external-services", "tls-origination"}
	switch wanted := os.Getenv("EGRESSPLAY_E2E_PASTE"); wanted {
	case "":
	case "all":
		names = nil
		for _, p := range playbooks.List() {
			names = append(names, p.Name)
		}
	default:
		names = strings.Fields(wanted)
	}
	pasted, judged := 0, 0
	var wrong []string
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			n, j, differ := paste(t, name)
			pasted, judged, wrong = pasted+n, judged+j, append(wrong, differ...)
		})
	}
	t.Logf("%d of %d commands do what their steps do; what %d of them print was judged", pasted-len(wrong), pasted, judged)
	for _, w := range wrong {
		place, _, _ := strings.Cut(w, ":")
		if unlike[place] == "" {
			t.Errorf("pasted, it does something else: %s", w)
		} else {
			t.Logf("%s (%s)", place, unlike[place])
		}
	}
	assert.LessOrEqual(t, 20*len(wrong), pasted, "at least 95 percent of the commands can be pasted")
}

// paste pastes the commands that a run of a playbook shows, and returns how many there
// are, of how many the output was judged, and which differ from the run.
func paste(t *testing.T, name string) (pasted, judged int, wrong []string) {
	flag, read := reportFlag(t)
	e := begin(t, "run", "built-in:"+name, flag).waitFor(5 * time.Minute)
	e.exits(t, 0)
	shown := read().only(t)
	list, err := playbooks.Load([]string{"built-in:" + name}, playbooks.Options{Namespace: "default", IstioNamespace: "istio-system"})
	require.NoError(t, err)
	require.Len(t, list[0].Steps, len(shown.Steps))

	before := lookAtWorld(t)
	restore := changedByAll(t)
	b := newBash(t)
	defer func() {
		b.forget(t, before, restore)
	}()
	started := time.Now()
	for i, s := range shown.Steps {
		require.NotEmpty(t, s.Command, "step %d", s.Index)
		want := 0
		if s.ExitCode != nil {
			want = *s.ExitCode
		}
		pasted++
		var why string
		var seen bool
		for deadline := time.Now().Add(time.Minute); ; { // as a reader does, until what was changed is in force
			r := b.run(t, s.Command)
			if why, seen = r.differs(t, b, &list[0].Steps[i], s, want, list[0].Vars); why == "" || time.Now().After(deadline) || list[0].Steps[i].Role == runner.Acts {
				break
			}
		}
		if seen {
			judged++
		}
		if why != "" {
			wrong = append(wrong, fmt.Sprintf("%s/%d: %s: %s\n%s", name, s.Index, s.Title, why, s.Command))
		}
	}
	t.Logf("%d commands of %s were pasted in %.1fs", pasted, name, time.Since(started).Seconds())
	return pasted, judged, wrong
}

// changedByAll remembers the objects of the cluster's own that the commands change, and
// returns what puts them back.
func changedByAll(t *testing.T) (restore func()) {
	t.Helper()
	type kept struct {
		resource schema.GroupVersionResource
		object   *unstructured.Unstructured
	}
	var all []kept
	for _, k := range []struct{ resource, namespace, name string }{
		{"configmaps", "istio-system", "istio"}, {"namespaces", "", "default"}, {"namespaces", "", "istio-system"}, {"namespaces", "", "kube-system"},
	} {
		gvr := schema.GroupVersionResource{Version: "v1", Resource: k.resource}
		o, err := shared.dynamic.Resource(gvr).Namespace(k.namespace).Get(t.Context(), k.name, metav1.GetOptions{})
		require.NoError(t, err)
		o.SetResourceVersion("")
		o.SetManagedFields(nil)
		all = append(all, kept{gvr, o})
	}
	return func() {
		for _, k := range all {
			_, err := shared.dynamic.Resource(k.resource).Namespace(k.object.GetNamespace()).Update(t.Context(), k.object, metav1.UpdateOptions{})
			assert.NoError(t, err)
		}
	}
}

// bash is a bash in the lab's shell, into which commands are pasted.
type bash struct {
	in   io.WriteCloser
	dir  string
	runs int
	done chan struct{}
}

// newBash starts one. It replaces what a bash at a terminal replaces.
func newBash(t *testing.T) *bash {
	t.Helper()
	b := &bash{dir: t.TempDir(), done: make(chan struct{})}
	shell := filepath.Join(b.dir, "bash")
	require.NoError(t, os.WriteFile(shell, []byte("#!/bin/sh\nexec bash --noprofile --norc -s\n"), 0o755))
	cmd := command(t.Context(), "egressplay", "lab", "shell")
	cmd.Dir = b.dir
	cmd.Env = append(cmd.Env, "SHELL="+shell)
	var err error
	b.in, err = cmd.StdinPipe()
	require.NoError(t, err)
	var said output
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(t, cmd.Start())
	go func() {
		defer close(b.done)
		_ = cmd.Wait() // its exit code is that of the last command
	}()
	t.Cleanup(func() {
		require.NoError(t, b.in.Close())
		<-b.done
	})
	b.run(t, "set -o history -o histexpand")
	return b
}

// pastedResult is what a command did that was pasted.
type pastedResult struct {
	code           int
	stdout, stderr string
}

// run pastes a command and waits for its end.
func (b *bash) run(t *testing.T, text string) pastedResult {
	t.Helper()
	b.runs++
	file := func(kind string) string { return filepath.Join(b.dir, fmt.Sprintf("%d.%s", b.runs, kind)) }
	_, err := fmt.Fprintf(b.in, "exec >%s 2>%s\n%s\necho $? >%s; mv %[4]s %s\n", file("out"), file("err"), text, file("part"), file("code"))
	require.NoError(t, err)
	var r pastedResult
	eventually(t, func() bool {
		select {
		case <-b.done:
			return true
		default:
		}
		_, err := os.Stat(file("code"))
		return err == nil
	}, "no end of %s", text)
	read := func(kind string) string {
		data, err := os.ReadFile(file(kind))
		require.NoError(t, err, text)
		return string(data)
	}
	r.stdout, r.stderr = read("out"), read("err")
	r.code, err = strconv.Atoi(strings.TrimSpace(read("code")))
	require.NoError(t, err)
	return r
}

// value returns the value of a variable of the shell.
func (b *bash) value(t *testing.T, name string) (string, bool) {
	t.Helper()
	r := b.run(t, `[ "${`+name+`+set}" ] && printf %s "$`+name+`"`)
	return r.stdout, r.code == 0
}

// forget deletes what was made since a world was looked at, and puts back the rest.
func (b *bash) forget(t *testing.T, before world, restore func()) {
	t.Helper()
	made := map[string][]string{} // by namespace
	for name := range lookAtWorld(t) {
		kind, object, _ := strings.Cut(name, " ")
		namespace, object, _ := strings.Cut(object, "/")
		if _, had := before[name]; !had && kind != "pods" && !strings.HasPrefix(kind, "replicasets") && !slices.Contains(collected, kind) {
			made[namespace] = append(made[namespace], kind+"/"+object)
		}
	}
	for namespace, objects := range made {
		b.run(t, fmt.Sprintf("kubectl delete --ignore-not-found --wait=false -n '%s' %s", namespace, strings.Join(objects, " ")))
	}
	restore()
	var left string
	defer func() {
		if left != "" {
			t.Log("left: " + left)
		}
	}()
	eventually(t, func() bool {
		left = before.diff(lookAtWorld(t), false)
		return left == ""
	}, "what the commands made is still there")
}

var (
	exitedLine = regexp.MustCompile(`(?m)^command terminated with exit code \d+\n`)
	modeShown  = regexp.MustCompile(`mode: (\w+)`)
)

// differs says in what a command that was pasted differs from its step, "" for nothing,
// and whether what it printed was judged.
func (r pastedResult) differs(t *testing.T, b *bash, step *runner.Step, s stepReport, want int, vars map[string]string) (why string, judged bool) {
	t.Helper()
	if r.code != want {
		return fmt.Sprintf("exit code %d, want %d\n%s%s", r.code, want, r.stdout, r.stderr), false
	}
	if m := modeShown.FindString(s.Output); s.Kind == "policy" && s.Output != "" && strings.Contains(s.Command, "grep") {
		if !strings.Contains(r.stdout, m) {
			return fmt.Sprintf("no %q in\n%s", m, r.stdout), true
		}
		return "", true
	}
	_, checks, err := step.Bind(func(name string) (string, bool) {
		if value, known := vars[name]; known {
			return value, true
		}
		return b.value(t, name)
	})
	if err != nil {
		return err.Error(), true
	}
	a := r.attempt()
	heads := len(a.Responses) > 0
	if !heads && r.code == 0 { // a response came, whatever it was
		a.Responses = []evidence.Response{{}}
	}
	for _, c := range checks {
		if !slices.Contains([]string{"body", "exitCode", "headers", "responses", "status", "stderr", "stdout"}, c.Key) ||
			!heads && slices.Contains([]string{"headers", "responses", "status"}, c.Key) {
			continue // a witness beside the command tells
		}
		for _, v := range c.Judge(a) {
			if v.Outcome != evidence.Held {
				return v.String() + "\n" + r.stdout + r.stderr, true
			}
			judged = true
		}
	}
	return "", judged
}

// attempt returns what the command printed as evidence, with the heads of responses
// where it begins with them.
func (r pastedResult) attempt() *evidence.Attempt {
	stderr := exitedLine.ReplaceAllString(r.stderr, "")
	a := &evidence.Attempt{Text: r.stdout + r.stderr, Command: &evidence.Command{
		Stdout: r.stdout, Stderr: stderr, ExitCode: &r.code, Curl: &evidence.Curl{HeadsShown: true, BodyShown: true},
	}, Transfers: []evidence.Transfer{{ExitCode: r.code}}}
	rest := r.stdout
	for strings.HasPrefix(rest, "HTTP/") {
		head, body, ended := strings.Cut(rest, "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		proto, status, _ := strings.Cut(lines[0], " ")
		status, _, _ = strings.Cut(status, " ")
		response := evidence.Response{Proto: proto, Header: http.Header{}}
		var err error
		if response.Status, err = strconv.Atoi(status); err != nil || !ended {
			break
		}
		for _, l := range lines[1:] {
			name, value, _ := strings.Cut(l, ":")
			response.Header.Add(name, strings.TrimSpace(value))
		}
		a.Responses, rest = append(a.Responses, response), body
	}
	if len(a.Responses) > 0 {
		last := a.Responses[len(a.Responses)-1]
		a.Transfers[0].Status, a.Transfers[0].Proto = last.Status, last.Proto
	}
	a.Body = rest
	return a
}
