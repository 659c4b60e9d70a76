package cri

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A spec is what the starter is told: everything about one container.
type spec struct {
	Root    string // an empty folder that becomes the root
	Scratch string // an empty folder for what a root made of layers needs
	Shm     string // what is mounted at /dev/shm

	Image         Image
	TrustBundle   string
	Hostname      string
	Resolv        string // text of /etc/resolv.conf
	Mounts        []mount
	MaskedPaths   []string
	ReadonlyPaths []string
	ReadonlyRoot  bool

	Args       []string
	Env        []string
	WorkingDir string
	UID, GID   int
	Groups     []int
	Caps       capSet
	NoNewPrivs bool
	Terminal   bool
	Stdin      bool

	overlays []string // made by the starter: mounts of the root that can be written
}

// A mount is a file or folder of the machine in the container.
type mount struct {
	From, To  string
	Readonly  bool
	Recursive bool // read-only with everything that is mounted below
}

// openFiles is how many files a container's program may have open, if it does not
// raise the limit itself: some programs take memory for as many as they may have.
const openFiles = 1024

// Start is the starter: the program that the server runs in the namespaces of a
// new container. It reads its spec from the file that the server left open,
// builds the container's root, gives up what the container may not have, and
// becomes the container's program. It never returns, and writes nothing but its
// replies to the server. The program that calls it, see [Config].Starter, must do
// so before anything else and print nothing.
func Start() {
	runtime.LockOSThread() // ids and capabilities are per thread; exec keeps this one's
	server := os.NewFile(starterSocket, "server")
	err := start(server)
	if _, werr := server.WriteString(string(replyError) + err.Error()); werr != nil {
		fmt.Fprintln(os.Stderr, err) // the server is gone, this goes nowhere, but not silently
	}
	os.Exit(1)
}

// start returns only with an error.
func start(server *os.File) error {
	unix.CloseOnExec(starterSocket)
	var sp spec
	if err := json.NewDecoder(server).Decode(&sp); err != nil {
		return fmt.Errorf("read the container's spec: %w", err)
	}
	unix.Umask(0) // so that modes are what they say
	if err := sp.buildRoot(); err != nil {
		return err
	}
	if err := enterRoot(sp.Root); err != nil {
		return err
	}
	if err := sp.finishRoot(); err != nil {
		return err
	}
	if err := os.MkdirAll(sp.WorkingDir, 0o755); err != nil && !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("working directory: %w", err)
	}
	if err := os.Chdir(sp.WorkingDir); err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	program, err := lookPath(sp.Args[0], sp.Env)
	if err != nil {
		return err
	}
	if err := sp.stdio(server); err != nil {
		return fmt.Errorf("input and output: %w", err)
	}
	if err := sp.giveUp(); err != nil {
		return err
	}
	if _, err := server.Write([]byte{replyReady}); err != nil {
		return err
	}
	err = unix.Exec(program, sp.Args, sp.Env)
	return fmt.Errorf("exec: %q: %w", sp.Args[0], err)
}

// stdio makes the files 0, 1 and 2 those of the container, owned by its user: a
// program may open /dev/stdout anew.
func (sp *spec) stdio(server *os.File) error {
	if sp.Terminal {
		master, slave, err := openTerminal(sp.UID)
		if err != nil {
			return err
		}
		rights := unix.UnixRights(int(master.Fd()))
		if err := unix.Sendmsg(int(server.Fd()), []byte{replyTerminal}, rights, nil, 0); err != nil {
			return fmt.Errorf("hand the terminal over: %w", err)
		}
		tty := int(slave.Fd())
		if err := unix.IoctlSetInt(tty, unix.TIOCSCTTY, 0); err != nil {
			return fmt.Errorf("controlling terminal: %w", err)
		}
		return become(tty, tty, tty)
	}
	pipes := []int{starterStdout, starterStderr}
	stdin := starterStdin
	if sp.Stdin {
		pipes = append(pipes, stdin)
	} else {
		null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		stdin = int(null.Fd())
	}
	for _, fd := range pipes {
		if err := unix.Fchown(fd, sp.UID, sp.GID); err != nil {
			return err
		}
	}
	return become(stdin, starterStdout, starterStderr)
}

// become makes these files 0, 1 and 2, and closes every other at exec.
func become(stdin, stdout, stderr int) error {
	for target, fd := range []int{stdin, stdout, stderr} {
		if err := unix.Dup3(fd, target, 0); err != nil {
			return err
		}
	}
	return unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}

// giveUp leaves this thread with what the container's program shall have.
func (sp *spec) giveUp() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	limit.Cur = min(limit.Max, openFiles)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if err := defaultSignals(); err != nil {
		return err
	}
	unix.Umask(0o022)
	if err := sp.Caps.restrict(); err != nil {
		return err
	}
	if err := setIDs(sp.UID, sp.GID, sp.Groups); err != nil {
		return err
	}
	return sp.noNewPrivs()
}

// noNewPrivs keeps this thread and what it executes or forks from getting more
// by executing a set-user-ID program, if the pod wants it so.
func (sp *spec) noNewPrivs() error {
	if !sp.NoNewPrivs {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("allowPrivilegeEscalation: false: %w", err)
	}
	return nil
}

// setIDs changes the ids of this thread, the last of which takes its
// capabilities away when it is not 0.
func setIDs(uid, gid int, groups []int) error {
	list := make([]uint32, len(groups))
	for i, g := range groups {
		list[i] = uint32(g)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(list)), uintptr(unsafe.Pointer(unsafe.SliceData(list))), 0); errno != 0 {
		return fmt.Errorf("set groups %d: %w", groups, errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)); errno != 0 {
		return fmt.Errorf("set group %d: %w", gid, errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
		return fmt.Errorf("set user %d: %w", uid, errno)
	}
	return nil
}

// defaultSignals sets every signal to its default and unblocks all, on this
// thread. The Go runtime's own handlers go with exec, but what was ignored when
// this program began would be so in the container too.
func defaultSignals() error {
	for n := 1; n <= 64; n++ {
		if n == int(unix.SIGKILL) || n == int(unix.SIGSTOP) {
			continue
		}
		if err := setDefault(n); err != nil {
			return err
		}
	}
	return emptySignalMask()
}

// setDefault sets a signal to its default in this process.
func setDefault(signal int) error {
	var byDefault struct { // the kernel's sigaction, larger than any architecture needs
		handler, flags, restorer, mask uintptr
	}
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0); errno != 0 {
		return fmt.Errorf("set signal %d to its default: %w", signal, errno)
	}
	return nil
}

// emptySignalMask unblocks every signal for this thread and for what it forks.
func emptySignalMask() error {
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil); err != nil {
		return fmt.Errorf("unblock signals: %w", err)
	}
	return nil
}

// lookPath finds a program as execvp(3) does, in the root and working directory
// of the calling thread and the PATH of env, not of this process. The errors are
// worded as those of runc, which users know.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if err := executable(name); err != nil {
			return "", fmt.Errorf("exec: %q: %w", name, err)
		}
		return name, nil
	}
	var path string
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			path = value
		}
	}
	if name != "" {
		for _, dir := range filepath.SplitList(path) {
			if file := filepath.Join(dir, name); executable(file) == nil {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("exec: %q: executable file not found in $PATH", name)
}

func executable(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return unix.EISDIR
	}
	if info.Mode()&0o111 == 0 {
		return fs.ErrPermission
	}
	return nil
}
