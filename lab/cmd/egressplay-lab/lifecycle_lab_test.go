//go:build lab

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/cluster"
)

func TestStatus(t *testing.T) {
	var raw map[string]any
	require.NoError(t, json.Unmarshal([]byte(verb(t, "status", "-o", "json")), &raw))
	assert.ElementsMatch(t, []string{"name", "pid", "ready", "kubeconfig", "components"}, slices.Collect(mapKeys(raw)))

	s := statusOfLab(t, defaultName)
	assert.True(t, s.Ready, "%+v", s)
	assert.Equal(t, strings.TrimSpace(verb(t, "kubeconfig")), s.Kubeconfig)
	assert.FileExists(t, fmt.Sprintf("/proc/%d/stat", s.Pid))
	var names []string
	for _, c := range s.Components {
		names = append(names, c.Name)
		assert.Equal(t, "ready", string(c.State), c.Name)
	}
	assert.Subset(t, names, cluster.Components)
	for _, name := range []string{cluster.Etcd, cluster.APIServer, cluster.Kubelet, cluster.CoreDNS, cluster.Istiod, cluster.EgressGateway} {
		i := slices.IndexFunc(s.Components, func(c cluster.ComponentStatus) bool { return c.Name == name })
		assert.Greater(t, s.Components[i].RSSBytes, uint64(10<<20), name)
		assert.Positive(t, s.Components[i].CPUSeconds, name)
	}
	text := verb(t, "status")
	assert.Contains(t, text, "lab default is ready")
	assert.Regexp(t, `kube-apiserver +ready +\d+ MiB +\d+\.\d s`, text)
}

// status looks at the pods at the moment of the request. Kubernetes says of both these
// Deployments that they are available.
func TestStatusLooksAtThePods(t *testing.T) {
	kubectl := func(args ...string) { verb(t, append([]string{"kubectl", "-n", "istio-system"}, args...)...) }
	const gateway = "deployment/" + cluster.EgressGateway
	becomes := func(state, why string) {
		t.Helper()
		var last status
		assert.Eventually(t, func() bool {
			last = statusOfLab(t, defaultName)
			i := slices.IndexFunc(last.Components, func(c cluster.ComponentStatus) bool { return c.Name == cluster.EgressGateway })
			part := last.Components[i]
			return string(part.State) == state && strings.Contains(part.Why, why) && last.Ready == (state == "ready")
		}, aWhile, 50*time.Millisecond, "want %s %s", state, why)
		if t.Failed() {
			t.Fatalf("%+v", last)
		}
	}
	t.Cleanup(func() { kubectl("rollout", "status", gateway) })

	kubectl("scale", gateway, "--replicas=0")
	becomes("not ready", "it has 0 of 1 pods")
	assert.Regexp(t, `istio-egressgateway +not ready .*it has 0 of 1 pods`, verb(t, "status"))
	kubectl("scale", gateway, "--replicas=1")
	becomes("ready", "")

	kubectl("set", "image", gateway, "istio-proxy=no.such/image")
	becomes("not ready", "istio-proxy: ErrImagePull")
	kubectl("rollout", "undo", gateway)
	becomes("ready", "")
}

// A process that was ready at its start and does not answer any more is not ready.
func TestStatusAsksTheProcesses(t *testing.T) {
	pid := componentOf(t, defaultName, cluster.Scheduler)
	state := func() string {
		s := statusOfLab(t, defaultName)
		i := slices.IndexFunc(s.Components, func(c cluster.ComponentStatus) bool { return c.Name == cluster.Scheduler })
		return fmt.Sprint(s.Components[i].State, " ", s.Components[i].Why, " ", s.Ready)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	assert.Equal(t, "not ready no answer within 5s false", state())
	require.NoError(t, syscall.Kill(pid, syscall.SIGCONT))
	assert.Eventually(t, func() bool { return state() == "ready  true" }, aWhile, 50*time.Millisecond)
}

// componentOf returns the pid of a component in the host's pid namespace.
func componentOf(t *testing.T, lab, component string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		text, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		args := strings.Split(string(text), "\x00")
		if len(args) > 2 && args[1] == component && strings.Contains(string(text), filepath.Join(runDir(), lab)+"/") {
			pid, err := strconv.Atoi(e.Name())
			require.NoError(t, err)
			return pid
		}
	}
	require.Fail(t, "no such process", component)
	return 0
}

func mapKeys(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestOfALabThatIsNotRunning(t *testing.T) {
	assert.Equal(t, status{Name: "none", Components: []cluster.ComponentStatus{}}, statusOfLab(t, "none"))
	assert.Equal(t, "lab none is not running\n", verb(t, "down", "--name", "none"))
	for _, args := range [][]string{
		{"kubeconfig", "--name", "none"},
		{"kubectl", "--name", "none", "get", "pods"},
		{"shell", "--name", "none"},
		{"logs", "--name", "none", "etcd"},
	} {
		r := execute(program(args...))
		assert.Equal(t, exitFailed, r.code, args)
		assert.Contains(t, r.stderr, "lab none is not running: start it with `egressplay lab up --name none`", args)
	}
}

func TestUpOfARunningLab(t *testing.T) {
	before := statusOfLab(t, defaultName).Pid
	assert.Contains(t, verb(t, "up"), "lab default is running\n")
	assert.Equal(t, before, statusOfLab(t, defaultName).Pid)

	r := execute(program("serve"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "lab default is running already")
}

func TestOtherVersionsAreRefused(t *testing.T) {
	cmd := program("status")
	cmd.Env = append(os.Environ(), "EGRESSPLAY_VERSION=v0.0.1")
	r := execute(cmd)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "egressplay is version v0.0.1 and egressplay-lab is version")

	cmd = program("version")
	cmd.Env = append(os.Environ(), "EGRESSPLAY_VERSION=v0.0.1")
	assert.Equal(t, 0, execute(cmd).code, "or nobody could ask")

	file := filepath.Join(os.Getenv("EGRESSPLAY_LAB_DIR"), defaultName, "lab.json")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.WriteFile(file, text, 0o600)) })
	var in info
	require.NoError(t, json.Unmarshal(text, &in))
	in.Version = "v0.0.1"
	other, err := json.Marshal(in)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, other, 0o600))
	r = execute(program("up"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "started by version v0.0.1")
	assert.Contains(t, r.stderr, "`egressplay lab down`")
}

func TestShell(t *testing.T) {
	before := leftovers(t)
	cmd := program("shell")
	cmd.Env = append(os.Environ(), "SHELL=/bin/sh")
	cmd.Stdin = strings.NewReader("kubectl get node lab -o name; exit 5\n")
	r := execute(cmd)
	assert.Equal(t, 5, r.code)
	assert.Equal(t, "node/lab\n", r.stdout)
	assert.Equal(t, before, leftovers(t))
}

func leftovers(t *testing.T) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "egressplay-shell-*"))
	require.NoError(t, err)
	return left
}

func TestLogs(t *testing.T) {
	assert.Contains(t, verb(t, "logs", "kube-apiserver"), "Serving securely")
	assert.Contains(t, verb(t, "logs", "istiod"), "starting")
	r := execute(program("logs", "nothing"))
	assert.Equal(t, exitUsage, r.code)

	followsUntilInterrupted(t, "kube-apiserver")
}

// followsUntilInterrupted follows a log that is not empty, interrupts that once
// it has begun, and returns what was printed.
func followsUntilInterrupted(t *testing.T, args ...string) string {
	t.Helper()
	cmd := program(append([]string{"logs", "-f"}, args...)...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	late := time.AfterFunc(aWhile, func() { cmd.Process.Kill() })
	defer late.Stop()
	begun := make([]byte, 1)
	_, err = out.Read(begun)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	assert.NoError(t, cmd.Wait())
	return string(begun) + string(rest)
}

func TestFollowedLogsEndWithTheLab(t *testing.T) {
	const name = "logged"
	serveLab(t, name)
	type follower struct {
		cmd  *exec.Cmd
		rest io.Reader
	}
	var followers []follower
	for _, component := range []string{labLog, cluster.APIServer, cluster.Internet, cluster.Istiod} {
		if component == labLog || component == cluster.Internet { // these may be empty until the end
			f, err := os.OpenFile(filepath.Join(runDir(), name, "logs", component+".log"), os.O_APPEND|os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteString("{}\n")
			require.NoError(t, errors.Join(err, f.Close()))
		}
		cmd := program("logs", "--name", name, "-f", component)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		late := time.AfterFunc(aWhile, func() { cmd.Process.Kill() })
		t.Cleanup(func() { late.Stop() })
		_, err = out.Read(make([]byte, 1))
		require.NoError(t, err, component)
		followers = append(followers, follower{cmd, out})
	}
	verb(t, "down", "--name", name)
	for _, f := range followers {
		_, err := io.Copy(io.Discard, f.rest)
		require.NoError(t, err)
		f.cmd.Wait() // kubectl reports the end of the API server as an error
		assert.True(t, f.cmd.ProcessState.Exited(), "%s does not end with the lab", f.cmd)
		if !slices.Contains(f.cmd.Args, cluster.Istiod) {
			assert.Zero(t, f.cmd.ProcessState.ExitCode(), f.cmd)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"nothing"}, {"up", "--nothing"}, {"up", "now"}, {"up", "--name", "A/b"}, {"status", "-o", "yaml"}} {
		r := execute(program(args...))
		assert.Equal(t, exitUsage, r.code, args)
		assert.NotEmpty(t, r.stderr, args)
	}
}

func TestKubectlsExitCodeAndStreams(t *testing.T) {
	r := execute(program("kubectl", "get", "pod", "nobody"))
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, `pods "nobody" not found`)
	assert.Empty(t, r.stdout)
}

// machine is the state of the machine that a lab must leave as it was.
type machine struct {
	processes, mounts, interfaces, folders []string
}

// look returns what exists of all labs but the one that the tests share. The test
// program's own processes are in none of the labs' namespaces.
func look(t *testing.T) machine {
	t.Helper()
	var m machine
	shared := statusOfLab(t, defaultName).Pid
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	own, err := os.Readlink("/proc/self/ns/pid")
	require.NoError(t, err)
	skip, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", shared))
	require.NoError(t, err)
	dir := os.Getenv("EGRESSPLAY_LAB_DIR")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		ns, err := os.Readlink("/proc/" + e.Name() + "/ns/pid")
		if err != nil || ns == skip || ns == own {
			continue // it has ended, or belongs to the shared lab or to no lab
		}
		// Labs of others may run on this machine too: the folder shows which are ours.
		text, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if strings.Contains(string(text), dir) {
			m.processes = append(m.processes, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) {
			m.mounts = append(m.mounts, line)
		}
	}
	links, err := net.Interfaces()
	require.NoError(t, err)
	for _, l := range links {
		m.interfaces = append(m.interfaces, l.Name)
	}
	folders, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range folders {
		m.folders = append(m.folders, f.Name())
	}
	return m
}

// served is a lab that a test keeps in the foreground.
type served struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	last  cluster.Event
}

func serveLab(t *testing.T, name string) *served {
	t.Helper()
	s := &served{cmd: program("serve", "--name", name)}
	var err error
	s.stdin, err = s.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr strings.Builder
	s.cmd.Stderr = &stderr
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() { s.cmd.Process.Kill() })
	for lines := bufio.NewScanner(out); !s.last.Ready; {
		require.True(t, lines.Scan(), "serve has ended: %s", &stderr)
		s.last = cluster.Event{}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &s.last))
	}
	return s
}

// Each ending of a lab leaves the machine as it was, and lets the next one start.
func TestEndings(t *testing.T) {
	before := look(t)
	const name = "ends"
	for _, tt := range []struct {
		how  string
		end  func(*served, int)
		code int
	}{
		{"stdin ends", func(s *served, _ int) { s.stdin.Close() }, 0},
		{"SIGINT", func(s *served, _ int) { s.cmd.Process.Signal(syscall.SIGINT) }, 0},
		{"the first process is killed", func(_ *served, pid int) { syscall.Kill(pid, syscall.SIGKILL) }, exitFailed},
		{"serve is killed", func(s *served, _ int) { s.cmd.Process.Kill() }, -1},
		{"down", func(*served, int) { verb(t, "down", "--name", name) }, exitFailed},
	} {
		t.Run(tt.how, func(t *testing.T) {
			s := serveLab(t, name)
			pid := statusOfLab(t, name).Pid
			assert.NotEmpty(t, look(t).processes)
			tt.end(s, pid)
			s.cmd.Wait()
			assert.Equal(t, tt.code, s.cmd.ProcessState.ExitCode())
			assert.Eventually(t, func() bool { return len(look(t).processes) == 0 }, aWhile, 20*time.Millisecond)
			verb(t, "down", "--name", name) // its logs are kept, or nobody was left to delete them
			assert.Equal(t, before, look(t))
		})
	}
}

// killAll kills a served lab and what would take it down.
func (s *served) killAll(t *testing.T, name string) {
	t.Helper()
	pid := statusOfLab(t, name).Pid
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGSTOP)) // else it would see the lab end, and clean up
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.NoError(t, s.cmd.Process.Kill())
	s.cmd.Wait()
	i, err := newInstance(name)
	require.NoError(t, err)
	assert.Eventually(t, func() bool { // the kernel may take a while for the last of them
		killed, err := i.killed()
		require.NoError(t, err)
		return killed && len(look(t).processes) == 0
	}, aWhile, 20*time.Millisecond)
}

// A lab whose processes are all killed leaves its folder, which the next start of any
// lab deletes.
func TestAllOfALabIsKilled(t *testing.T) {
	before := look(t)
	const name = "run-1"
	serveLab(t, name).killAll(t, name)
	assert.Equal(t, append(slices.Clone(before.folders), name), look(t).folders)
	assert.Zero(t, statusOfLab(t, name).Pid)
	verb(t, "up") // the lab runs already
	assert.Equal(t, before, look(t))

	serveLab(t, name).killAll(t, name)
	assert.Contains(t, execute(program("serve")).stderr, "lab default is running already")
	assert.Equal(t, before, look(t))
}

// If the process that starts a lab ends before the lab is ready, the lab ends too.
func TestUpIsKilled(t *testing.T) {
	const name = "killed"
	cmd := program("up", "--name", name)
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return statusOfLab(t, name).Pid != 0 }, aWhile, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	cmd.Wait()
	require.Eventually(t, func() bool { return statusOfLab(t, name).Pid == 0 && len(look(t).processes) == 0 }, aWhile, 10*time.Millisecond)
	verb(t, "down", "--name", name)
}

// A lab that is killed before it is ready cannot say why it did not come up.
func TestFirstProcessIsKilledDuringUp(t *testing.T) {
	const name = "dies"
	t.Cleanup(func() { verb(t, "down", "--name", name) })
	cmd := program("up", "--name", name)
	var said strings.Builder
	cmd.Stderr = &said
	require.NoError(t, cmd.Start())
	var pid int
	require.Eventually(t, func() bool {
		pid = statusOfLab(t, name).Pid
		return pid != 0
	}, aWhile, 10*time.Millisecond)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	cmd.Wait()
	assert.Equal(t, exitFailed, cmd.ProcessState.ExitCode())
	assert.Contains(t, said.String(), "lab dies did not come up: follow the lab's start: it has ended")
	assert.Contains(t, said.String(), "its first process: signal: killed")
}

// An interrupted start leaves nothing, its logs included.
func TestUpIsInterrupted(t *testing.T) {
	before := look(t)
	const name = "stopped"
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		cmd := program("up", "--name", name)
		var said strings.Builder
		cmd.Stderr = &said
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool { return statusOfLab(t, name).Pid != 0 }, aWhile, 10*time.Millisecond)
		require.NoError(t, cmd.Process.Signal(sig))
		cmd.Wait()
		assert.Equal(t, code, cmd.ProcessState.ExitCode(), said.String())
		assert.Contains(t, said.String(), "lab stopped was taken down again")
		assert.Equal(t, before, look(t))
		assert.NoDirExists(t, filepath.Join(runDir(), name))
	}
}

func TestTwoLabsDoNotSeeEachOther(t *testing.T) {
	const name = "two"
	t.Cleanup(func() { verb(t, "down", "--name", name) })
	// Two at once: one starts the lab, the other waits for it.
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			r := execute(program("up", "--name", name))
			assert.Equal(t, 0, r.code, r.stderr)
		})
	}
	both.Wait()
	// istiod already judges the first object.
	apply := program("kubectl", "--name", name, "apply", "-f", "-")
	apply.Stdin = strings.NewReader(fmt.Sprintf(serviceEntry, "DNS"))
	refused(t, execute(apply))
	first, second := statusOfLab(t, defaultName), statusOfLab(t, name)
	assert.True(t, second.Ready)
	assert.NotEqual(t, first.Pid, second.Pid)
	assert.NotEqual(t, first.Kubeconfig, second.Kubeconfig)

	verb(t, "kubectl", "create", "namespace", "only-in-the-first")
	t.Cleanup(func() { verb(t, "kubectl", "delete", "namespace", "only-in-the-first") })
	r := execute(program("kubectl", "--name", name, "get", "namespace", "only-in-the-first"))
	assert.Contains(t, r.stderr, "not found")
	assert.Equal(t, name, verb(t, "kubectl", "--name", name, "get", "configmap", "egressplay-lab", "-n", "kube-public", "-o", "jsonpath={.data.name}"))
}

// A lab that does not come up reports why, and leaves nothing but its logs.
func TestFailedStart(t *testing.T) {
	before := look(t)
	dir := t.TempDir()
	programs, err := filepath.Glob(filepath.Join(bin, "egressplay-*"))
	require.NoError(t, err)
	for _, path := range programs {
		require.NoError(t, os.Symlink(path, filepath.Join(dir, filepath.Base(path))))
	}
	self, err := os.ReadFile(filepath.Join(bin, "egressplay-lab")) // it looks for the others beside its own real file
	require.NoError(t, err)
	for name, content := range map[string]string{
		"egressplay-lab":  string(self),
		"egressplay-etcd": "#!/bin/sh\necho the last words of etcd\nexit 9\n",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o755))
	}
	r := execute(exec.Command(filepath.Join(dir, "egressplay-lab"), "up", "--name", "fails"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "etcd ended before it was ready")
	assert.Contains(t, r.stderr, "exit status 9")
	assert.Contains(t, r.stderr, "the last words of etcd")
	log := filepath.Join(os.Getenv("EGRESSPLAY_LAB_DIR"), "fails", "logs", "etcd.log")
	assert.Contains(t, r.stderr, log)
	assert.FileExists(t, log)
	assert.Zero(t, statusOfLab(t, "fails").Pid)
	verb(t, "down", "--name", "fails")
	assert.Equal(t, before, look(t))
}

func TestCheck(t *testing.T) {
	r := execute(program("check"))
	// Labs that run share the user's limit of inotify instances.
	if r.code != 0 {
		assert.Equal(t, 1, strings.Count(r.stdout, "problem:"), r.stdout)
		assert.Contains(t, r.stdout, "inotify")
	}
}
