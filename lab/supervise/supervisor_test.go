package supervise

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/proc"
)

// aWhile is longer than anything here takes. It ends a test that hangs.
const aWhile = 20 * time.Second

// newProcess returns a process that runs one of the children, ready once its file
// exists.
func newProcess(t *testing.T, name, what string, args ...string) Process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	up := filepath.Join(dir, "up")
	return Process{
		Name: name, Path: self, Args: append([]string{childArgument, what, up}, args...),
		Log:          filepath.Join(dir, name+".log"),
		ReadyTimeout: aWhile, Grace: aWhile,
		Ready: func(context.Context) error {
			_, err := os.Stat(up)
			return err
		},
	}
}

func newSupervisor(t *testing.T, onExit func(string, error)) *Supervisor {
	t.Helper()
	s := New(onExit)
	s.pause = func(int) time.Duration { return time.Millisecond }
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // the remaining processes get no grace
		s.Stop(ctx)
	})
	return s
}

func waiting(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), aWhile)
	t.Cleanup(cancel)
	return ctx
}

func TestReady(t *testing.T) {
	s := newSupervisor(t, func(name string, err error) { t.Error(name, err) })
	p := newProcess(t, "server", "serve")
	require.NoError(t, s.Start(p))
	require.NoError(t, s.WaitReady(waiting(t), "server"))

	status := s.Status()
	require.Len(t, status, 1)
	assert.Equal(t, "server", status[0].Name)
	assert.Equal(t, Ready, status[0].State)
	assert.Greater(t, status[0].Usage.RSS, uint64(1<<20))
	assert.Positive(t, status[0].Took)
	assert.Equal(t, 0, status[0].Restarts)

	require.NoError(t, s.Stop(waiting(t)))
	assert.Equal(t, []Status{{Name: "server", State: Exited, Took: status[0].Took}}, s.Status())
	text, err := os.ReadFile(p.Log)
	require.NoError(t, err)
	assert.Equal(t, "serving\nbye\n", string(text))
	require.NoError(t, s.Stop(waiting(t)), "a second stop")
}

func TestEndedEarly(t *testing.T) {
	s := newSupervisor(t, func(name string, err error) { t.Error(name, err) })
	p := newProcess(t, "etcd", "fail")
	p.Restart = true // not before it has been ready once
	refused := errors.New("connection refused")
	p.Ready = func(context.Context) error { return refused }
	require.NoError(t, s.Start(p))
	err := s.WaitReady(waiting(t), "etcd")

	require.ErrorIs(t, err, ErrEndedEarly)
	var failed *StartError
	require.ErrorAs(t, err, &failed)
	assert.Len(t, failed.Log, shownLines)
	assert.Equal(t, "line 29", failed.Log[shownLines-1])
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 3, exit.ExitCode())
	assert.ErrorContains(t, err, p.Log)
	assert.NotContains(t, err.Error(), "line 14\n")
	assert.Equal(t, Exited, s.Status()[0].State)
}

func TestTooSlow(t *testing.T) {
	s := newSupervisor(t, func(name string, err error) { t.Error(name, err) })
	p := newProcess(t, "etcd", "serve")
	p.ReadyTimeout = 50 * time.Millisecond
	p.Ready = func(context.Context) error { return errors.New("connection refused") }
	require.NoError(t, s.Start(p))
	err := s.WaitReady(waiting(t), "etcd")
	require.ErrorIs(t, err, ErrTooSlow)
	assert.ErrorContains(t, err, "last probe: connection refused")
	assert.Equal(t, Starting, s.Status()[0].State)
}

func TestAProbeThatHangsDoesNotHideTheOneBefore(t *testing.T) {
	s := newSupervisor(t, nil)
	p := newProcess(t, "etcd", "serve")
	p.ReadyTimeout = 50 * time.Millisecond
	probes := 0
	p.Ready = func(ctx context.Context) error {
		if probes++; probes == 1 {
			return errors.New("certificate has expired")
		}
		<-ctx.Done()
		return ctx.Err()
	}
	require.NoError(t, s.Start(p))
	require.ErrorContains(t, s.WaitReady(waiting(t), "etcd"), "certificate has expired")
}

func TestWaitReadyEndsWithItsContext(t *testing.T) {
	s := newSupervisor(t, nil)
	p := newProcess(t, "etcd", "serve")
	p.Ready = func(context.Context) error { return errors.New("no") }
	require.NoError(t, s.Start(p))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	require.ErrorContains(t, s.WaitReady(ctx, "etcd"), "interrupted")
	require.ErrorContains(t, s.WaitReady(ctx, "nobody"), "has not been started")
}

func TestExitIsReported(t *testing.T) {
	type report struct {
		name string
		err  error
	}
	reports := make(chan report, 2)
	s := newSupervisor(t, func(name string, err error) { reports <- report{name, err} })
	require.NoError(t, s.Start(newProcess(t, "proxy", "serve")))
	require.NoError(t, s.WaitReady(waiting(t), "proxy"))
	require.NoError(t, syscall.Kill(s.Status()[0].Pid, syscall.SIGKILL))
	select {
	case r := <-reports:
		assert.Equal(t, "proxy", r.name)
		assert.ErrorContains(t, r.err, "signal: killed")
		assert.ErrorContains(t, r.err, "serving")
	case <-waiting(t).Done():
		require.Fail(t, "no report")
	}
	require.NoError(t, s.Stop(waiting(t)))
	assert.Empty(t, reports, "a stop is no news")
}

func TestRestart(t *testing.T) {
	s := newSupervisor(t, func(name string, err error) { t.Error(name, err) })
	p := newProcess(t, "kubelet", "serve")
	p.Restart = true
	require.NoError(t, s.Start(p))
	require.NoError(t, s.WaitReady(waiting(t), "kubelet"))
	for restarts := range 3 {
		before := s.Status()[0]
		require.Equal(t, restarts, before.Restarts)
		require.NoError(t, syscall.Kill(before.Pid, syscall.SIGKILL))
		require.Eventually(t, func() bool {
			now := s.Status()[0]
			return now.State == Ready && now.Pid != before.Pid && now.Restarts == restarts+1
		}, aWhile, time.Millisecond)
	}
	require.NoError(t, s.Stop(waiting(t)))
	assert.Equal(t, Exited, s.Status()[0].State)
}

func TestARestartThatIsTooSlowIsTriedAgain(t *testing.T) {
	s := newSupervisor(t, nil)
	p := newProcess(t, "kubelet", "serve")
	p.Restart = true
	p.ReadyTimeout = time.Second
	ready := p.Ready
	var runs []int
	p.Ready = func(ctx context.Context) error {
		pid := s.Status()[0].Pid
		if len(runs) == 0 || runs[len(runs)-1] != pid {
			runs = append(runs, pid)
		}
		if len(runs) == 2 {
			return errors.New("not this one")
		}
		return ready(ctx)
	}
	require.NoError(t, s.Start(p))
	require.NoError(t, s.WaitReady(waiting(t), "kubelet"))
	require.NoError(t, syscall.Kill(s.Status()[0].Pid, syscall.SIGKILL))
	require.Eventually(t, func() bool {
		now := s.Status()[0]
		return now.State == Ready && now.Restarts >= 2
	}, aWhile, 5*time.Millisecond)
}

func TestStopWhileWaitingToRestart(t *testing.T) {
	s := newSupervisor(t, nil)
	s.pause = func(int) time.Duration { return time.Hour }
	p := newProcess(t, "kubelet", "serve")
	p.Restart = true
	require.NoError(t, s.Start(p))
	require.NoError(t, s.WaitReady(waiting(t), "kubelet"))
	require.NoError(t, syscall.Kill(s.Status()[0].Pid, syscall.SIGKILL))
	require.Eventually(t, func() bool { return s.Status()[0].State == Waiting }, aWhile, time.Millisecond)
	require.NoError(t, s.Stop(waiting(t)))
	assert.Equal(t, Exited, s.Status()[0].State)
}

func TestStopWhileStarting(t *testing.T) {
	s := newSupervisor(t, func(name string, err error) { t.Error(name, err) })
	p := newProcess(t, "apiserver", "serve")
	p.Ready = func(context.Context) error { return errors.New("no") }
	require.NoError(t, s.Start(p))
	waited := make(chan error)
	go func() { waited <- s.WaitReady(t.Context(), "apiserver") }()
	require.NoError(t, s.Stop(waiting(t)))
	require.ErrorIs(t, <-waited, errStopped)
	require.ErrorIs(t, s.Start(newProcess(t, "late", "serve")), errStopped)
}

func TestStopIsInReverseOrder(t *testing.T) {
	s := newSupervisor(t, nil)
	order := filepath.Join(t.TempDir(), "order")
	for _, name := range []string{"etcd", "apiserver", "kubelet"} {
		require.NoError(t, s.Start(newProcess(t, name, "sign off", order, name)))
		require.NoError(t, s.WaitReady(waiting(t), name))
	}
	require.NoError(t, s.Stop(waiting(t)))
	text, err := os.ReadFile(order)
	require.NoError(t, err)
	assert.Equal(t, "kubelet\napiserver\netcd\n", string(text))
}

func TestTheWholeGroupIsKilled(t *testing.T) {
	for how, end := range map[string]func(*Supervisor, int) error{
		"stop": func(s *Supervisor, _ int) error { return s.Stop(t.Context()) },
		"kill": func(s *Supervisor, pid int) error { return syscall.Kill(pid, syscall.SIGKILL) },
	} {
		t.Run(how, func(t *testing.T) {
			s := newSupervisor(t, nil)
			p := newProcess(t, "kubelet", "parent")
			require.NoError(t, s.Start(p))
			require.NoError(t, s.WaitReady(waiting(t), "kubelet"))
			text, err := os.ReadFile(p.Args[2])
			require.NoError(t, err)
			grandchild, err := strconv.Atoi(strings.TrimSpace(string(text)))
			require.NoError(t, err)
			require.True(t, runs(grandchild))
			require.NoError(t, end(s, s.Status()[0].Pid))
			assert.Eventually(t, func() bool { return !runs(grandchild) }, aWhile, time.Millisecond)
			assert.Eventually(t, func() bool { return s.Status()[0].State == Exited }, aWhile, time.Millisecond)
		})
	}
}

// runs reports whether a process exists and is not a zombie.
func runs(pid int) bool {
	u, err := proc.Of(pid)
	return err == nil && u.RSS > 0
}

func TestProbeAsksNow(t *testing.T) {
	s := newSupervisor(t, nil)
	p := newProcess(t, "server", "serve")
	var problem atomic.Pointer[error]
	asked := p.Ready
	p.Ready = func(ctx context.Context) error {
		if err := problem.Load(); err != nil {
			return *err
		}
		return asked(ctx)
	}
	require.ErrorContains(t, s.Probe(t.Context(), "server"), "it has not been started")
	require.NoError(t, s.Start(p))
	require.NoError(t, s.WaitReady(waiting(t), "server"))
	require.NoError(t, s.Probe(waiting(t), "server"))

	hangs := errors.New("it hangs")
	problem.Store(&hangs)
	require.ErrorIs(t, s.Probe(waiting(t), "server"), hangs)
	assert.Equal(t, Ready, s.Status()[0].State, "as it was at the start")

	require.NoError(t, s.Stop(waiting(t)))
	require.ErrorContains(t, s.Probe(waiting(t), "server"), "it is exited")
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		grace time.Duration
		ctx   context.Context
		want  string
	}{
		"after its grace":   {time.Millisecond, t.Context(), "did not end within 1ms"},
		"without time left": {time.Hour, over, "no time was left"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSupervisor(t, nil)
			p := newProcess(t, "deaf", "deaf")
			p.Grace = c.grace
			require.NoError(t, s.Start(p))
			require.NoError(t, s.WaitReady(waiting(t), "deaf"))
			require.ErrorContains(t, s.Stop(c.ctx), c.want)
			assert.Equal(t, Exited, s.Status()[0].State)
		})
	}
}

func TestStartThatCannotBe(t *testing.T) {
	s := newSupervisor(t, nil)
	p := newProcess(t, "twice", "serve")
	require.NoError(t, s.Start(p))
	require.ErrorContains(t, s.Start(p), "start twice: it has been started already")

	missing := newProcess(t, "missing", "serve")
	missing.Path = "/no/such/program"
	require.ErrorContains(t, s.Start(missing), "/no/such/program")
	unwritable := newProcess(t, "unwritable", "serve")
	unwritable.Log = "/no/such/folder/log"
	require.ErrorContains(t, s.Start(unwritable), "/no/such/folder/log")
	assert.Len(t, s.Status(), 1)
}

func TestProcessWithoutProbeAndLog(t *testing.T) {
	s := newSupervisor(t, nil)
	p := newProcess(t, "plain", "serve")
	p.Ready, p.Log = nil, ""
	require.NoError(t, s.Start(p))
	require.NoError(t, s.WaitReady(waiting(t), "plain"))
}

func TestBackOff(t *testing.T) {
	assert.Equal(t, 100*time.Millisecond, backOff(0))
	assert.Equal(t, 200*time.Millisecond, backOff(1))
	assert.Equal(t, 5*time.Second, backOff(6))
	assert.Equal(t, 5*time.Second, backOff(1000))
}
