package supervise

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// run is one run of a process, the leader of a process group of its own.
type run struct {
	cmd    *exec.Cmd
	pid    int           // also of its group
	output *os.File      // from which its output is read
	copied chan struct{} // closed when all output is in the log
}

func startRun(p Process, log *logFile) (*run, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env, cmd.Dir, cmd.ExtraFiles = p.Env, p.Dir, p.ExtraFiles
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	started := &run{cmd: cmd, pid: cmd.Process.Pid, output: r, copied: make(chan struct{})}
	go func() {
		defer close(started.copied)
		for { // a log that cannot be written, as on a full disk, must not block the process
			_, err := io.Copy(log, r)
			var failed *os.PathError
			if !errors.As(err, &failed) || failed.Op != "write" {
				return
			}
		}
	}()
	return started, nil
}

// lateOutput is how long a run that has ended may still write to its log: a process
// that has left the group may hold the pipe for ever.
const lateOutput = time.Second

// wait waits for the leader, kills the rest of its group, and returns when the output
// is in the log.
func (r *run) wait() error {
	err := r.cmd.Wait()
	r.signal(syscall.SIGKILL)
	r.output.SetReadDeadline(time.Now().Add(lateOutput))
	<-r.copied
	return errors.Join(err, r.output.Close())
}

// signal signals the whole group. It ignores a group that is gone: signals here are to
// end it anyway.
func (r *run) signal(s syscall.Signal) {
	_ = syscall.Kill(-r.pid, s)
}
