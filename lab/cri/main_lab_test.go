//go:build lab

package cri

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/egressplay/egressplay/lab/cri/starter"
)

// These tests run the server for real, in namespaces of its own as in a lab: as
// root without, as an ordinary user with a user namespace that has the user's
// subordinate ids. The test's program does all three: it makes the namespaces, is the
// test in them, and is the starter of containers.

const inNamespaces = "EGRESSPLAY_TEST_IN_NAMESPACES"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "start-container" {
		starter.Start()
	}
	if os.Getenv(inNamespaces) == "" {
		os.Exit(enterNamespaces())
	}
	if err := setUpNamespaces(); err != nil {
		fmt.Fprintln(os.Stderr, "set up the namespaces of the test:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// enterNamespaces runs this program again in new namespaces.
func enterNamespaces() int {
	args := []string{"--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child"}
	if os.Getuid() != 0 {
		args = append([]string{"--user", "--map-root-user", "--map-auto"}, args...)
	}
	// SIGINT is ignored, as in a lab that a shell script started in the background.
	cmd := exec.Command("sh", append([]string{"-c", `trap "" INT; exec "$@"`, "sh", "unshare"}, append(args, os.Args...)...)...)
	cmd.Env = append(os.Environ(), inNamespaces+"=yes")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// ignoredAtStart are the signals that the test's process ignored when it began.
var ignoredAtStart uint64

func setUpNamespaces() (err error) {
	if ignoredAtStart, err = ignoredSignals(); err != nil {
		return err
	}
	if err := unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"); err != nil {
		return err
	}
	return loopbackUp()
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// fakeNetwork gives each pod a network namespace with nothing but loopback.
type fakeNetwork struct {
	dir     string
	pod     Pod // the last one
	sysctls map[string]string
}

func (n *fakeNetwork) Add(_ context.Context, pod Pod, sysctls map[string]string) (netip.Addr, string, error) {
	n.pod, n.sysctls = pod, sysctls
	path := filepath.Join(n.dir, pod.ID)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return netip.Addr{}, "", err
	}
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if err := loopbackUp(); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	})
	return netip.MustParseAddr("10.244.1.7"), path, err
}

func (n *fakeNetwork) Remove(_ context.Context, podID string) error {
	path := filepath.Join(n.dir, podID)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.ENOENT && err != unix.EINVAL {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// A lab is a server that runs, and a client of it.
type lab struct {
	runtimeapi.RuntimeServiceClient
	t       testing.TB
	dir     string
	network *fakeNetwork
	images  runtimeapi.ImageServiceClient
	stop    func() error // ends Serve
}

// newLab starts a server with the images sleep and curl, which ends with the test.
func newLab(t testing.TB, change ...func(*Config)) *lab {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "cri") // a short path: it is a socket's
	require.NoError(t, err)
	l := &lab{t: t, dir: dir, network: &fakeNetwork{dir: dir + "/net"}}
	require.NoError(t, os.Mkdir(l.network.dir, 0o700))
	self, err := os.Executable()
	require.NoError(t, err)
	config := Config{
		Socket:     dir + "/cri.sock",
		Root:       dir + "/root",
		StreamAddr: "127.0.0.1:0",
		Images:     []Image{{Names: []string{"sleep"}, Cmd: []string{"sleep", "infinity"}}},
		Starter:    []string{self, "start-container"},
		Network:    l.network,
	}
	for _, f := range change {
		f(&config)
	}
	server, err := New(config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	var serveErr error
	stopped := false
	l.stop = func() error {
		if !stopped {
			stopped = true
			cancel()
			serveErr = <-served
		}
		return serveErr
	}
	conn, err := grpc.NewClient("unix://"+config.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() {
		conn.Close()
		require.NoError(t, l.stop())
		require.NoError(t, os.RemoveAll(dir))
	})
	l.RuntimeServiceClient = runtimeapi.NewRuntimeServiceClient(conn)
	l.images = runtimeapi.NewImageServiceClient(conn)
	return l
}

// pod runs a sandbox.
func (l *lab) pod(change ...func(*runtimeapi.PodSandboxConfig)) (id string, config *runtimeapi.PodSandboxConfig) {
	l.t.Helper()
	config = &runtimeapi.PodSandboxConfig{
		Metadata:     &runtimeapi.PodSandboxMetadata{Name: "pod", Uid: newID(), Namespace: "default"},
		Hostname:     "pod-name",
		LogDirectory: l.dir + "/logs/" + newID(),
		DnsConfig:    &runtimeapi.DNSConfig{Servers: []string{"10.96.0.10"}, Searches: []string{"a.local", "b.local"}, Options: []string{"ndots:5"}},
		Labels:       map[string]string{"app": "a"},
		Linux: &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
			NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER},
		}},
	}
	for _, f := range change {
		f(config)
	}
	r, err := l.RunPodSandbox(l.ctx(), &runtimeapi.RunPodSandboxRequest{Config: config})
	require.NoError(l.t, err)
	return r.PodSandboxId, config
}

// create makes a container in a pod of its own.
func (l *lab) create(command []string, change ...func(*runtimeapi.ContainerConfig)) (*running, error) {
	l.t.Helper()
	pod, podConfig := l.pod()
	return l.createIn(pod, podConfig, command, change...)
}

func (l *lab) createIn(pod string, podConfig *runtimeapi.PodSandboxConfig, command []string, change ...func(*runtimeapi.ContainerConfig)) (*running, error) {
	l.t.Helper()
	config := &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: "main"},
		Image:    &runtimeapi.ImageSpec{Image: "sleep"},
		Command:  command,
		LogPath:  "main/0.log",
		Linux:    &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{}},
	}
	for _, f := range change {
		f(config)
	}
	r, err := l.CreateContainer(l.ctx(), &runtimeapi.CreateContainerRequest{PodSandboxId: pod, Config: config, SandboxConfig: podConfig})
	if err != nil {
		return nil, err
	}
	return &running{lab: l, pod: pod, id: r.ContainerId, log: filepath.Join(podConfig.LogDirectory, config.LogPath)}, nil
}

// run starts a container in a pod of its own.
func (l *lab) run(command []string, change ...func(*runtimeapi.ContainerConfig)) *running {
	l.t.Helper()
	c, err := l.create(command, change...)
	require.NoError(l.t, err)
	require.NoError(l.t, c.start())
	return c
}

// sh starts a container that runs a script.
func (l *lab) sh(script string, change ...func(*runtimeapi.ContainerConfig)) *running {
	l.t.Helper()
	return l.run([]string{"sh", "-c", script}, change...)
}

func (l *lab) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	l.t.Cleanup(cancel)
	return ctx
}

// running is a container of a test.
type running struct {
	*lab
	pod, id, log string
}

func (c *running) start() error {
	_, err := c.StartContainer(c.ctx(), &runtimeapi.StartContainerRequest{ContainerId: c.id})
	return err
}

func (c *running) status() *runtimeapi.ContainerStatus {
	c.t.Helper()
	r, err := c.ContainerStatus(c.ctx(), &runtimeapi.ContainerStatusRequest{ContainerId: c.id})
	require.NoError(c.t, err)
	return r.Status
}

// wait returns the status of a container once it has ended.
func (c *running) wait() *runtimeapi.ContainerStatus {
	c.t.Helper()
	var st *runtimeapi.ContainerStatus
	require.Eventually(c.t, func() bool {
		st = c.status()
		return st.State == runtimeapi.ContainerState_CONTAINER_EXITED
	}, 30*time.Second, 5*time.Millisecond, "the container did not end")
	return st
}

// exec runs a command in the container, by ExecSync.
func (c *running) exec(command ...string) *runtimeapi.ExecSyncResponse {
	c.t.Helper()
	r, err := c.ExecSync(c.ctx(), &runtimeapi.ExecSyncRequest{ContainerId: c.id, Cmd: command})
	require.NoError(c.t, err)
	return r
}

// output runs a script in the container and returns what it prints.
func (c *running) output(script string) string {
	c.t.Helper()
	r := c.exec("sh", "-c", script)
	require.Zero(c.t, r.ExitCode, "%s: %s%s", script, r.Stdout, r.Stderr)
	return string(r.Stdout)
}

// logged returns the text of the container's log without the times.
func (c *running) logged() string {
	c.t.Helper()
	b, err := os.ReadFile(c.log)
	require.NoError(c.t, err)
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		stamp, text, ok := strings.Cut(line, " ")
		require.True(c.t, ok, "line %q", line)
		_, err := time.Parse(time.RFC3339Nano, stamp)
		require.NoError(c.t, err)
		out.WriteString(text)
	}
	return out.String()
}

// processes returns the commands of all processes in the test's pid namespace
// but the test's own.
func processes(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	var list []string
	for _, e := range entries {
		if b, err := os.ReadFile("/proc/" + e.Name() + "/cmdline"); err == nil && e.IsDir() && e.Name()[0] >= '0' && e.Name()[0] <= '9' && e.Name() != fmt.Sprint(os.Getpid()) {
			list = append(list, e.Name()+" "+strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return list
}
