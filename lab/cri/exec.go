package cri

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"

	"github.com/egressplay/egressplay/lab/cri/starter"
)

// maxSyncOutput is how many bytes of each of an ExecSync's two outputs are kept: both
// must fit in one message, see maxMessage.
const maxSyncOutput = 7 << 20

// An execution is one command that runs in a container besides its program.
type execution struct {
	args           []string
	stdin          io.Reader // nil is /dev/null
	stdout, stderr io.Writer // nil is /dev/null
	terminal       bool      // all three are one terminal; stderr is not used
	resize         <-chan remotecommand.TerminalSize
}

// execute runs a command in a container as the container's program runs: in the
// same root and namespaces, with the same ids, capabilities and environment. There is
// no helper program in between: a thread joins the container and forks there. Only the
// limit of open files is the lab's, because a fork cannot change it.
//
// It returns the exit code when the command has ended and its output has been passed
// on. It waits for children in the background that hold the output, as other runtimes
// do. When ctx ends, the command and its process group are killed.
//
// A command that cannot be executed gives an error and no exit code, as with
// containerd: kubectl prints "Internal error occurred: ... executable file not found in
// $PATH" and exits with 1.
func (s *Server) execute(ctx context.Context, id string, e execution) (int32, error) {
	if len(e.args) == 0 {
		return 0, invalid("no command to execute")
	}
	c, err := s.running(id)
	if err != nil {
		return 0, err
	}
	pidfd, err := s.copyPidfd(c)
	if err != nil {
		return 0, err
	}
	defer unix.Close(pidfd)

	p, err := e.start(c, pidfd)
	if err != nil {
		return 0, err
	}
	cancelled := context.AfterFunc(ctx, p.kill)
	defer cancelled()
	code, err := p.wait()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return code, err
}

// copyPidfd returns a pidfd of the container's process that stays valid when the
// container ends.
func (s *Server) copyPidfd(c *container) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.pidfd < 0 {
		return -1, errNotRunning(c)
	}
	fd, err := unix.FcntlInt(uintptr(c.pidfd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("refer to the container's process: %w", err)
	}
	return fd, nil
}

func errNotRunning(c *container) error {
	return status.Errorf(codes.FailedPrecondition, "container %s is not running", c.config.Metadata.Name)
}

// executed is a command that has been started.
type executed struct {
	process  *os.Process
	output   files          // the files from which its output is read
	copying  sync.WaitGroup // of the output, to whoever wants it
	terminal *os.File       // nil if it has none
}

func (e *execution) start(c *container, pidfd int) (*executed, error) {
	p := &executed{}
	var theirs files // given to the command
	defer func() { theirs.close() }()
	stdio := make([]*os.File, 3) // nil: /dev/null
	if !e.terminal {
		for i, w := range []io.Writer{e.stdout, e.stderr} {
			if w == nil {
				continue
			}
			ours, end, err := os.Pipe()
			if err != nil {
				p.output.close()
				return nil, err
			}
			theirs.add(end)
			p.output.add(ours)
			stdio[i+1] = end
			p.copying.Go(func() { drain(w, ours) })
		}
		if e.stdin != nil {
			end, ours, err := os.Pipe()
			if err != nil {
				p.output.close()
				return nil, err
			}
			theirs.add(end)
			stdio[0] = end
			go feed(ours, e.stdin)
		}
		for _, f := range theirs { // the command may open /dev/stdout again
			if err := f.Chown(c.spec.UID, c.spec.GID); err != nil {
				p.output.close()
				return nil, err
			}
		}
	}

	err := onThread(func() error {
		if err := c.join(pidfd); err != nil {
			return err
		}
		attr := &os.ProcAttr{Env: c.spec.Env, Files: stdio, Sys: &syscall.SysProcAttr{Setsid: true}}
		if e.terminal {
			master, slave, err := starter.OpenTerminal(c.spec.UID)
			if err != nil {
				return err
			}
			theirs.add(slave)
			p.output.add(master)
			p.terminal = master
			attr.Files = []*os.File{slave, slave, slave}
			attr.Sys.Setctty = true // Ctty is 0, the command's stdin
			attr.Env = withTerm(attr.Env)
		}
		if slices.Contains(attr.Files, nil) {
			null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
			if err != nil {
				return err
			}
			theirs.add(null)
			for i, f := range attr.Files {
				if f == nil {
					attr.Files[i] = null
				}
			}
		}
		var err error
		p.process, err = c.fork(e.args, attr)
		return err
	})
	if err != nil {
		p.output.close()
		return nil, err
	}
	if p.terminal != nil {
		p.copying.Go(func() { drain(e.stdout, p.terminal) })
		go resizeTerminal(p.terminal, e.resize)
		if e.stdin != nil {
			go io.Copy(p.terminal, e.stdin) // ends with the client or the terminal
		}
	}
	return p, nil
}

// join moves the calling thread, which must end soon, into the container.
func (c *container) join(pidfd int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("part from the server's root: %w", err)
	}
	const all = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC
	switch err := unix.Setns(pidfd, all); {
	case errors.Is(err, unix.ESRCH):
		return errNotRunning(c)
	case err != nil:
		return fmt.Errorf("join the container: %w", err)
	}
	unix.Umask(0o022)
	if err := unix.Chdir(c.spec.WorkingDir); err != nil {
		return fmt.Errorf("working directory %s: %w", c.spec.WorkingDir, err)
	}
	return nil
}

// fork starts a program from a thread that has joined the container. The program gets
// nothing that the container may not have.
func (c *container) fork(args []string, attr *os.ProcAttr) (*os.Process, error) {
	program, err := starter.LookPath(args[0], attr.Env)
	if err != nil {
		return nil, err
	}
	if err := c.spec.Caps.Restrict(); err != nil {
		return nil, err
	}
	if err := c.spec.NoNewPrivileges(); err != nil {
		return nil, err
	}
	if err := starter.EmptySignalMask(); err != nil {
		return nil, err
	}
	groups := make([]uint32, len(c.spec.Groups))
	for i, g := range c.spec.Groups {
		groups[i] = uint32(g)
	}
	attr.Sys.Credential = &syscall.Credential{Uid: uint32(c.spec.UID), Gid: uint32(c.spec.GID), Groups: groups}
	process, err := os.StartProcess(program, args, attr)
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = fmt.Errorf("exec: %q: %w", args[0], failed.Err)
	}
	return process, err
}

// wait returns the exit code once all output has been passed on.
func (p *executed) wait() (int32, error) {
	state, err := p.process.Wait()
	if p.terminal != nil { // a child in the background may keep the terminal open; the shell and its user are gone
		if derr := p.terminal.SetReadDeadline(time.Now().Add(drainTime)); derr != nil {
			p.terminal.Close()
		}
	}
	p.copying.Wait()
	p.output.close()
	if err != nil {
		return 0, fmt.Errorf("wait for the command: %w", err)
	}
	return exitCode(state), nil
}

// kill ends the command and everything in its process group, and stops waiting
// for output.
func (p *executed) kill() {
	unix.Kill(-p.process.Pid, unix.SIGKILL) // an error means that nothing is left
	p.output.close()
}

// drain copies a command's output to its end. If w takes no more, the command does not
// notice.
func drain(w io.Writer, r io.Reader) {
	if _, err := io.Copy(w, r); err != nil {
		io.Copy(io.Discard, r)
	}
}

// feed copies a client's input to a command. An error means that one of the two is
// gone.
func feed(w io.WriteCloser, r io.Reader) {
	io.Copy(w, r)
	w.Close()
}

// withTerm adds TERM=xterm to an environment that has no TERM.
func withTerm(env []string) []string {
	if slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "TERM=") }) {
		return env
	}
	return append(slices.Clone(env), "TERM=xterm")
}

// ExecSync implements the RuntimeService. It keeps the first maxSyncOutput bytes
// of each output.
func (s *Server) ExecSync(ctx context.Context, r *runtimeapi.ExecSyncRequest) (*runtimeapi.ExecSyncResponse, error) {
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.Timeout)*time.Second)
		defer cancel()
	}
	var stdout, stderr head
	code, err := s.execute(ctx, r.ContainerId, execution{args: r.Cmd, stdout: &stdout, stderr: &stderr})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, status.Errorf(codes.DeadlineExceeded, "command %q did not end within its timeout of %ds and was killed", r.Cmd, r.Timeout)
	}
	if err != nil {
		return nil, status.Error(status.Code(err), execError(err).Error())
	}
	return &runtimeapi.ExecSyncResponse{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), ExitCode: code}, nil
}

// execError returns an error for the client of an exec, without the wrapping of a gRPC
// status.
func execError(err error) error {
	return fmt.Errorf("failed to exec in container: %s", status.Convert(err).Message())
}

// head keeps the beginning of what is written.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), maxSyncOutput-h.Len())])
	return len(p), nil
}

// Exec implements the RuntimeService: it returns the URL of the exec.
func (s *Server) Exec(_ context.Context, r *runtimeapi.ExecRequest) (*runtimeapi.ExecResponse, error) {
	if _, err := s.running(r.ContainerId); err != nil {
		return nil, err
	}
	return s.streams.GetExec(r)
}

// Exec implements [streaming.Runtime].
func (st streamer) Exec(ctx context.Context, id string, args []string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	e := execution{args: args, stdin: in, terminal: tty, resize: resize}
	if out != nil {
		e.stdout = out
	}
	if errOut != nil {
		e.stderr = errOut
	}
	if tty && out == nil {
		e.stdout = io.Discard
	}
	code, err := st.execute(ctx, id, e)
	if err != nil {
		return execError(err)
	}
	if code != 0 {
		return &utilexec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: int(code)}
	}
	return nil
}
