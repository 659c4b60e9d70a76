//go:build lab

package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// start starts the test binary as the first process of a sandbox; what names the
// function of lives that runs there. The reader returns what that function writes to
// file descriptor 3.
func start(t *testing.T, what string, c Config) (*Process, *bufio.Reader) {
	t.Helper()
	p, out, err := tryStart(t, what, c)
	require.NoError(t, err)
	t.Cleanup(func() {
		p.Kill()
		p.Wait()
	})
	return p, out
}

func tryStart(t *testing.T, what string, c Config) (*Process, *bufio.Reader, error) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	defer w.Close()
	log, err := os.CreateTemp(t.TempDir(), "log")
	require.NoError(t, err)
	defer log.Close()
	t.Cleanup(func() {
		if text, err := os.ReadFile(log.Name()); err == nil && len(text) > 0 {
			t.Logf("first process: %s", text)
		}
	})
	self, err := os.Executable()
	require.NoError(t, err)
	c.Args = []string{self, insideArgument, what}
	c.Files = []*os.File{w}
	c.Log = log
	p, err := Start(t.Context(), c)
	return p, bufio.NewReader(r), err
}

// lives are the programs that the sandboxes of these tests run, by name. Each
// may write to file descriptor 3; its result is the exit code.
var lives = map[string]func(out *os.File) int{
	"describe": describe,
	"orphans":  orphans,
	"busy":     busy,
	"exit 7":   func(*os.File) int { return 7 },
	"killed": func(*os.File) int {
		unix.Kill(os.Getpid(), unix.SIGKILL)
		return 0
	},
	"until SIGTERM": func(out *os.File) int {
		c := make(chan os.Signal, 1)
		signal.Notify(c, unix.SIGTERM)
		io.WriteString(out, "ready\n")
		<-c
		return 15
	},
}

func init() {
	inside = func(what string) int {
		if what == "probe" {
			if err := Probe(); err != nil {
				return complain(err)
			}
			return 0
		}
		if err := Enter(); err != nil {
			return complain(err)
		}
		return lives[what](os.NewFile(3, "out"))
	}
}

// description describes a sandbox as seen from inside.
type description struct {
	Pid, Parent, UID, GID int
	Groups                []int
	Hostname, Path        string
	Umask                 int
	Ignored               string // SigIgn of a child
	Capabilities          string // CapEff of a child
	Links                 []string
	Processes             []string
	Mounts                string
	Kept                  string
	Run                   []string
	ChildFiles            []string // file descriptors of a child
	Dir                   string
	Errors                map[string]string
}

func describe(out *os.File) int {
	d := description{Pid: os.Getpid(), Parent: os.Getppid(), UID: os.Getuid(), GID: os.Getgid(), Path: os.Getenv("PATH"), Errors: map[string]string{}}
	note := func(what string, err error) {
		d.Errors[what] = ""
		if err != nil {
			d.Errors[what] = err.Error()
		}
	}
	d.Groups, _ = os.Getgroups()
	d.Hostname, _ = os.Hostname()
	d.Umask = unix.Umask(0)
	unix.Umask(d.Umask)
	status, _ := exec.Command("cat", "/proc/self/status").Output()
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "SigIgn":
			d.Ignored = strings.TrimSpace(value)
		case "CapEff":
			d.Capabilities = strings.TrimSpace(value)
		}
	}
	links, _ := exec.Command("ip", "-o", "link").Output()
	d.Links = strings.Split(strings.TrimSpace(string(links)), "\n")
	for _, p := range entries("/proc") {
		if _, err := strconv.Atoi(p); err == nil {
			d.Processes = append(d.Processes, p)
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	d.Mounts = string(mounts)
	kept, err := os.ReadFile(os.Getenv("KEPT_FILE"))
	d.Kept = string(kept)
	note("read kept file", err)
	d.Run = entries("/run")
	files, _ := exec.Command("ls", "/proc/self/fd").Output()
	d.ChildFiles = strings.Fields(string(files))
	d.Dir, _ = os.Getwd()

	note("write kept file", os.WriteFile(os.Getenv("KEPT_FILE")+".new", nil, 0o644))
	note("run kept program", exec.Command(filepath.Join(filepath.Dir(os.Getenv("KEPT_FILE")), "program")).Run())
	note("write to the machine's /var/tmp", os.WriteFile("/var/tmp/egressplay-test", nil, 0o600))
	note("write /var/log", os.Mkdir("/var/log/containers", 0o755))
	note("write /run", os.WriteFile("/run/xtables.lock", nil, 0o600))
	note("write /dev/shm", os.WriteFile("/dev/shm/x", nil, 0o600))
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	note("open /dev/ptmx", err)
	if err == nil {
		number, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
		note("number of the terminal", err)
		note("terminal 0", errors.Join(err, map[bool]error{true: nil, false: errors.New(strconv.Itoa(number))}[number == 0]))
	}
	for _, name := range []string{"kernel/panic", "vm/swappiness", "fs/file-max", "net/ipv4/ip_forward"} {
		note("write "+name, rewrite("/proc/sys/"+name))
	}
	note("open sysrq-trigger", openToWrite("/proc/sysrq-trigger"))
	note("open uevent", openToWrite("/sys/kernel/uevent_seqnum"))
	note("mkdir in /sys", os.Mkdir("/sys/fs/cgroup/egressplay", 0o755))
	note("chown 65535", func() error {
		if err := os.WriteFile("/run/owned", nil, 0o600); err != nil {
			return err
		}
		return os.Chown("/run/owned", 65535, 65535)
	}())
	note("mknod", unix.Mknod("/dev/shm/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(254, 0))))
	note("set the clock", unix.ClockSettime(unix.CLOCK_REALTIME, nowSpec()))
	note("nested proc", func() error {
		c := exec.Command("unshare", "-m", "-p", "-f", "mount", "-t", "proc", "proc", "/proc")
		text, err := c.CombinedOutput()
		if err != nil {
			return errors.New(string(text))
		}
		return nil
	}())
	note("iptables", func() error {
		text, err := exec.Command("iptables", "-t", "nat", "-N", "X").CombinedOutput()
		if err != nil {
			return errors.New(string(text))
		}
		return nil
	}())
	note("describe", json.NewEncoder(out).Encode(d))
	return 0
}

func entries(dir string) []string {
	var names []string
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// rewrite writes a file's own content back.
func rewrite(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes.TrimSpace(text), 0)
}

func openToWrite(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func nowSpec() *unix.Timespec {
	now := unix.NsecToTimespec(time.Now().UnixNano())
	return &now
}

func TestSandboxFromInside(t *testing.T) {
	run := filepath.Join(ownRunFolder(t), "kept")
	require.NoError(t, os.Mkdir(run, 0o755))
	file := filepath.Join(run, "file")
	require.NoError(t, os.WriteFile(file, []byte("kept"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(run, "program"), []byte("#!/bin/sh\nexit 0\n"), 0o755))
	ownName, err := os.Hostname()
	require.NoError(t, err)

	_, out := start(t, "describe", Config{
		Hostname: "node", Keep: []string{run}, Dir: run,
		Env: []string{"PATH=/opt/mine:/usr/bin:/bin", "KEPT_FILE=" + file},
	})
	var d description
	require.NoError(t, json.NewDecoder(out).Decode(&d))

	assert.Equal(t, 1, d.Parent, "parent")
	assert.Equal(t, 0, d.UID)
	assert.Equal(t, 0, d.GID)
	assert.Empty(t, d.Groups)
	assert.Equal(t, "node", d.Hostname)
	assert.Equal(t, "/opt/mine:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin", d.Path)
	assert.Equal(t, 0o022, d.Umask)
	assert.Regexp(t, "^0+$", d.Ignored, "ignored signals of a child")
	assert.Len(t, d.Links, 1, "only loopback")
	assert.Contains(t, d.Processes, "1")
	assert.LessOrEqual(t, len(d.Processes), 4, "processes: %v", d.Processes)
	assert.Equal(t, "kept", d.Kept)
	assert.Equal(t, run, d.Dir)
	assert.Subset(t, []string{"0", "1", "2", "3"}, d.ChildFiles, "file descriptors of a child")
	for line := range strings.Lines(d.Mounts) {
		optional, _, _ := strings.Cut(line, " - ")
		assert.NotContains(t, optional, "shared:", "a mount that is shared with the machine")
		assert.NotContains(t, optional, "master:", "a mount that the machine changes")
	}
	for what, err := range d.Errors {
		switch what {
		case "write kernel/panic", "write vm/swappiness", "write fs/file-max", "open sysrq-trigger", "open uevent", "mkdir in /sys", "mknod", "set the clock", "write to the machine's /var/tmp":
			assert.NotEmpty(t, err, "%s should be refused", what)
		default:
			assert.Empty(t, err, what)
		}
	}
	assert.FileExists(t, file+".new", "what is written inside is seen outside")
	assert.NoFileExists(t, "/dev/shm/x")
	assert.NoFileExists(t, "/var/tmp/egressplay-test")
	now, err := os.Hostname()
	require.NoError(t, err)
	assert.Equal(t, ownName, now, "the machine's hostname")
}

// ownRunFolder makes a folder below /run, as a lab's is, if this user may; otherwise
// elsewhere.
func ownRunFolder(t *testing.T) string {
	parent := os.Getenv("XDG_RUNTIME_DIR")
	if os.Geteuid() == 0 {
		parent = "/run"
	}
	dir, err := os.MkdirTemp(parent, "egressplay-test")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestIgnoredSignalsAreResetForTheLab(t *testing.T) {
	signal.Ignore(unix.SIGINT, unix.SIGHUP) // as a shell does for a background job
	defer signal.Reset(unix.SIGINT, unix.SIGHUP)
	_, out := start(t, "describe", Config{})
	var d description
	require.NoError(t, json.NewDecoder(out).Decode(&d))
	assert.Regexp(t, "^0+$", d.Ignored)
}

func TestExitCode(t *testing.T) {
	for what, code := range map[string]int{"exit 7": 7, "killed": 137} {
		p, _ := start(t, what, Config{})
		var exit *exec.ExitError
		require.ErrorAs(t, p.Wait(), &exit, what)
		assert.Equal(t, code, exit.ExitCode(), what)
	}
}

func TestSignalReachesTheLab(t *testing.T) {
	p, out := start(t, "until SIGTERM", Config{})
	_, err := out.ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, p.Signal(unix.SIGTERM))
	var exit *exec.ExitError
	require.ErrorAs(t, p.Wait(), &exit)
	assert.Equal(t, 15, exit.ExitCode())
}

// orphans starts children that leave children of their own behind, and waits for its
// own children as any program does.
func orphans(out *os.File) int {
	for range 20 {
		if err := exec.Command("sh", "-c", "sh -c : & sh -c 'sleep 0.01; exit 3' & exit 0").Run(); err != nil {
			return complain(err)
		}
	}
	if err := exec.Command("sh", "-c", "exit 5").Run(); err == nil || err.Error() != "exit status 5" {
		return complain(err)
	}
	for len(children("1")) > 1 { // the test's deadline is the limit
		unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
	}
	io.WriteString(out, "reaped\n")
	return 0
}

// children returns the processes with a given parent.
func children(parent string) []string {
	var pids []string
	for _, pid := range entries("/proc") {
		if _, err := strconv.Atoi(pid); err != nil {
			continue // such as self
		}
		status, _ := os.ReadFile("/proc/" + pid + "/status")
		if bytes.Contains(status, []byte("\nPPid:\t"+parent+"\n")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestOrphansAreReaped(t *testing.T) {
	p, out := start(t, "orphans", Config{})
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "reaped\n", line)
	require.NoError(t, p.Wait())
}

// busy leaves behind what a lab has: processes in groups of their own, mounts,
// interfaces, another network namespace.
func busy(out *os.File) int {
	for _, line := range []string{
		"setsid sleep 1000",
		"mkdir /run/egressplay-busy && mount -t tmpfs busy /run/egressplay-busy",
		"ip link add egressplay0 type veth peer name egressplay1",
		"ip netns add busy && ip -n busy link add egressplay2 type veth peer name egressplay3",
	} {
		cmd := exec.Command("sh", "-c", line)
		cmd.Stderr = os.Stderr
		err := cmd.Start()
		if err == nil && !strings.HasPrefix(line, "setsid") {
			err = cmd.Wait()
		}
		if err != nil {
			return complain(err)
		}
	}
	forever := make(chan os.Signal, 1) // the runtime would report an empty select as a deadlock in a program without cgo
	signal.Notify(forever, unix.SIGUSR1)
	io.WriteString(out, "busy\n")
	<-forever
	return 0
}

func TestNothingIsLeftAfterKill(t *testing.T) {
	for _, victim := range []string{"init", "lab"} {
		t.Run(victim, func(t *testing.T) {
			p, out := start(t, "busy", Config{})
			line, err := out.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "busy\n", line)
			init := strconv.Itoa(p.Pid)
			namespaces := namespacesOf(init)
			require.Len(t, namespaces, 5)
			require.NotEmpty(t, processesIn(namespaces))
			lab := children(init)
			require.Len(t, lab, 1)
			if victim == "lab" {
				pid, err := strconv.Atoi(lab[0])
				require.NoError(t, err)
				require.NoError(t, unix.Kill(pid, unix.SIGKILL))
			} else {
				require.NoError(t, p.Kill())
			}
			require.Error(t, p.Wait())

			assert.Empty(t, processesIn(namespaces), "processes")
			mounts, err := os.ReadFile("/proc/self/mountinfo")
			require.NoError(t, err)
			assert.NotContains(t, string(mounts), "busy")
			for _, n := range namespaces {
				assert.NotContains(t, string(mounts), n)
			}
			links, err := exec.Command("ip", "-o", "link").Output()
			require.NoError(t, err)
			assert.NotContains(t, string(links), "egressplay")
			assert.NoFileExists(t, "/run/netns/busy")
		})
	}
}

// namespacesOf returns the namespaces of a process that are not this one's, without its
// user namespace, as "net:[4026532008]".
func namespacesOf(pid string) []string {
	var names []string
	for _, kind := range []string{"mnt", "pid", "net", "uts", "ipc"} {
		own, _ := os.Readlink("/proc/self/ns/" + kind)
		name, err := os.Readlink("/proc/" + pid + "/ns/" + kind)
		if err == nil && name != own {
			names = append(names, name)
		}
	}
	return names
}

// processesIn returns the processes of the machine that are in one of the namespaces.
func processesIn(namespaces []string) []string {
	var found []string
	for _, pid := range entries("/proc") {
		for _, name := range namespacesOf(pid) {
			for _, n := range namespaces {
				if n == name {
					found = append(found, pid+" "+name)
				}
			}
		}
	}
	return found
}

func TestThisMachineIsFitForALab(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for _, p := range Check(t.Context(), CheckConfig{
		RunDir: "/tmp/egressplay/default", Sockets: []string{"state/cri.sock"}, Probe: []string{self, insideArgument, "probe"},
	}) {
		assert.False(t, p.Fatal, "%+v", p)
	}
}

func TestCheckWhereNoSandboxCanBe(t *testing.T) {
	_, err := tryOut(t.Context(), []string{"false"})
	require.ErrorContains(t, err, "ended before")
}

func TestStartSaysWhatWentWrongInside(t *testing.T) {
	_, _, err := tryStart(t, "describe", Config{Keep: []string{"/no/such/folder"}})
	require.ErrorContains(t, err, "/no/such/folder")
	assert.Empty(t, children(strconv.Itoa(os.Getpid())))
}

func TestStartOfAProgramThatDoesNotEnter(t *testing.T) {
	_, err := Start(t.Context(), Config{Args: []string{"true"}})
	require.ErrorContains(t, err, "ended before")
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("too slow"))
	defer cancel()
	_, err := Start(ctx, Config{Args: []string{"sleep", "1000"}})
	require.ErrorContains(t, err, "too slow")
	assert.Empty(t, children(strconv.Itoa(os.Getpid())))
}

func TestEnterElsewhere(t *testing.T) {
	require.ErrorContains(t, Enter(), "was not started as the first process")
}
