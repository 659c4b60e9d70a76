package starter

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openFiles is how many files a container's program may have open if it does not raise
// the limit itself. Some programs take memory for as many files as the limit allows.
const openFiles = 1024

// Start is the starter: the program that the server runs in the namespaces of a
// new container. It reads its spec from the file that the server left open,
// builds the container's root, drops what the container may not have, and becomes the
// container's program. It never returns, and writes nothing but its replies to the
// server. The program that calls it must do so before anything else and print nothing.
func Start() {
	runtime.LockOSThread() // ids and capabilities are per thread; exec keeps this one's
	server := os.NewFile(Socket, "server")
	err := start(server)
	if _, werr := server.WriteString(string(ReplyError) + err.Error()); werr != nil {
		fmt.Fprintln(os.Stderr, err) // the server is gone: this is the last place to report the error
	}
	os.Exit(1)
}

// start returns only with an error.
func start(server *os.File) error {
	unix.CloseOnExec(Socket)
	var sp Spec
	if err := json.NewDecoder(server).Decode(&sp); err != nil {
		return fmt.Errorf("read the container's spec: %w", err)
	}
	unix.Umask(0) // so that files get the modes that are asked for
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
	program, err := LookPath(sp.Args[0], sp.Env)
	if err != nil {
		return err
	}
	if err := sp.stdio(server); err != nil {
		return fmt.Errorf("input and output: %w", err)
	}
	if err := sp.giveUp(); err != nil {
		return err
	}
	if _, err := server.Write([]byte{ReplyReady}); err != nil {
		return err
	}
	err = unix.Exec(program, sp.Args, sp.Env)
	return fmt.Errorf("exec: %q: %w", sp.Args[0], err)
}

// stdio makes the files 0, 1 and 2 those of the container, owned by its user: a
// program may open /dev/stdout anew.
func (sp *Spec) stdio(server *os.File) error {
	if sp.Terminal {
		master, slave, err := OpenTerminal(sp.UID)
		if err != nil {
			return err
		}
		rights := unix.UnixRights(int(master.Fd()))
		if err := unix.Sendmsg(int(server.Fd()), []byte{ReplyTerminal}, rights, nil, 0); err != nil {
			return fmt.Errorf("hand the terminal over: %w", err)
		}
		tty := int(slave.Fd())
		if err := unix.IoctlSetInt(tty, unix.TIOCSCTTY, 0); err != nil {
			return fmt.Errorf("controlling terminal: %w", err)
		}
		return become(tty, tty, tty)
	}
	pipes := []int{Stdout, Stderr}
	stdin := Stdin
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
	return become(stdin, Stdout, Stderr)
}

// become makes these files 0, 1 and 2, and has every other one closed at exec.
func become(stdin, stdout, stderr int) error {
	for target, fd := range []int{stdin, stdout, stderr} {
		if err := unix.Dup3(fd, target, 0); err != nil {
			return err
		}
	}
	return unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}

// giveUp drops everything from this thread that the container's program must not have.
func (sp *Spec) giveUp() error {
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
	if err := sp.Caps.Restrict(); err != nil {
		return err
	}
	if err := setIDs(sp.UID, sp.GID, sp.Groups); err != nil {
		return err
	}
	return sp.NoNewPrivileges()
}

// NoNewPrivileges keeps this thread, and what it executes or forks, from gaining
// privileges by a set-user-ID program, if the pod wants that.
func (sp *Spec) NoNewPrivileges() error {
	if !sp.NoNewPrivs {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("allowPrivilegeEscalation: false: %w", err)
	}
	return nil
}

// setIDs changes the ids of this thread. The change of the user, if it is not 0, takes
// its capabilities away.
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
