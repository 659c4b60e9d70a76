//go:build lab

package cri

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/egressplay/egressplay/lab/cri/starter"
)

func securityContext(f func(*runtimeapi.LinuxContainerSecurityContext)) func(*runtimeapi.ContainerConfig) {
	return func(c *runtimeapi.ContainerConfig) { f(c.Linux.SecurityContext) }
}

func TestStatusTellsTheTruth(t *testing.T) {
	l := newLab(t)
	for _, tt := range []struct {
		script, reason string
		code           int32
	}{
		{"exit 0", "Completed", 0},
		{"exit 3", "Error", 3},
		{"trap 'exit 9' TERM; kill -TERM $$; sleep 5", "Error", 9},
	} {
		before := time.Now()
		st := l.sh(tt.script).wait()
		assert.Equal(t, tt.code, st.ExitCode, tt.script)
		assert.Equal(t, tt.reason, st.Reason, tt.script)
		assert.LessOrEqual(t, before.UnixNano(), st.CreatedAt)
		assert.LessOrEqual(t, st.CreatedAt, st.StartedAt)
		assert.LessOrEqual(t, st.StartedAt, st.FinishedAt)
		assert.LessOrEqual(t, st.FinishedAt, time.Now().UnixNano())
	}
}

func TestDeathBySignalIs128PlusSignal(t *testing.T) {
	l := newLab(t)
	// Process 1 gets signals from outside its pid namespace only; an exec in the
	// container is inside.
	c := l.sh("sh -c 'kill -SEGV $$'; exit $?")
	assert.EqualValues(t, 139, c.wait().ExitCode, "what the container's shell says")

	c = l.run(nil)
	_, err := l.StopContainer(l.ctx(), &runtimeapi.StopContainerRequest{ContainerId: c.id})
	require.NoError(t, err)
	st := c.status()
	assert.EqualValues(t, 137, st.ExitCode)
	assert.Equal(t, "Error", st.Reason)

	c = l.run(nil)
	for sig, code := range map[string]int32{"KILL": 137, "TERM": 143, "INT": 130, "QUIT": 131} {
		assert.Equal(t, code, c.exec("sh", "-c", "kill -"+sig+" $$").ExitCode, sig)
	}
}

func TestTermination(t *testing.T) {
	l := newLab(t)
	stop := func(c *running, seconds int64) *runtimeapi.ContainerStatus {
		_, err := l.StopContainer(l.ctx(), &runtimeapi.StopContainerRequest{ContainerId: c.id, Timeout: seconds})
		require.NoError(t, err)
		return c.status()
	}
	ready := func(c *running) {
		require.Eventually(t, func() bool { return strings.Contains(c.logged(), "ready") }, 10*time.Second, time.Millisecond)
	}

	c := l.sh("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done")
	ready(c)
	assert.EqualValues(t, 5, stop(c, 30).ExitCode, "it got SIGTERM")
	assert.Contains(t, c.logged(), "stdout F bye")
	assert.EqualValues(t, 5, stop(c, 30).ExitCode, "a second stop changes nothing")

	c = l.sh("trap '' TERM; echo ready; while :; do sleep 0.01; done")
	ready(c)
	assert.EqualValues(t, 137, stop(c, 1).ExitCode, "the grace period is over")

	c = l.sh("trap 'exit 6' USR1; echo ready; while :; do sleep 0.01; done", func(c *runtimeapi.ContainerConfig) {
		c.StopSignal = runtimeapi.Signal_SIGUSR1
	})
	ready(c)
	assert.EqualValues(t, 6, stop(c, 30).ExitCode, "the pod's own stop signal")
}

func TestLifecycle(t *testing.T) {
	l := newLab(t)
	c := l.run(nil)
	other := l.run(nil)

	listed := func(f *runtimeapi.ContainerFilter) (ids []string) {
		r, err := l.ListContainers(l.ctx(), &runtimeapi.ListContainersRequest{Filter: f})
		require.NoError(t, err)
		for _, c := range r.Containers {
			ids = append(ids, c.Id)
		}
		return ids
	}
	exited := &runtimeapi.ContainerStateValue{State: runtimeapi.ContainerState_CONTAINER_EXITED}
	assert.ElementsMatch(t, []string{c.id, other.id}, listed(nil))
	assert.Equal(t, []string{c.id}, listed(&runtimeapi.ContainerFilter{Id: c.id}))
	assert.Equal(t, []string{c.id}, listed(&runtimeapi.ContainerFilter{PodSandboxId: c.pod}))
	assert.Empty(t, listed(&runtimeapi.ContainerFilter{State: exited}))
	assert.Empty(t, listed(&runtimeapi.ContainerFilter{LabelSelector: map[string]string{"a": "b"}}))

	sandbox := func() *runtimeapi.PodSandboxStatus {
		r, err := l.PodSandboxStatus(l.ctx(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: c.pod})
		require.NoError(t, err)
		return r.Status
	}
	assert.Equal(t, runtimeapi.PodSandboxState_SANDBOX_READY, sandbox().State)
	assert.Equal(t, "10.244.1.7", sandbox().Network.Ip)

	for range 2 { // again is no error
		_, err := l.StopPodSandbox(l.ctx(), &runtimeapi.StopPodSandboxRequest{PodSandboxId: c.pod})
		require.NoError(t, err)
	}
	assert.Equal(t, runtimeapi.PodSandboxState_SANDBOX_NOTREADY, sandbox().State)
	assert.Equal(t, []string{c.id}, listed(&runtimeapi.ContainerFilter{State: exited}))
	_, err := l.createIn(c.pod, &runtimeapi.PodSandboxConfig{}, nil)
	assert.Equal(t, codes.FailedPrecondition, status.Code(err), "no container in a stopped pod")
	ready, err := l.ListPodSandbox(l.ctx(), &runtimeapi.ListPodSandboxRequest{Filter: &runtimeapi.PodSandboxFilter{
		State: &runtimeapi.PodSandboxStateValue{State: runtimeapi.PodSandboxState_SANDBOX_READY}, LabelSelector: map[string]string{"app": "a"},
	}})
	require.NoError(t, err)
	require.Len(t, ready.Items, 1)
	assert.Equal(t, other.pod, ready.Items[0].Id)

	for range 2 {
		_, err := l.RemoveContainer(l.ctx(), &runtimeapi.RemoveContainerRequest{ContainerId: c.id})
		require.NoError(t, err)
		_, err = l.RemovePodSandbox(l.ctx(), &runtimeapi.RemovePodSandboxRequest{PodSandboxId: c.pod})
		require.NoError(t, err)
	}
	_, err = l.RemoveContainer(l.ctx(), &runtimeapi.RemoveContainerRequest{ContainerId: other.id})
	require.NoError(t, err, "one that runs is killed first")
	assert.Empty(t, listed(nil))
	_, err = l.ContainerStatus(l.ctx(), &runtimeapi.ContainerStatusRequest{ContainerId: c.id})
	assert.Equal(t, codes.NotFound, status.Code(err))
	left, err := filepath.Glob(l.dir + "/root/containers/*")
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestStartError(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	for _, tt := range []struct {
		name, message string
		command       []string
		change        func(*runtimeapi.ContainerConfig)
	}{
		{"not in PATH", `exec: "nonesuch": executable file not found in $PATH`, []string{"nonesuch"}, nil},
		{"no such file", `exec: "/bin/nonesuch": stat /bin/nonesuch: no such file or directory`, []string{"/bin/nonesuch"}, nil},
		{"not executable", `exec: "/etc/passwd": permission denied`, []string{"/etc/passwd"}, nil},
		{"a folder", `exec: "/etc": is a directory`, []string{"/etc"}, nil},
		{"mount of nothing", "mount at /x: stat " + dir + "/no: no such file or directory", nil, func(c *runtimeapi.ContainerConfig) {
			c.Mounts = []*runtimeapi.Mount{{HostPath: dir + "/no", ContainerPath: "/x"}}
		}},
		{"PATH is the container's", `exec: "ls": executable file not found in $PATH`, []string{"ls"}, func(c *runtimeapi.ContainerConfig) {
			c.Envs = []*runtimeapi.KeyValue{{Key: "PATH", Value: []byte("/nowhere")}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			change := tt.change
			if change == nil {
				change = func(*runtimeapi.ContainerConfig) {}
			}
			c, err := l.create(tt.command, change)
			require.NoError(t, err)
			assert.Equal(t, tt.message, status.Convert(c.start()).Message())
			st := c.status()
			assert.Equal(t, runtimeapi.ContainerState_CONTAINER_EXITED, st.State)
			assert.EqualValues(t, 128, st.ExitCode)
			assert.Equal(t, "StartError", st.Reason)
			assert.Equal(t, tt.message, st.Message)
			assert.NotZero(t, st.FinishedAt)
			assert.Empty(t, c.logged(), "the log is the program's alone")
		})
	}
}

func TestStarterThatDies(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Starter = []string{"/bin/sh", "-c", "echo the reason >&2; exit 2"} })
	c, err := l.create(nil)
	require.NoError(t, err)
	assert.ErrorContains(t, c.start(), "the container's starter died before it executed the program: the reason")
	assert.EqualValues(t, 128, c.status().ExitCode)
}

func TestUnknownImage(t *testing.T) {
	l := newLab(t)
	_, err := l.images.PullImage(l.ctx(), &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: "docker.io/library/nginx:1.25"}})
	assert.Equal(t, codes.NotFound, status.Code(err))
	assert.Equal(t, `the lab has no image "docker.io/library/nginx:1.25"; it has: sleep. Load one with `+"`egressplay lab load ARCHIVE`", status.Convert(err).Message())
	r, err := l.images.ImageStatus(l.ctx(), &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: "nginx"}})
	require.NoError(t, err)
	assert.Nil(t, r.Image)
	r, err = l.images.ImageStatus(l.ctx(), &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: "registry.example/x/sleep:1@sha256:abc"}})
	require.NoError(t, err)
	assert.Equal(t, "lab/sleep", r.Image.Id)
	assert.NotZero(t, r.Image.Size, "the kubelet takes 0 for an image that is not whole")
}

func TestIDsAndCapabilities(t *testing.T) {
	l := newLab(t)
	const pods = "00000000a80425fb" // as containerd gives to a container of root
	for _, tt := range []struct {
		name   string
		change func(*runtimeapi.LinuxContainerSecurityContext)
		want   map[string]string
	}{
		{"root", func(*runtimeapi.LinuxContainerSecurityContext) {}, map[string]string{
			"Uid": "0 0 0 0", "Gid": "0 0 0 0", "Groups": "0", "CapInh": "0000000000000000", "CapPrm": pods, "CapEff": pods,
			"CapBnd": pods, "CapAmb": "0000000000000000", "NoNewPrivs": "0", "SigIgn": "0000000000000000", "SigBlk": "0000000000000000", "Umask": "0022",
		}},
		{"a user", func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.RunAsUser, sc.RunAsGroup = &runtimeapi.Int64Value{Value: 1337}, &runtimeapi.Int64Value{Value: 7}
			sc.SupplementalGroups, sc.NoNewPrivs = []int64{2000, 65535}, true
		}, map[string]string{
			"Uid": "1337 1337 1337 1337", "Gid": "7 7 7 7", "Groups": "7 2000 65535",
			"CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapBnd": pods, "NoNewPrivs": "1",
		}},
		{"a user's own group", func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.RunAsUser = &runtimeapi.Int64Value{Value: 65534}
		}, map[string]string{"Uid": "65534 65534 65534 65534", "Gid": "65534 65534 65534 65534"}},
		{"drop all, add two", func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.Capabilities = &runtimeapi.Capability{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_ADMIN", "CAP_NET_RAW"}}
		}, map[string]string{"CapEff": "0000000000003000", "CapPrm": "0000000000003000", "CapBnd": "0000000000003000"}},
		{"drop one", func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.Capabilities = &runtimeapi.Capability{DropCapabilities: []string{"MKNOD"}}
		}, map[string]string{"CapEff": "00000000a00425fb", "CapBnd": "00000000a00425fb"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := l.sh("ulimit -n; cat /proc/self/status; exec sleep infinity", securityContext(tt.change))
			require.Eventually(t, func() bool { return strings.Contains(c.logged(), "nonvoluntary") }, 10*time.Second, time.Millisecond)
			inLog := parseStatus(strings.ReplaceAll(c.logged(), "stdout F ", ""))
			assert.Contains(t, c.logged(), "stdout F 1024\n", "the limit of open files")
			inExec := parseStatus(string(c.exec("cat", "/proc/self/status").Stdout))
			for field, want := range tt.want {
				assert.Equal(t, want, inLog[field], "%s of the container", field)
				assert.Equal(t, want, inExec[field], "%s of an exec", field)
			}
		})
	}
}

func parseStatus(s string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(s) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}

func TestRefusals(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Volumes = "/var/lib/kubelet" })
	pod, podConfig := l.pod()
	for _, tt := range []struct {
		message string
		change  func(*runtimeapi.ContainerConfig)
	}{
		{"privileged", securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) { sc.Privileged = true })},
		{"65536", securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.RunAsUser = &runtimeapi.Int64Value{Value: 65536}
		})},
		{"70000", securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) { sc.SupplementalGroups = []int64{70000} })},
		{"a user by name", securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) { sc.RunAsUsername = "bob" })},
		{"SYS_ADMIN is not given", securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.Capabilities = &runtimeapi.Capability{AddCapabilities: []string{"SYS_ADMIN"}}
		})},
		{"seccompProfile", securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.Seccomp = &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: "x"}
		})},
		{"appArmorProfile", securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.Apparmor = &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: "x"}
		})},
		{"kubectl debug --target", securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.NamespaceOptions = &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_TARGET}
		})},
		{"shareProcessNamespace", securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.NamespaceOptions = &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_POD}
		})},
		{"hostPID", securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.NamespaceOptions = &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_NODE}
		})},
		{"hostUsers: false", securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.NamespaceOptions = &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER, UsernsOptions: &runtimeapi.UserNamespace{}}
		})},
		{"hostPath volume /etc", func(c *runtimeapi.ContainerConfig) {
			c.Mounts = []*runtimeapi.Mount{{HostPath: "/etc", ContainerPath: "/x"}}
		}},
		{"hostPath volume /var/lib/kubelet/../x", func(c *runtimeapi.ContainerConfig) {
			c.Mounts = []*runtimeapi.Mount{{HostPath: "/var/lib/kubelet/../x", ContainerPath: "/x"}}
		}},
		{"devices", func(c *runtimeapi.ContainerConfig) { c.Devices = []*runtimeapi.Device{{HostPath: "/dev/fuse"}} }},
	} {
		_, err := l.createIn(pod, podConfig, nil, tt.change)
		assert.Equal(t, codes.Unimplemented, status.Code(err), tt.message)
		assert.ErrorContains(t, err, tt.message)
	}
	for message, change := range map[string]func(*runtimeapi.PodSandboxConfig){
		"sysctl kernel.msgmax": func(c *runtimeapi.PodSandboxConfig) { c.Linux.Sysctls = map[string]string{"kernel.msgmax": "1"} },
		"hostPort 80":          func(c *runtimeapi.PodSandboxConfig) { c.PortMappings = []*runtimeapi.PortMapping{{HostPort: 80}} },
	} {
		config := &runtimeapi.PodSandboxConfig{
			Metadata: &runtimeapi.PodSandboxMetadata{}, Linux: &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER},
			}},
		}
		change(config)
		_, err := l.RunPodSandbox(l.ctx(), &runtimeapi.RunPodSandboxRequest{Config: config})
		assert.Equal(t, codes.Unimplemented, status.Code(err), message)
		assert.ErrorContains(t, err, message)
	}
	_, err := l.CheckpointContainer(l.ctx(), &runtimeapi.CheckpointContainerRequest{})
	assert.Equal(t, codes.Unimplemented, status.Code(err))
}

func TestPodNamespaces(t *testing.T) {
	l := newLab(t)
	pod, config := l.pod(func(c *runtimeapi.PodSandboxConfig) {
		c.Linux.Sysctls = map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"}
	})
	var two []*running
	for range 2 {
		c, err := l.createIn(pod, config, nil)
		require.NoError(t, err)
		require.NoError(t, c.start())
		two = append(two, c)
	}
	assert.Equal(t, map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"}, l.network.sysctls)
	assert.Equal(t, Pod{ID: pod, Namespace: "default", Name: "pod", UID: config.Metadata.Uid}, l.network.pod)
	namespaces := func(c *running) map[string]string {
		m := map[string]string{}
		for _, ns := range []string{"net", "uts", "ipc", "mnt", "pid"} {
			m[ns] = c.output("readlink /proc/1/ns/" + ns)
		}
		return m
	}
	a, b, other := namespaces(two[0]), namespaces(two[1]), namespaces(l.run(nil))
	for ns := range a {
		mine, err := os.Readlink("/proc/self/ns/" + ns)
		require.NoError(t, err)
		assert.NotContains(t, a[ns], mine, "%s is not the server's", ns)
		assert.NotEqual(t, a[ns], other[ns], "%s is not another pod's", ns)
		if ns == "mnt" || ns == "pid" {
			assert.NotEqual(t, a[ns], b[ns], "%s is the container's own", ns)
		} else {
			assert.Equal(t, a[ns], b[ns], "%s is the pod's", ns)
		}
	}
	assert.Equal(t, "pod-name\n", two[0].output("hostname"))
	assert.Equal(t, "pod-name\n", two[0].output("cat /etc/hostname; "))
	assert.Equal(t, "nameserver 10.96.0.10\nsearch a.local b.local\noptions ndots:5\n", two[0].output("cat /etc/resolv.conf"))
	assert.Equal(t, "lo\n", two[0].output("ls /sys/class/net"), "/sys is of the pod's network")
	two[0].output("echo shared >/dev/shm/x")
	assert.Equal(t, "shared\n", two[1].output("cat /dev/shm/x"))
	host, err := os.Hostname()
	require.NoError(t, err)
	assert.NotEqual(t, "pod-name", host)
}

func TestHostNetwork(t *testing.T) {
	l := newLab(t)
	pod, config := l.pod(func(c *runtimeapi.PodSandboxConfig) {
		c.Linux.SecurityContext.NamespaceOptions.Network = runtimeapi.NamespaceMode_NODE
		c.Linux.SecurityContext.NamespaceOptions.Ipc = runtimeapi.NamespaceMode_NODE
		c.PortMappings = []*runtimeapi.PortMapping{{ContainerPort: 80, HostPort: 80}}
	})
	c, err := l.createIn(pod, config, nil)
	require.NoError(t, err)
	require.NoError(t, c.start())
	for _, ns := range []string{"net", "ipc"} {
		mine, err := os.Readlink("/proc/self/ns/" + ns)
		require.NoError(t, err)
		assert.Equal(t, mine+"\n", c.output("readlink /proc/1/ns/"+ns))
	}
}

func TestRoot(t *testing.T) {
	l := newLab(t)
	c := l.run(nil, securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) {
		sc.MaskedPaths = []string{"/proc/kcore", "/proc/nonesuch", "/sys/firmware"}
		sc.ReadonlyPaths = []string{"/proc/sys", "/proc/nonesuch"}
	}))
	assert.NotZero(t, c.exec("touch", "/usr/bin/x").ExitCode, "/usr cannot be written")
	assert.NotZero(t, c.exec("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward").ExitCode)
	assert.Empty(t, c.output("cat /proc/kcore; ls -A /sys/firmware"))
	assert.NotZero(t, c.exec("test", "-e", l.dir).ExitCode, "the machine's files are not there")
	c.output("touch /x /usr/local/bin/x /etc/x /run/x /tmp/x /var/lib/x /root/x /dev/x")
	c.output("echo >/dev/null; head -c 1 /dev/zero /dev/urandom /dev/full >/dev/null")
	c.output("echo out >/dev/stdout; echo err >/dev/stderr; test -d /dev/fd/")
	assert.Equal(t, "1\n", c.output("pgrep -x sleep"), "the program is process 1")
	assert.Equal(t, "curl_user istio-proxy nobody\n", c.output("echo $(for i in 100 1337 65534; do id -nu $i; done)"))
	c.output("curl --version; awk 'BEGIN{}'")

	// A device node that a container makes cannot be used, whatever device it is for.
	r := c.exec("sh", "-c", "mknod /tmp/zero c 1 5 && head -c 1 /tmp/zero")
	assert.NotZero(t, r.ExitCode, "%s", r.Stdout)

	ro := l.run(nil, securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) { sc.ReadonlyRootfs = true }))
	for _, dir := range []string{"/", "/etc", "/tmp", "/usr/local/bin"} {
		assert.NotZero(t, ro.exec("touch", dir+"/x").ExitCode, dir)
	}
}

func TestMounts(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Mkdir(dir+"/sub", 0o777))
	require.NoError(t, os.WriteFile(dir+"/file", []byte("text"), 0o644))
	require.NoError(t, os.WriteFile(dir+"/hosts", []byte("127.0.0.1 me\n"), 0o644))
	outside := filepath.Join(dir, "outside")
	require.NoError(t, os.Symlink(outside, dir+"/sub/link")) // would lead out of the root
	c := l.run(nil, func(c *runtimeapi.ContainerConfig) {
		c.Mounts = []*runtimeapi.Mount{
			{HostPath: dir + "/sub", ContainerPath: "/deep/er/sub"}, // listed before what it is in
			{HostPath: dir, ContainerPath: "/deep", Readonly: true},
			{HostPath: dir + "/file", ContainerPath: "/var/run/secrets/token", Readonly: true},
			{HostPath: dir + "/hosts", ContainerPath: "/etc/hosts"},
			{HostPath: dir + "/sub", ContainerPath: "/data"},
			{HostPath: dir + "/file", ContainerPath: "/data/link/escaped"},
		}
	}, func(c *runtimeapi.ContainerConfig) { c.Mounts[0].ContainerPath = "/other/sub" })
	assert.Equal(t, "text", c.output("cat /var/run/secrets/token"))
	assert.Equal(t, "text", c.output("cat /run/secrets/token"))
	assert.Equal(t, "127.0.0.1 me\n", c.output("cat /etc/hosts"))
	for _, file := range []string{"/var/run/secrets/token", "/deep/new", "/deep/file"} {
		assert.NotZero(t, c.exec("sh", "-c", "echo x >"+file).ExitCode, file)
	}
	c.output("echo x >/other/sub/new; echo y >/etc/hosts")
	b, err := os.ReadFile(dir + "/sub/new")
	require.NoError(t, err)
	assert.Equal(t, "x\n", string(b))
	assert.NoFileExists(t, outside+"/escaped", "a link does not lead out of the root")
	assert.Equal(t, "text", c.output("cat "+outside+"/escaped"), "but to that place within it")
}

func TestImage(t *testing.T) {
	layer := t.TempDir()
	require.NoError(t, os.Chmod(layer, 0o755))
	for path, text := range map[string]string{
		"usr/sbin/serverd":    "#!/bin/sh\necho served by $0 as $(id -u):$(id -g) with $NAME and $*; exec sleep infinity\n",
		"usr/local/bin/x":     "#!/bin/sh\n",
		"usr/share/serverd/x": "",
		"etc/serverd/conf":    "a=b\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(layer+"/"+path), 0o755))
		require.NoError(t, os.WriteFile(layer+"/"+path, []byte(text), 0o755))
	}
	single := filepath.Join(layer, "etc/serverd/conf")
	l := newLab(t, func(c *Config) {
		c.Images = append(c.Images, Image{
			Names: []string{"serverd"}, Layers: []string{layer},
			Files:      map[string]string{"/usr/local/bin/one": "/bin/true", "/opt/a/b": single, "/usr/share/serverd/conf": single},
			Dirs:       []starter.Dir{{Path: "/var/log/serverd", Mode: 0o750, UID: 13, GID: 13}},
			Links:      map[string]string{"/var/log/serverd/access.log": "/dev/stdout"},
			Entrypoint: []string{"serverd"}, Cmd: []string{"-d"}, Env: []string{"NAME=image"}, UID: 13, GID: 13, WorkingDir: "/var/log/serverd",
		})
	})
	serverd := func(c *runtimeapi.ContainerConfig) { c.Image.Image = "docker.io/x/serverd:1" }
	c := l.run(nil, serverd)
	require.Eventually(t, func() bool { return c.logged() != "" }, 10*time.Second, time.Millisecond)
	assert.Equal(t, "stdout F served by /usr/sbin/serverd as 13:13 with image and -d\n", c.logged())
	assert.Equal(t, "a=b\n", c.output("cat /etc/serverd/conf"))
	assert.Equal(t, "a=b\n", c.output("cat /opt/a/b"))
	assert.Equal(t, "a=b\n", c.output("cat /usr/share/serverd/conf"), "in a folder of the layer")
	assert.Equal(t, "/var/log/serverd\n", c.output("pwd"))
	assert.Equal(t, "750 proxy proxy\n", c.output("stat -c '%a %U %G' /var/log/serverd"))
	assert.Equal(t, "one x\n", c.output("echo $(ls /usr/local/bin)"), "of /usr/local only what the image has")
	c.output("ls /usr/bin/curl; one")
	c.output("echo logged >/var/log/serverd/access.log") // of the exec's own stdout

	root := l.run([]string{"sh", "-c", "touch /usr/local/bin/mine /etc/mine && sleep infinity"}, serverd,
		securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) { sc.RunAsUser = &runtimeapi.Int64Value{} }))
	require.Eventually(t, func() bool { return root.exec("test", "-e", "/etc/mine").ExitCode == 0 }, 10*time.Second, time.Millisecond)
	assert.NoFileExists(t, layer+"/etc/mine", "the image itself is not written")
	assert.NoFileExists(t, "/etc/mine")
}

func TestCurlImage(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	l := newLab(t, func(c *Config) {
		c.Images = Images(ImagePaths{Istiod: self, Agent: self, Envoy: self, Bootstrap: self, CoreDNS: self, HTTPBin: self})
	})
	curl := func(c *runtimeapi.ContainerConfig) { c.Image.Image = "curlimages/curl" }
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--version"}, "stdout F curl "},
		{[]string{"sh", "-c", "id"}, "stdout F uid=100(curl_user) gid=101(curl_user) groups=101(curl_user)\n"},
		{nil, "stderr F curl: try 'curl --help'"},
	} {
		c := l.run(nil, curl, func(c *runtimeapi.ContainerConfig) { c.Args = tt.args })
		c.wait()
		assert.Contains(t, c.logged(), tt.want)
	}
}

func TestEnvironmentAndWorkingDir(t *testing.T) {
	c := newLab(t).sh("pwd; echo $A:$B:$HOME:$HOSTNAME:$PATH; exec sleep infinity", func(c *runtimeapi.ContainerConfig) {
		c.WorkingDir = "/made/for/it"
		c.Envs = []*runtimeapi.KeyValue{{Key: "A", Value: []byte("1")}, {Key: "B", Value: []byte("x=y z")}, {Key: "HOSTNAME", Value: []byte("mine")}}
	})
	const want = "1:x=y z:/root:mine:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	require.Eventually(t, func() bool { return strings.Contains(c.logged(), "mine") }, 10*time.Second, time.Millisecond)
	assert.Equal(t, "stdout F /made/for/it\nstdout F "+want+"\n", c.logged())
	assert.Equal(t, "/made/for/it\n"+want+"\n", c.output("pwd; echo $A:$B:$HOME:$HOSTNAME:$PATH"))
	assert.Equal(t, "1\n", c.output("env | grep -c ^HOSTNAME="))
}

func TestTrustBundle(t *testing.T) {
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	require.NoError(t, os.Chmod(filepath.Dir(bundle), 0o755))
	require.NoError(t, os.WriteFile(bundle, []byte("a bundle\n"), 0o644))
	c := newLab(t, func(c *Config) { c.TrustBundle = bundle }).run(nil)
	for _, path := range []string{starter.CABundle, "/usr/lib/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt"} {
		assert.Equal(t, "a bundle\n", c.output("cat "+path), path)
	}
}

func TestLog(t *testing.T) {
	l := newLab(t)
	c := l.sh("printf 'no end'; sleep 0.1; echo ' of line'; echo err >&2; echo; head -c 40000 /dev/zero | tr '\\0' x; echo; printf partial")
	require.Zero(t, c.wait().ExitCode)
	var stdout []string
	for line := range strings.Lines(c.logged()) {
		if line = strings.TrimSuffix(line, "\n"); line == "stderr F err" {
			continue
		}
		stdout = append(stdout, line)
	}
	x := strings.Repeat("x", 16384)
	assert.Equal(t, []string{
		"stdout F no end of line", "stdout F ", "stdout P " + x, "stdout P " + x, "stdout F " + x[:40000-2*16384], "stdout P partial",
	}, stdout)
	assert.Contains(t, c.logged(), "stderr F err\n")
}

func TestLogReopens(t *testing.T) {
	l := newLab(t)
	c := l.sh("i=0; while sleep 0.01; do i=$((i+1)); echo $i; done")
	require.Eventually(t, func() bool { return strings.Contains(c.logged(), "F 3\n") }, 10*time.Second, time.Millisecond)
	require.NoError(t, os.Rename(c.log, c.log+".1"))
	_, err := l.ReopenContainerLog(l.ctx(), &runtimeapi.ReopenContainerLogRequest{ContainerId: c.id})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return c.logged() != "" }, 10*time.Second, time.Millisecond)
	_, err = l.StopContainer(l.ctx(), &runtimeapi.StopContainerRequest{ContainerId: c.id})
	require.NoError(t, err)
	after := c.logged()
	c.log += ".1"
	for i, line := range strings.Split(strings.TrimSuffix(c.logged()+after, "\n"), "\n") {
		require.Equal(t, fmt.Sprintf("stdout F %d", i+1), line, "no line is lost or doubled")
	}
	_, err = l.ReopenContainerLog(l.ctx(), &runtimeapi.ReopenContainerLogRequest{ContainerId: c.id})
	assert.Equal(t, codes.FailedPrecondition, status.Code(err))
}

func TestServeEndsEverything(t *testing.T) {
	l := newLab(t)
	for range 3 {
		l.sh("trap '' TERM; sh -c 'sleep infinity' & setsid sleep infinity & sleep infinity")
	}
	c := l.run(nil)
	executed := make(chan error, 1)
	go func() {
		_, err := l.ExecSync(l.ctx(), &runtimeapi.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"sleep", "infinity"}})
		executed <- err
	}()
	require.Eventually(t, func() bool { return strings.Count(c.output("pgrep -x sleep"), "\n") == 2 }, 10*time.Second, time.Millisecond)
	require.NoError(t, l.stop())
	assert.Error(t, <-executed)
	assert.Empty(t, processes(t))
	left, err := filepath.Glob(l.dir + "/root/*/*")
	require.NoError(t, err)
	assert.Empty(t, left)
	left, err = filepath.Glob(l.dir + "/net/*")
	require.NoError(t, err)
	assert.Empty(t, left)
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	assert.NotContains(t, string(mounts), l.dir)
	_, err = net.Dial("unix", l.dir+"/cri.sock")
	assert.Error(t, err)
}

func TestStats(t *testing.T) {
	l := newLab(t)
	c := l.sh("while :; do :; done")
	require.Eventually(t, func() bool {
		r, err := l.ListContainerStats(l.ctx(), &runtimeapi.ListContainerStatsRequest{})
		require.NoError(t, err)
		require.Len(t, r.Stats, 1)
		assert.Equal(t, c.id, r.Stats[0].Attributes.Id)
		return r.Stats[0].Cpu.UsageCoreNanoSeconds.Value > 0 && r.Stats[0].Memory.RssBytes.Value > 0
	}, 10*time.Second, 5*time.Millisecond)
	_, err := l.StopContainer(l.ctx(), &runtimeapi.StopContainerRequest{ContainerId: c.id})
	require.NoError(t, err)
	r, err := l.ContainerStats(l.ctx(), &runtimeapi.ContainerStatsRequest{ContainerId: c.id})
	require.NoError(t, err)
	assert.Nil(t, r.Stats.Cpu)
}

func TestEvents(t *testing.T) {
	l := newLab(t)
	stream, err := l.GetContainerEvents(l.ctx(), &runtimeapi.GetEventsRequest{})
	require.NoError(t, err)
	idle, _ := l.pod()
	refreshed := func(e *runtimeapi.ContainerEventResponse) bool {
		return e.ContainerId == idle && e.ContainerEventType == runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT
	}
	last := int64(0)
	until := func(want func(*runtimeapi.ContainerEventResponse) bool) *runtimeapi.ContainerEventResponse {
		for {
			e, err := stream.Recv()
			require.NoError(t, err)
			require.Less(t, last, e.CreatedAt, "events come in their order")
			last = e.CreatedAt
			if want(e) {
				return e
			}
		}
	}
	until(refreshed) // the call returned before it was served: wait until it is
	c := l.sh("exit 4")
	e := until(func(e *runtimeapi.ContainerEventResponse) bool {
		return e.ContainerId == c.id && e.ContainerEventType == runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT
	})
	require.Len(t, e.ContainersStatuses, 1)
	assert.EqualValues(t, 4, e.ContainersStatuses[0].ExitCode)
	assert.Equal(t, runtimeapi.PodSandboxState_SANDBOX_READY, e.PodSandboxStatus.State)
	until(refreshed) // nothing happens to it
}
