package sandbox

import (
	"errors"
	"io/fs"
	"os/exec"
	"os/user"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fit returns a machine of an ordinary user that lacks nothing.
func fit() *machine {
	return &machine{
		user: &user.User{Uid: "1000", Username: "ann"},
		files: fstest.MapFS{
			"etc/subuid":                           {Data: []byte("bob:100000:65536\nann:165536:65536\n")},
			"etc/subgid":                           {Data: []byte("bob:100000:65536\nann:165536:65536\n")},
			"proc/meminfo":                         {Data: []byte("MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\nSwapFree: 0 kB\n")},
			"proc/self/status":                     {Data: []byte("Name:\tx\nNoNewPrivs:\t0\n")},
			"proc/sys/user/max_user_namespaces":    {Data: []byte("96365\n")},
			"proc/sys/fs/inotify/max_user_watches": {Data: []byte("192536\n")},
		},
		find:   func(name string) (string, error) { return "/usr/bin/" + name, nil },
		setuid: func(string) (bool, error) { return true, nil },
		free:   func(string) (space, error) { return space{bytes: 10 << 30}, nil },
		try:    func() (findings, error) { return findings{}, nil },
	}
}

func (m *machine) set(name, text string) {
	m.files.(fstest.MapFS)[name] = &fstest.MapFile{Data: []byte(text)}
}

func (m *machine) lacks(names ...string) {
	m.find = func(name string) (string, error) {
		for _, n := range names {
			if n == name {
				return "", exec.ErrNotFound
			}
		}
		return "/usr/bin/" + name, nil
	}
}

func (m *machine) becomeRoot() { m.user = &user.User{Uid: "0", Username: "root"} }

func (m *machine) cannotTry() {
	m.try = func() (findings, error) { return findings{}, errors.New("mount /proc: operation not permitted") }
}

func TestCheck(t *testing.T) {
	type want struct {
		title, detail, fix string // parts of them
		mild               bool   // not fatal
	}
	for name, c := range map[string]struct {
		change func(*machine)
		config CheckConfig
		want   []want
	}{
		"a fit machine": {change: func(*machine) {}},
		"root needs neither ids nor user namespaces": {change: func(m *machine) {
			m.becomeRoot()
			m.cannotTry()
			m.try = nil
			m.lacks("newuidmap", "newgidmap")
			m.set("etc/subuid", "")
			m.set("proc/sys/user/max_user_namespaces", "0\n")
			m.set("proc/self/status", "NoNewPrivs:\t1\n")
		}},
		"user namespaces off": {
			change: func(m *machine) { m.cannotTry(); m.set("proc/sys/user/max_user_namespaces", "0\n") },
			want:   []want{{title: "switched off", detail: "user.max_user_namespaces is 0", fix: "sudo sysctl -w user.max_user_namespaces=15000"}},
		},
		"user namespaces off for ordinary users": {
			change: func(m *machine) { m.cannotTry(); m.set("proc/sys/kernel/unprivileged_userns_clone", "0\n") },
			want:   []want{{title: "for ordinary users", fix: "sudo sysctl -w kernel.unprivileged_userns_clone=1"}},
		},
		"AppArmor": {
			change: func(m *machine) { m.cannotTry(); m.set("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n") },
			want:   []want{{title: "AppArmor", fix: "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"}},
		},
		"AppArmor that lets this program through": {
			change: func(m *machine) { m.set("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n") },
		},
		"AppArmor, not tried": {
			change: func(m *machine) { m.try = nil; m.set("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n") },
			want:   []want{{title: "AppArmor"}},
		},
		"no new privileges": {
			change: func(m *machine) { m.cannotTry(); m.set("proc/self/status", "NoNewPrivs:\t1\n") },
			want:   []want{{title: "may not gain rights", detail: "no_new_privs"}},
		},
		"no subordinate ids": {
			change: func(m *machine) {
				m.set("etc/subuid", "bob:100000:65536\n")
				delete(m.files.(fstest.MapFS), "etc/subgid")
			},
			want: []want{{
				title: "too few subordinate ids", detail: "/etc/subuid gives ann 0 ids, /etc/subgid gives ann 0 ids",
				fix: "sudo usermod --add-subuids 165536-231071 --add-subgids 100000-165535 ann",
			}},
		},
		"too few subordinate ids": {
			change: func(m *machine) { m.set("etc/subgid", "ann:100000:65535\n") },
			want:   []want{{detail: "/etc/subgid gives ann 65535 ids; ", fix: "sudo usermod --add-subgids 165535-231070 ann"}},
		},
		"ids by number, in two ranges": {
			change: func(m *machine) { m.set("etc/subuid", "1000:100000:30000\n1000:200000:35536\n") },
		},
		"ids that are none": {
			change: func(m *machine) { m.set("etc/subuid", "ann:100000:many\n") },
			want:   []want{{title: "cannot be read", detail: `/etc/subuid: line "ann:100000:many"`}},
		},
		"newuidmap is not setuid": {
			change: func(m *machine) {
				m.setuid = func(path string) (bool, error) { return path != "/usr/bin/newuidmap", nil }
			},
			want: []want{{title: "/usr/bin/newuidmap is not setuid root", fix: "sudo chmod u+s /usr/bin/newuidmap"}},
		},
		"missing programs": {
			change: func(m *machine) { m.lacks("iptables", "iptables-save", "newuidmap", "curl") },
			want:   []want{{title: "missing programs: curl, iptables, iptables-save, newuidmap", fix: "sudo apt-get install curl iptables uidmap"}},
		},
		"missing programs, and no Debian": {
			change: func(m *machine) { m.becomeRoot(); m.lacks("ip", "apt-get") },
			want:   []want{{title: "missing programs: ip", fix: "on Debian that would be iproute2"}},
		},
		"a trial that fails for an unknown reason": {
			change: (*machine).cannotTry,
			want:   []want{{title: "cannot be made here", detail: "mount /proc: operation not permitted", fix: "virtual machine"}},
		},
		"in a container": {
			change: func(m *machine) { m.becomeRoot(); m.cannotTry(); m.set(".dockerenv", "") },
			want:   []want{{title: "this is a container", fix: "--privileged"}},
		},
		"in a container of another engine": {
			change: func(m *machine) { m.becomeRoot(); m.cannotTry(); m.set("proc/1/environ", "A=b\x00container=lxc\x00") },
			want:   []want{{title: "this is a container"}},
		},
		"a trial that finds everything wrong": {
			change: func(m *machine) {
				m.try = func() (findings, error) {
					return findings{Overlay: "EINVAL", Veth: "not supported", IPTables: "no such table", Inotify: "too many"}, nil
				}
			},
			want: []want{
				{title: "no overlay mounts", detail: "EINVAL", fix: "modprobe overlay"},
				{title: "veth", detail: "not supported", fix: "sudo modprobe veth"},
				{title: "iptables", detail: "no such table", fix: "sudo modprobe -a nf_tables"},
				{title: "inotify instances", detail: "too many", fix: "sudo sysctl -w fs.inotify.max_user_instances=512"},
			},
		},
		"few watches": {
			change: func(m *machine) { m.set("proc/sys/fs/inotify/max_user_watches", "4096\n") },
			want:   []want{{title: "few inotify watches", detail: "4096", fix: "fs.inotify.max_user_watches", mild: true}},
		},
		"a socket of 107 bytes": {
			change: func(*machine) {},
			config: CheckConfig{RunDir: "/run/" + strings.Repeat("x", 91), Sockets: []string{"a", "cri/s.sock"}},
		},
		"a socket of 108 bytes": {
			change: func(*machine) {},
			config: CheckConfig{RunDir: "/run/" + strings.Repeat("x", 92), Sockets: []string{"a", "cri/s.sock"}},
			want:   []want{{title: "too long", detail: "108 bytes, and 107 are possible", fix: "EGRESSPLAY_LAB_DIR"}},
		},
		"a full disk": {
			change: func(m *machine) { m.free = func(string) (space, error) { return space{bytes: 100 << 20}, nil } },
			config: CheckConfig{RunDir: "/run/lab"},
			want:   []want{{title: "little room", detail: "100 MB are free for /run/lab, and a lab needs 512", fix: "EGRESSPLAY_LAB_DIR"}},
		},
		"a run folder that cannot be": {
			change: func(m *machine) { m.free = func(string) (space, error) { return space{}, fs.ErrPermission } },
			config: CheckConfig{RunDir: "/run/lab"},
			want:   []want{{title: "cannot be looked at", detail: "permission denied"}},
		},
		"noexec": {
			change: func(m *machine) { m.free = func(string) (space, error) { return space{10 << 30, true}, nil } },
			config: CheckConfig{RunDir: "/run/lab"},
			want:   []want{{title: "no program may run", detail: "noexec"}},
		},
		"noexec does not stop root": {
			change: func(m *machine) {
				m.becomeRoot()
				m.free = func(string) (space, error) { return space{10 << 30, true}, nil }
			},
			config: CheckConfig{RunDir: "/run/lab"},
		},
		"little memory": {
			change: func(m *machine) { m.set("proc/meminfo", "MemAvailable: 1000000 kB\nSwapFree: 24000 kB\n") },
			want:   []want{{title: "little memory", detail: "1000 MB are available", mild: true}},
		},
		"swap counts": {
			change: func(m *machine) { m.set("proc/meminfo", "MemAvailable: 1000000 kB\nSwapFree: 2000000 kB\n") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := fit()
			c.change(m)
			got := m.check(c.config)
			require.Len(t, got, len(c.want), "%+v", got)
			for i, w := range c.want {
				assert.Contains(t, got[i].Title, w.title)
				assert.Contains(t, got[i].Detail, w.detail)
				assert.Contains(t, got[i].Fix, w.fix)
				assert.NotEmpty(t, got[i].Detail)
				assert.NotEmpty(t, got[i].Fix)
				assert.Equal(t, !w.mild, got[i].Fatal, "fatal")
			}
		})
	}
}

func TestIDMap(t *testing.T) {
	assert.Equal(t,
		strings.Fields("0 1000 1 1 100000 30000 30001 200000 35536"),
		idMap(1000, []idRange{{100000, 30000}, {200000, 35536}}))
}

func TestWithSystemFolders(t *testing.T) {
	for path, want := range map[string]string{
		"":                        "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin",
		"/home/ann/bin:/usr/bin":  "/home/ann/bin:/usr/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/bin",
		"/sbin::/sbin:/usr/sbin:": "/sbin:/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/bin",
	} {
		assert.Equal(t, want, withSystemFolders(path))
	}
}

func TestFreeSpaceOfAFolderThatIsYetToBe(t *testing.T) {
	s, err := freeSpace(t.TempDir() + "/not/yet")
	require.NoError(t, err)
	assert.NotZero(t, s.bytes)
}

func TestFindProgram(t *testing.T) {
	t.Setenv("PATH", "")
	path, err := findProgram("sh")
	require.NoError(t, err, "programs are found without a PATH")
	assert.True(t, strings.HasPrefix(path, "/"), path)
	_, err = findProgram("no-such-program")
	require.ErrorIs(t, err, exec.ErrNotFound)
}
