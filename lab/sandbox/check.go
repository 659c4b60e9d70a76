package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Check returns what this machine lacks for a lab; nil if it lacks nothing. It changes
// nothing and leaves nothing running: what needs a trial is tried in a throwaway
// sandbox. ctx bounds the trial.
func Check(ctx context.Context, c CheckConfig) []Problem {
	u, err := user.Current()
	if err != nil { // the user has no entry in /etc/passwd
		u = &user.User{Uid: strconv.Itoa(os.Geteuid()), Username: strconv.Itoa(os.Geteuid())}
	}
	m := machine{user: u, files: os.DirFS("/"), find: findProgram, setuid: setsUser, free: freeSpace}
	if len(c.Probe) > 0 {
		m.try = func() (findings, error) { return tryOut(ctx, c.Probe) }
	}
	return m.check(c)
}

// machine is what Check looks at; tests put another one in its place.
type machine struct {
	user   *user.User
	files  fs.FS                                // the machine's root folder
	find   func(program string) (string, error) // returns a program's path
	setuid func(path string) (bool, error)      // reports whether a program gets privileges that its caller lacks
	free   func(dir string) (space, error)      // returns the free space of dir's file system
	try    func() (findings, error)             // nil if no program can try
}

type space struct {
	bytes  uint64
	noexec bool
}

func (m *machine) root() bool { return m.user.Uid == "0" }

// sudo returns a command that root must run in the form that this user must type.
func (m *machine) sudo(command string) string {
	if m.root() {
		return command
	}
	return "sudo " + command
}

func (m *machine) check(c CheckConfig) []Problem {
	var found findings
	var tryErr error
	missing := m.missingPrograms()
	if m.try != nil {
		found, tryErr = m.try()
	}
	var problems []Problem
	if m.try == nil || tryErr != nil { // settings explain a failed trial; if it succeeded, they do no harm
		problems = append(problems, m.userNamespaces()...)
	}
	problems = append(problems, m.subordinateIDs()...)
	problems = append(problems, missing...)
	if tryErr != nil && !slices.ContainsFunc(problems, func(p Problem) bool { return p.Fatal }) {
		problems = append(problems, m.unexplained(tryErr))
	}
	problems = append(problems, m.tried(found)...)
	problems = append(problems, m.watches()...)
	problems = append(problems, m.runFolder(c)...)
	return append(problems, m.memory()...)
}

// userNamespaces reads the settings that keep an ordinary user from making a user
// namespace.
func (m *machine) userNamespaces() []Problem {
	if m.root() {
		return nil
	}
	var problems []Problem
	for _, s := range []struct {
		name, bad, good, title, detail string
	}{
		{
			"user.max_user_namespaces", "0", "15000",
			"user namespaces are switched off",
			"a lab of an ordinary user lives in one",
		},
		{
			"kernel.unprivileged_userns_clone", "0", "1",
			"user namespaces are switched off for ordinary users",
			"a lab of an ordinary user lives in one",
		},
		{
			"kernel.apparmor_restrict_unprivileged_userns", "1", "0",
			"AppArmor restricts user namespaces",
			"a lab of an ordinary user lives in one and must be root in it (see \"Ubuntu 24.04: Restricted unprivileged user namespaces\")",
		},
	} {
		if m.sysctl(s.name) != s.bad {
			continue
		}
		problems = append(problems, Problem{
			Title:  s.title,
			Detail: fmt.Sprintf("%s is %s, and %s", s.name, s.bad, s.detail),
			Fix:    m.sudo(fmt.Sprintf("sysctl -w %s=%s", s.name, s.good)) + "\nor run the lab as root",
			Fatal:  true,
		})
	}
	if m.status("NoNewPrivs") == "1" {
		problems = append(problems, Problem{
			Title:  "this process may not gain rights",
			Detail: "no_new_privs is set, as some container engines and services do, and newuidmap needs its setuid bit",
			Fix:    "run it from another place, without no-new-privileges",
			Fatal:  true,
		})
	}
	return problems
}

// subordinateIDs checks the subordinate ids, which only an ordinary user needs.
func (m *machine) subordinateIDs() []Problem {
	if m.root() {
		return nil
	}
	var problems []Problem
	var options []string
	var seen []string
	for _, f := range []struct{ path, option string }{{"etc/subuid", "--add-subuids"}, {"etc/subgid", "--add-subgids"}} {
		ranges, err := rangesOf(m.files, f.path, m.user)
		if err != nil {
			problems = append(problems, Problem{
				Title: "the subordinate ids cannot be read", Detail: err.Error(), Fix: "mend /" + f.path + " (see subuid(5))", Fatal: true,
			})
			continue
		}
		if n := total(ranges); n < wantedIDs {
			seen = append(seen, fmt.Sprintf("/%s gives %s %d ids", f.path, m.user.Username, n))
			first := m.firstFreeID(f.path)
			options = append(options, fmt.Sprintf("%s %d-%d", f.option, first, first+wantedIDs-1))
		}
	}
	if len(options) > 0 {
		problems = append(problems, Problem{
			Title:  "too few subordinate ids",
			Detail: fmt.Sprintf("%s; pods run as users up to 65535, so a lab needs %d", strings.Join(seen, ", "), wantedIDs),
			Fix:    m.sudo("usermod " + strings.Join(options, " ") + " " + m.user.Username),
			Fatal:  true,
		})
	}
	for _, name := range mappers {
		path, err := m.find(name)
		if err != nil {
			continue // reported as a missing program
		}
		if set, err := m.setuid(path); err != nil || !set {
			problems = append(problems, Problem{
				Title:  path + " is not setuid root",
				Detail: "without that, or file capabilities, it cannot map the ids of a lab",
				Fix:    m.sudo("chmod u+s " + path),
				Fatal:  true,
			})
		}
	}
	return problems
}

// firstFreeID returns the first id above all that are assigned; useradd(8) begins at
// 100000.
func (m *machine) firstFreeID(path string) int {
	first := 100000
	f, err := m.files.Open(path)
	if err != nil {
		return first
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		owner, _, _ := strings.Cut(lines.Text(), ":")
		ranges, err := subordinateIDs(strings.NewReader(lines.Text()), owner, owner)
		if err != nil {
			continue // skip a malformed line
		}
		for _, r := range ranges {
			first = max(first, r.first+r.count)
		}
	}
	return first
}

func (m *machine) missingPrograms() []Problem {
	var names, pkgs []string
	lack := func(name, pkg string) {
		if _, err := m.find(name); err != nil {
			names = append(names, name)
			pkgs = append(pkgs, pkg)
		}
	}
	for _, p := range programs {
		lack(p.name, p.pkg)
	}
	if !m.root() {
		for _, name := range mappers {
			lack(name, "uidmap")
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(pkgs)
	pkgs = slices.Compact(pkgs)
	fix := m.sudo("apt-get install " + strings.Join(pkgs, " "))
	if _, err := m.find("apt-get"); err != nil {
		fix = "install what has them; on Debian that would be " + strings.Join(pkgs, " ")
	}
	return []Problem{{
		Title:  "missing programs: " + strings.Join(names, ", "),
		Detail: "a lab runs them, and its images consist of this machine's own programs",
		Fix:    fix,
		Fatal:  true,
	}}
}

// unexplained returns the problem of a failed trial that no setting explains.
func (m *machine) unexplained(err error) Problem {
	p := Problem{
		Title:  "a lab's namespaces cannot be made here",
		Detail: err.Error(),
		Fix:    "run it on the machine itself or in a virtual machine, or look for what forbids it (seccomp, AppArmor, SELinux)",
		Fatal:  true,
	}
	if m.inContainer() {
		p.Title += ": this is a container that forbids it"
		p.Fix = "run it outside, or give the container what a lab needs: --privileged does for Docker and Podman"
	}
	return p
}

// inContainer reports whether there are the marks of a usual container engine. It is
// for the text of a message only.
func (m *machine) inContainer() bool {
	for _, mark := range []string{".dockerenv", "run/.containerenv"} {
		if _, err := fs.Stat(m.files, mark); err == nil {
			return true
		}
	}
	environ, err := fs.ReadFile(m.files, "proc/1/environ")
	return err == nil && (strings.HasPrefix(string(environ), "container=") || strings.Contains(string(environ), "\x00container="))
}

// tried returns the problems that a trial found.
func (m *machine) tried(f findings) []Problem {
	var problems []Problem
	add := func(text, title, detail, fix string, fatal bool) {
		if text != "" {
			problems = append(problems, Problem{Title: title, Detail: detail + ": " + text, Fix: fix, Fatal: fatal})
		}
	}
	add(f.Overlay, "no overlay mounts", "the images of a lab are laid over this machine's programs",
		m.sudo("modprobe overlay")+"\nan ordinary user needs Linux 5.11 or newer besides, or runs the lab as root", true)
	add(f.Veth, "no veth interfaces", "each pod is connected by a pair of them", m.sudo("modprobe veth"), true)
	add(f.IPTables, "iptables does not do what a lab needs", "services and sidecars are made of such rules",
		m.sudo("modprobe -a nf_tables nft_compat nft_chain_nat xt_owner xt_REDIRECT xt_MASQUERADE xt_statistic xt_conntrack xt_comment xt_addrtype xt_mark xt_nat"), true)
	add(f.Inotify, "too few inotify instances are left", fmt.Sprintf("a lab needs about %d; programs of the same user share them", wantedInstances),
		m.sudo("sysctl -w fs.inotify.max_user_instances=512"), true)
	return problems
}

func (m *machine) watches() []Problem {
	const name = "fs.inotify.max_user_watches"
	n, err := strconv.Atoi(m.sysctl(name))
	if err != nil || n >= wantedWatches {
		return nil
	}
	return []Problem{{
		Title:  "few inotify watches",
		Detail: fmt.Sprintf("%s is %d, a lab wants %d: the kubelet and others watch their files", name, n, wantedWatches),
		Fix:    m.sudo(fmt.Sprintf("sysctl -w %s=%d", name, 524288)),
	}}
}

func (m *machine) runFolder(c CheckConfig) []Problem {
	if c.RunDir == "" {
		return nil
	}
	const elsewhere = "choose another with EGRESSPLAY_LAB_DIR, for example "
	var problems []Problem
	longest := ""
	for _, s := range c.Sockets {
		if len(s) > len(longest) {
			longest = s
		}
	}
	if path := filepath.Join(c.RunDir, longest); longest != "" && len(path) > longestSocket {
		problems = append(problems, Problem{
			Title:  "the run folder's path is too long",
			Detail: fmt.Sprintf("%s would be a Unix socket with %d bytes, and %d are possible", path, len(path), longestSocket),
			Fix:    elsewhere + "EGRESSPLAY_LAB_DIR=/tmp/lab",
			Fatal:  true,
		})
	}
	s, err := m.free(c.RunDir)
	switch {
	case err != nil:
		return append(problems, Problem{
			Title: "the run folder cannot be looked at", Detail: err.Error(), Fix: elsewhere + "EGRESSPLAY_LAB_DIR=/tmp/lab", Fatal: true,
		})
	case s.bytes < wantedDisk:
		problems = append(problems, Problem{
			Title:  "little room in the run folder",
			Detail: fmt.Sprintf("%d MB are free for %s, and a lab needs %d", s.bytes>>20, c.RunDir, wantedDisk>>20),
			Fix:    "make room, or " + elsewhere + "EGRESSPLAY_LAB_DIR=/var/tmp/lab",
			Fatal:  true,
		})
	}
	if s.noexec && !m.root() { // root's lab clears the flag itself
		problems = append(problems, Problem{
			Title:  "no program may run from the run folder",
			Detail: c.RunDir + " is mounted noexec, and containers run from there",
			Fix:    elsewhere + "EGRESSPLAY_LAB_DIR=/var/tmp/lab",
			Fatal:  true,
		})
	}
	return problems
}

func (m *machine) memory() []Problem {
	free, ok := m.available()
	if !ok || free >= wantedMemory {
		return nil
	}
	return []Problem{{
		Title:  "little memory",
		Detail: fmt.Sprintf("%d MB are available, and a lab uses about %d", free>>20, wantedMemory>>20),
		Fix:    "end other programs, or give the machine more",
	}}
}

// available returns how much memory programs can still get, including swap; see
// proc_meminfo(5).
func (m *machine) available() (bytes uint64, ok bool) {
	text, err := fs.ReadFile(m.files, "proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "MemAvailable" && name != "SwapFree" {
			continue
		}
		kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, false
		}
		bytes += kib << 10
		ok = true
	}
	return bytes, ok
}

// sysctl returns a setting; "" if the kernel does not have it.
func (m *machine) sysctl(name string) string {
	text, err := fs.ReadFile(m.files, "proc/sys/"+strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// status returns the value of a line of /proc/self/status; "" if there is none.
func (m *machine) status(name string) string {
	text, err := fs.ReadFile(m.files, "proc/self/status")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// findProgram looks for a program on PATH, and where Debian keeps root's programs.
func findProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range systemFolders {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

// setsUser reports whether a program runs with privileges of root: by its setuid bit,
// or by file capabilities, which newuidmap has in Fedora and Arch.
func setsUser(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	if info.Mode()&fs.ModeSetuid != 0 {
		return true, nil
	}
	n, err := unix.Getxattr(path, "security.capability", nil)
	return err == nil && n > 0, nil
}

// freeSpace returns the free space of the nearest folder that exists.
func freeSpace(dir string) (space, error) {
	var s unix.Statfs_t
	err := unix.Statfs(dir, &s)
	if errors.Is(err, unix.ENOENT) && dir != "/" {
		return freeSpace(filepath.Dir(dir))
	}
	if err != nil {
		return space{}, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return space{bytes: s.Bavail * uint64(s.Bsize), noexec: s.Flags&unix.ST_NOEXEC != 0}, nil
}
