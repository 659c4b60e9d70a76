package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/egressplay/egressplay/lab/cluster"
	"github.com/egressplay/egressplay/lab/sandbox"
)

// instance is one lab as seen from the host, running or not.
type instance struct {
	name   string
	folder cluster.Folder
}

// info is the content of lab.json, which describes a running lab.
type info struct {
	Name    string `json:"name"`
	Pid     int    `json:"pid"` // of its first process, in the host's pid namespace
	Version string `json:"version"`
	API     string `json:"api"` // where the host reaches it, ADDRESS:PORT
}

func newInstance(name string) (*instance, error) {
	folder, err := folderOf(name)
	if err != nil {
		return nil, err
	}
	return &instance{name, folder}, nil
}

const (
	defaultName = "default"
	labLog      = "lab" // the log of the first process
)

// running returns who runs the lab, nil if nobody does. Files that a killed lab has
// left are no sign of life. The lock on the file alive is, because the kernel releases
// it.
func (i *instance) running() (*info, error) {
	if exists, err := trusted(i.folder); err != nil || !exists {
		return nil, err
	}
	alive, err := locked(i.folder.Alive())
	if err != nil || !alive {
		return nil, err
	}
	text, err := os.ReadFile(i.folder.Info())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // being started, or just ended
	}
	if err != nil {
		return nil, err
	}
	var in info
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, fmt.Errorf("read %s: %w", i.folder.Info(), err)
	}
	return &in, nil
}

// life is the lifetime of the lab that runs at this moment. A later lab of the same
// name has another life.
type life struct{ alive *os.File } // nil when no lab runs

func (i *instance) life() (*life, error) {
	alive, err := os.Open(i.folder.Alive())
	if errors.Is(err, fs.ErrNotExist) {
		return &life{}, nil
	}
	return &life{alive}, err
}

// ended reports whether the lab has ended.
func (l *life) ended() (bool, error) {
	if l.alive == nil {
		return true, nil
	}
	alive, err := held(l.alive)
	return !alive, err
}

// Close implements [io.Closer].
func (l *life) Close() error { return l.alive.Close() } // it returns os.ErrInvalid if no lab ran

// mustRun is like running, but returns an error if the lab does not run.
func (i *instance) mustRun() (*info, error) {
	in, err := i.running()
	if err == nil && in == nil {
		err = fmt.Errorf("lab %s is not running: start it with `egressplay lab up%s`", i.name, i.flag())
	}
	return in, err
}

// kubeconfig returns the path of the running lab's kubeconfig.
func (i *instance) kubeconfig() (string, error) {
	if _, err := i.mustRun(); err != nil {
		return "", err
	}
	return trustedKubeconfig(i.folder)
}

// flag returns the flag by which a command line names this lab.
func (i *instance) flag() string {
	if i.name == defaultName {
		return ""
	}
	return " --name " + i.name
}

// started is a lab that this process has started and is responsible for.
type started struct {
	*instance
	process *sandbox.Process
	leash   *os.File // the lab ends when this is closed, unless it was let go

	gone  chan struct{} // closed when all of the lab is gone
	cause error         // how it ended, once it is gone
}

// start starts the lab, with the user's own hosts if they are not nil, and does
// not wait until it is up. It returns nil if the lab runs already.
func (i *instance) start(ctx context.Context, hosts []byte) (*started, error) {
	held, err := i.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	if in, err := i.running(); err != nil || in != nil {
		return nil, err
	}
	programs, err := cluster.FindPrograms()
	if err != nil {
		return nil, err
	}
	if err := empty(i.folder); err != nil {
		return nil, fmt.Errorf("clear what an earlier lab has left: %w", err)
	}
	if hosts != nil {
		if err := os.WriteFile(i.folder.Hosts(), hosts, 0o600); err != nil {
			return nil, err
		}
	}
	s, err := i.launch(ctx, programs)
	if err != nil {
		return nil, fmt.Errorf("start lab %s: %w", i.name, err)
	}
	return s, nil
}

// launch starts the first process, with everything that it inherits.
func (i *instance) launch(ctx context.Context, programs cluster.Programs) (s *started, err error) {
	if err := os.Mkdir(i.folder.Logs(), 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(i.folder.Log(labLog), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	api, addr, err := listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer api.Close()
	control, _, err := listen("unix", i.folder.Control())
	if err != nil {
		return nil, err
	}
	defer control.Close()
	alive, err := lock(ctx, i.folder.Alive())
	if err != nil {
		return nil, err
	}
	defer alive.Close()
	end, leash, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer end.Close()
	defer func() {
		if err != nil {
			leash.Close() // which ends what may have started
		}
	}()
	process, err := sandbox.Start(ctx, sandbox.Config{
		Args:  []string{programs.Self, argFirst, i.name, string(i.folder)},
		Files: []*os.File{fdAPI - 3: api, fdControl - 3: control, fdAlive - 3: alive, fdLeash - 3: end},
		// Nothing else of the caller's environment: its proxy settings, for one, would
		// apply to what is in the lab.
		Env:  []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "TMPDIR=" + i.folder.State()},
		Dir:  "/",
		Log:  log,
		Keep: []string{string(i.folder)},
	})
	if err != nil {
		return nil, err
	}
	s = &started{instance: i, process: process, leash: leash, gone: make(chan struct{})}
	go func() {
		s.cause = process.Wait()
		close(s.gone)
	}()
	text, err := json.Marshal(info{Name: i.name, Pid: process.Pid, Version: version, API: addr.String()})
	if err == nil {
		err = os.WriteFile(i.folder.Info(), append(text, '\n'), 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, s.kill())
	}
	return s, nil
}

// listen makes a listener as an open file, to be inherited.
func listen(network, addr string) (*os.File, net.Addr, error) {
	l, err := net.Listen(network, addr)
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	return f, l.Addr(), err
}

// end waits until a lab that does not answer any more has ended, and returns how its
// first process ended.
func (s *started) end() error {
	const most = 5 * time.Second
	select {
	case <-s.gone:
		if s.cause == nil {
			return errors.New("its first process: exit status 0")
		}
		return fmt.Errorf("its first process: %w", s.cause)
	case <-time.After(most):
		return errors.New("its first process goes on")
	}
}

// letGo has the lab go on after the end of this process.
func (s *started) letGo() error {
	if _, err := s.leash.Write([]byte{detach}); err != nil {
		return fmt.Errorf("let lab %s go on: %w", s.name, err)
	}
	return s.leash.Close()
}

// kill ends the lab and waits until it is gone. Its logs stay.
func (s *started) kill() error {
	_ = s.process.Kill() // it fails if the lab has ended, which is the aim
	<-s.gone
	errs := []error{s.leash.Close()}
	for _, path := range []string{s.folder.Info(), s.folder.Kubeconfig(), s.folder.Control(), s.folder.Alive()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// stop ends the lab, waits until it is gone and deletes its run folder. It returns who
// ran the lab; nil if nobody did.
func (i *instance) stop(ctx context.Context) (*info, error) {
	if exists, err := trusted(i.folder); err != nil || !exists {
		return nil, err
	}
	held, err := i.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	in, err := i.running()
	if err != nil {
		return nil, err
	}
	if in != nil {
		if err := i.killAndWait(ctx, in.Pid); err != nil {
			return nil, fmt.Errorf("end lab %s, process %d: %w", i.name, in.Pid, err)
		}
	}
	if err := removeFolder(i.folder); err != nil {
		return nil, fmt.Errorf("delete the run folder: %w", err)
	}
	return in, nil
}

// killAndWait kills the first process. The kernel then ends all of the lab before that
// process itself is gone.
func (i *instance) killAndWait(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// Now that a pidfd holds the process, check that it is the lab's.
	if alive, err := locked(i.folder.Alive()); err != nil || !alive {
		return err
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	for {
		const milliseconds = 50
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, milliseconds)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// lock takes the lock of the run folder, and makes the folder if it does not exist.
func (i *instance) lock(ctx context.Context) (*os.File, error) {
	for {
		var f *os.File
		err := makeFolder(i.folder)
		if err == nil {
			f, err = lock(ctx, i.folder.Lock())
		}
		if errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
			continue // it was deleted in between
		}
		if err != nil {
			return nil, err
		}
		// Whoever held the lock may have deleted the folder.
		mine, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if now, err := os.Stat(i.folder.Lock()); err == nil && os.SameFile(mine, now) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}
