//go:build lab

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// These tests run the built programs, from EGRESSPLAY_BIN or the checkout's bin,
// as the user who runs the tests, root or an ordinary user. One lab is started
// for all of them; tests about starting and ending start their own.

// aWhile is longer than anything here takes, even on a busy machine.
const aWhile = 2 * time.Minute

// bin is the folder of the programs.
var bin string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == imageProgram {
		end(beImageProgram())
	}
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	if bin, err = filepath.Abs(filepath.Join("..", "..", "..", "bin")); err != nil {
		return 1, err
	}
	if dir := os.Getenv("EGRESSPLAY_BIN"); dir != "" {
		bin = dir
	}
	dir, err := os.MkdirTemp("", "ep")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Setenv("EGRESSPLAY_LAB_DIR", dir); err != nil {
		return 1, err
	}
	up := execute(program("up"))
	if up.code != 0 {
		return 1, fmt.Errorf("up: %s%s", up.stdout, up.stderr)
	}
	fmt.Print(up.stdout)
	defer func() {
		if down := execute(program("down")); down.code != 0 {
			err = errors.Join(err, fmt.Errorf("down: %s", down.stderr))
		}
	}()
	return m.Run(), nil
}

// result is the output and the exit code of a program.
type result struct {
	stdout, stderr string
	code           int
}

func program(args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(bin, "egressplay-lab"), args...)
}

// execute runs a command to its end. One that cannot be run, or takes longer than
// a while, has the code -1.
func execute(cmd *exec.Cmd) result {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return result{stderr: err.Error(), code: -1}
	}
	late := time.AfterFunc(aWhile, func() { cmd.Process.Kill() })
	defer late.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result{stderr: err.Error(), code: -1}
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// verb runs a verb that must work.
func verb(t testing.TB, args ...string) string {
	t.Helper()
	r := execute(program(args...))
	require.Equal(t, 0, r.code, "egressplay-lab %s\n%s%s", strings.Join(args, " "), r.stdout, r.stderr)
	return r.stdout
}

// statusOfLab returns the status of a lab.
func statusOfLab(t testing.TB, name string) status {
	t.Helper()
	var s status
	require.NoError(t, json.Unmarshal([]byte(verb(t, "status", "--name", name, "-o", "json")), &s))
	return s
}

// namespace is a namespace of the lab that is deleted with the test.
type namespace struct {
	t    testing.TB
	name string
}

// newNamespace makes a namespace, with sidecars or without.
func newNamespace(t testing.TB, injected bool) namespace {
	t.Helper()
	n := namespace{t, "test-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))}
	labels := ""
	if injected {
		labels = "istio-injection: enabled"
	}
	n.name = n.name[:min(len(n.name), 60)]
	n.apply(fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {%s}}\n", n.name, labels))
	t.Cleanup(func() { n.kubectl("delete", "namespace", n.name, "--wait=false") })
	n.await("kubectl", "get", "serviceaccount", "default")
	return n
}

// apply applies a manifest in the namespace.
func (n namespace) apply(manifest string) {
	n.t.Helper()
	r := n.applied(manifest)
	require.Equal(n.t, 0, r.code, "%s\n%s", r.stderr, manifest)
}

// applied tries to apply a manifest in the namespace.
func (n namespace) applied(manifest string) result {
	cmd := n.command("apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	return execute(cmd)
}

func (n namespace) command(args ...string) *exec.Cmd {
	return program(append([]string{"kubectl", "--namespace", n.name}, args...)...)
}

// kubectl runs kubectl in the namespace.
func (n namespace) kubectl(args ...string) result { return execute(n.command(args...)) }

// must runs kubectl, which must work, and returns what it prints.
func (n namespace) must(args ...string) string {
	n.t.Helper()
	r := n.kubectl(args...)
	require.Equal(n.t, 0, r.code, "kubectl %s\n%s%s", strings.Join(args, " "), r.stdout, r.stderr)
	return r.stdout
}

// await runs kubectl until it works; the word kubectl reads better in front.
func (n namespace) await(_ string, args ...string) string {
	n.t.Helper()
	var r result
	n.eventually(func() bool {
		r = n.kubectl(args...)
		return r.code == 0
	}, func() string { return r.stderr })
	return r.stdout
}

// eventually waits until good returns true.
func (n namespace) eventually(good func() bool, why func() string) {
	n.t.Helper()
	for until := time.Now().Add(aWhile); !good(); time.Sleep(50 * time.Millisecond) {
		require.True(n.t, time.Now().Before(until), "not within %v: %s", aWhile, why())
	}
}

// ready waits until a pod or another object has a condition.
func (n namespace) ready(what, condition string) {
	n.t.Helper()
	n.must("wait", what, "--for=condition="+condition, "--timeout="+aWhile.String())
}

// eventuallyLogged waits until a log has a text, and returns the log. A program may
// write a line a moment after the event.
func (n namespace) eventuallyLogged(text string, logs ...string) string {
	n.t.Helper()
	var log string
	n.eventually(func() bool {
		log = n.must(logs...)
		return strings.Contains(log, text)
	}, func() string { return fmt.Sprintf("want %q in %q", text, log) })
	return log
}

// field reads a field of an object by JSON path.
func (n namespace) field(what, path string) string {
	n.t.Helper()
	return n.must("get", what, "-o", "jsonpath={"+path+"}")
}

// eventuallyField waits until a field contains a text.
func (n namespace) eventuallyField(what, path, text string) string {
	n.t.Helper()
	var last string
	n.eventually(func() bool {
		last = n.field(what, path)
		return strings.Contains(last, text)
	}, func() string { return fmt.Sprintf("%s of %s is %q, want %q in it", path, what, last, text) })
	return last
}
