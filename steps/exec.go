package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/runner"
)

// Exec runs a command in a container of a pod, without a shell.
type Exec struct {
	In        Pod    `yaml:"in"`
	Container string `yaml:"container"`
	Namespace string `yaml:"namespace"`
	// Argv is split into words as a shell would split them; each word becomes
	// one argument.
	Argv  Words  `yaml:"command,scalar,required"`
	Stdin string `yaml:"stdin"`
}

var (
	_ runner.PodAction = (*Exec)(nil)
	_ Defaulter        = (*Exec)(nil)
	_ Validator        = (*Exec)(nil)
)

// SetDefaults implements [Defaulter].
func (e *Exec) SetDefaults(d Defaults) {
	if e.In.IsZero() {
		e.In.Name = d.In
	}
	e.Container = cmp.Or(e.Container, d.Container)
	e.Namespace = cmp.Or(e.Namespace, d.Namespace)
}

// Validate implements [Validator].
func (e *Exec) Validate() error {
	if e.In.IsZero() {
		return &runner.FieldError{
			Err:  errors.New("no pod to run the command in"),
			Hint: "write in: POD, in: deploy/NAME or in: {selector: LABELS}, or give it once under defaults",
		}
	}
	return nil
}

// Command implements [runner.Action].
func (e *Exec) Command(s *runner.Scope) string {
	args := []string{"exec"}
	if e.Stdin != "" {
		args = append(args, "-i")
	}
	args = append(args, e.In.args()...)
	if e.Container != "" {
		args = append(args, "-c", e.Container)
	}
	return kubectl(cmp.Or(e.Namespace, s.Namespace), append(append(args, "--"), e.Argv...)...)
}

// Repeats implements [runner.Action].
func (e *Exec) Repeats() bool { return true }

// Pod implements [runner.PodAction].
func (e *Exec) Pod(ctx context.Context, s *runner.Scope) (*cluster.Pod, error) {
	return ready(s.Cluster.Pod(ctx, e.In.query(cmp.Or(e.Namespace, s.Namespace), e.Container)))
}

// Try implements [runner.Action].
func (e *Exec) Try(ctx context.Context, s *runner.Scope) (*runner.Observation, error) {
	pod, err := e.Pod(ctx, s)
	if err != nil {
		return nil, err
	}
	return run(ctx, s.Cluster, pod, e.Argv, e.Stdin)
}

// run runs a command in a pod and gathers what it showed. Where the command is
// curl, curl itself is a second witness of it.
func run(ctx context.Context, c cluster.Interface, pod *cluster.Pod, argv []string, stdin string) (*runner.Observation, error) {
	curl, isCurl := parseCurl(argv)
	stdout, stderr := cluster.Bounded{Max: maxOutput}, cluster.Bounded{Max: maxOutput}
	request := cluster.ExecRequest{
		Namespace: pod.Namespace, Pod: pod.Name, Container: pod.Container,
		Command: argv, Stdout: &stdout, Stderr: &stderr,
	}
	if stdin != "" {
		request.Stdin = strings.NewReader(stdin)
	}
	if isCurl {
		request.Command = curl.argv
	}
	o := &runner.Observation{Pod: pod, Started: time.Now()}
	result, err := c.Exec(ctx, request)
	o.Ended = time.Now()
	o.Elapsed = o.Ended.Sub(o.Started)
	o.Stdout, o.Stderr = stdout.String(), stderr.String()
	o.Truncated = stdout.Truncated || stderr.Truncated
	if isCurl {
		if werr := curl.witness(o); werr != nil && err == nil {
			err = werr
		}
	}
	if err != nil {
		o.Text = o.Stdout + o.Stderr
		if lost, ok := errors.AsType[*cluster.LostError](err); ok && !lost.Started {
			return o, runner.Retryable(err)
		}
		return o, err
	}
	if !result.Trusted && o.CurlExitCode == nil {
		return o, errors.New("the exit code cannot be trusted: the server takes commands only over WebSocket, which can make up a success when a connection is lost")
	}
	if o.CurlExitCode != nil && *o.CurlExitCode != result.ExitCode {
		return o, fmt.Errorf("two exit codes: curl itself says %d, the server %d", *o.CurlExitCode, result.ExitCode)
	}
	o.ExitCode = &result.ExitCode
	o.Text = o.Stdout + o.Stderr
	if result.ExitCode != 0 {
		if o.Text != "" && !strings.HasSuffix(o.Text, "\n") {
			o.Text += "\n"
		}
		o.Text += fmt.Sprintf("command terminated with exit code %d\n", result.ExitCode)
	}
	return o, nil
}

// maxOutput is how much of a command's output is kept, in bytes of each
// stream.
const maxOutput = 1 << 20
