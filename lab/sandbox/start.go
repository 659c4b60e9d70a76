package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Config describes what to start, and with what.
type Config struct {
	// Args is the command line of the first process. Args[0] is a path or is looked up
	// on PATH. The program must call [Enter] before anything else.
	Args []string
	Env  []string // nil: this process's own environment

	// Files are inherited by the lab as file descriptors 3, 4, ... in this
	// order. The caller keeps, and closes, its own copies.
	Files []*os.File

	Dir string   // where the first process starts; "": the working directory of this one
	Log *os.File // gets stdout and stderr of the first process; nil throws them away

	Hostname string // the lab's own; "" means "egressplay"

	// Keep lists folders (absolute paths) in which programs inside can write and from
	// which they can run programs, even if they lie below a folder that the lab gets
	// anew, such as /run. All other files of the machine are read-only there. The lab's
	// run folder must be in the list.
	Keep []string
}

// settings is Enter's input, as JSON in the environment.
type settings struct {
	Control  int      // file descriptor of a socket to the process that called Start
	Hostname string   // of the lab
	Keep     []string // see Config
}

// settingsVariable carries the settings to the first process. Enter removes it.
const settingsVariable = "EGRESSPLAY_SANDBOX"

// The words on the control socket.
const (
	wordGo    = "g" // one byte, so that one read gets the whole word
	wordReady = "ready"
)

// Start makes the namespaces and starts the lab's first process in them,
// detached from the terminal. It returns once [Enter] has returned there. If that
// fails, or ctx ends before, nothing is left running and the error says what went
// wrong. A ctx that ends later has no effect.
func Start(ctx context.Context, c Config) (*Process, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("start sandbox: no program given")
	}
	own, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	defer own.Close()
	defer theirs.Close()

	p, err := launch(c, theirs)
	if err != nil {
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	theirs.Close() // else its end would never be seen
	stop := context.AfterFunc(ctx, func() { p.Kill() })
	err = p.prepare(ctx, own)
	if stop() && err == nil {
		return p, nil
	}
	p.Kill()
	p.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return nil, fmt.Errorf("start sandbox: %w", err)
}

// launch starts the first process, which waits in Enter for "go".
func launch(c Config, control *os.File) (*Process, error) {
	hostname := c.Hostname
	if hostname == "" {
		hostname = "egressplay"
	}
	told, err := json.Marshal(settings{Control: 3 + len(c.Files), Hostname: hostname, Keep: c.Keep})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env = c.Env
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], settingsVariable+"="+string(told))
	cmd.Dir = c.Dir
	if c.Log != nil {
		cmd.Stdout, cmd.Stderr = c.Log, c.Log
	}
	cmd.ExtraFiles = append(c.Files[:len(c.Files):len(c.Files)], control)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Setsid:     true,
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
	}
	// A lab must not hold, as long as it lives, files that this process has inherited
	// by chance, such as the lock file of flock(1).
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, fmt.Errorf("close inherited files: %w (a lab needs Linux 5.12 or newer)", err)
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EUSERS) {
			err = fmt.Errorf("this machine does not allow the namespaces that a lab needs: %w", err)
		}
		return nil, err
	}
	return &Process{Pid: cmd.Process.Pid, cmd: cmd}, nil
}

// prepare writes the id maps, lets the first process go on, and waits until
// it is set up.
func (p *Process) prepare(ctx context.Context, control *os.File) error {
	if os.Geteuid() != 0 {
		if err := mapIDs(ctx, p.Pid); err != nil {
			return err
		}
	}
	// A process that has died by now has reported why, or is reported below.
	if _, err := io.WriteString(control, wordGo); err != nil && !errors.Is(err, unix.EPIPE) {
		return err
	}
	said, err := io.ReadAll(control)
	switch text := string(said); {
	case text == wordReady:
		return nil
	case text != "":
		return errors.New(text)
	case err != nil && !errors.Is(err, unix.ECONNRESET):
		return err
	default:
		return errors.New("the first process ended before its namespaces were set up; its log says more")
	}
}

func socketPair() (own, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make the control socket: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control"), nil
}
