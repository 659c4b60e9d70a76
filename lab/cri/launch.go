package cri

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/egressplay/egressplay/lab/cri/starter"
)

// launched is what the server keeps of a container that has started.
type launched struct {
	cmd      *exec.Cmd
	pidfd    int
	output   []*os.File     // stdout and stderr, or the terminal alone
	stdin    io.WriteCloser // nil: none was asked for
	terminal *os.File       // nil: none was asked for
}

// launch runs the starter in new namespaces and waits until it has become the
// container's program.
func (s *Server) launch(ctx context.Context, c *container) (_ *launched, err error) {
	var opened files
	defer func() { opened.close() }()
	l := &launched{pidfd: -1}
	defer func() {
		if err != nil {
			l.discard()
		}
	}()

	if c.log, err = openLog(c.logPath()); err != nil {
		return nil, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	opened.add(theirs)

	var noise bytes.Buffer // what the starter prints if it crashes
	l.cmd = exec.Command(s.starter[0], s.starter[1:]...)
	l.cmd.Env = []string{}
	l.cmd.Dir = "/"
	l.cmd.Stderr = &noise
	l.cmd.ExtraFiles = []*os.File{theirs}
	l.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		Setsid:     true,
		PidFD:      &l.pidfd,
	}
	if !c.spec.Terminal {
		for range 2 {
			r, w, err := os.Pipe()
			if err != nil {
				return nil, err
			}
			l.output = append(l.output, r)
			l.cmd.ExtraFiles = append(l.cmd.ExtraFiles, w)
			opened.add(w)
		}
		if c.spec.Stdin {
			r, w, err := os.Pipe()
			if err != nil {
				return nil, err
			}
			l.stdin = w
			l.cmd.ExtraFiles = append(l.cmd.ExtraFiles, r)
			opened.add(r)
		}
	}

	if err := onThread(func() error { return c.sandbox.start(l.cmd) }); err != nil {
		return nil, fmt.Errorf("start in the pod's namespaces: %w", err)
	}
	opened.close() // so that only the container has copies left

	cancelled := context.AfterFunc(ctx, func() { l.cmd.Process.Kill() })
	defer cancelled()
	replies, terminal, err := converse(ours, &c.spec)
	if terminal != nil {
		l.terminal = terminal
		l.output = []*os.File{terminal}
		if c.spec.Stdin {
			l.stdin = terminal
		}
	}
	if err == nil {
		err = outcome(replies)
	}
	if err != nil {
		l.cmd.Process.Kill()
		l.cmd.Wait() // err says more than its exit code
		if errors.Is(err, errStarterDied) && noise.Len() > 0 {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(noise.Bytes()))
		}
		return nil, errors.Join(err, c.log.close())
	}
	return l, nil
}

// start starts a command in the pod's namespaces, on a thread that ends afterwards.
func (sb *sandbox) start(cmd *exec.Cmd) error {
	if sb.net != "" {
		if err := setns(sb.net, unix.CLONE_NEWNET); err != nil {
			return err
		}
	}
	if err := unix.Setns(int(sb.uts.Fd()), unix.CLONE_NEWUTS); err != nil {
		return fmt.Errorf("join the UTS namespace: %w", err)
	}
	if sb.ipc != nil {
		if err := unix.Setns(int(sb.ipc.Fd()), unix.CLONE_NEWIPC); err != nil {
			return fmt.Errorf("join the IPC namespace: %w", err)
		}
	}
	if err := starter.EmptySignalMask(); err != nil {
		return err
	}
	return cmd.Start()
}

// converse sends the starter its spec and reads all its replies.
func converse(conn *net.UnixConn, sp *starter.Spec) (replies []byte, terminal *os.File, err error) {
	sent := make(chan error, 1)
	go func() {
		err := json.NewEncoder(conn).Encode(sp)
		sent <- errors.Join(err, conn.CloseWrite())
	}()
	buf, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	for {
		n, nc, _, _, err := conn.ReadMsgUnix(buf, control)
		if nc > 0 {
			if terminal, err = receivedFile(control[:nc]); err != nil {
				return nil, nil, err
			}
		}
		replies = append(replies, buf[:max(n, 0)]...)
		if errors.Is(err, io.EOF) || err == nil && n == 0 || errors.Is(err, unix.ECONNRESET) {
			break // a starter that dies before it has read everything resets the connection
		}
		if err != nil {
			return nil, terminal, fmt.Errorf("read from the container's starter: %w", err)
		}
	}
	if err := <-sent; err != nil && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		return nil, terminal, fmt.Errorf("tell the container's starter what to do: %w", err)
	}
	return replies, terminal, nil
}

var errStarterDied = errors.New("the container's starter died before it executed the program")

// outcome returns the error in the replies of the starter, nil if the program runs.
func outcome(replies []byte) error {
	before, text, failed := bytes.Cut(replies, []byte{starter.ReplyError})
	if failed {
		return errors.New(string(text))
	}
	if !bytes.HasSuffix(before, []byte{starter.ReplyReady}) {
		return errStarterDied
	}
	return nil
}

// discard closes what was opened for a container that did not start.
func (l *launched) discard() {
	for _, f := range l.output {
		f.Close()
	}
	if l.stdin != nil {
		l.stdin.Close()
	}
	if l.pidfd >= 0 {
		unix.Close(l.pidfd)
	}
}

// files are open files to be closed together.
type files []*os.File

func (f *files) add(file *os.File) { *f = append(*f, file) }

// close may be called again.
func (f files) close() {
	for _, file := range f {
		file.Close()
	}
}

// socketPair returns two ends of a stream socket; both close on exec.
func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "starter")
	f := os.NewFile(uintptr(fds[0]), "server")
	defer f.Close()
	conn, err := net.FileConn(f) // a copy
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

// receivedFile returns the open file that came with a message.
func receivedFile(control []byte) (*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, fmt.Errorf("read the container's terminal: %w", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, fmt.Errorf("read the container's terminal: %w", err)
	}
	return starter.Nonblocking(fds[0], "terminal")
}
