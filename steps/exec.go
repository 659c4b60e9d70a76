package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/curl"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/mesh"
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
	_ Limited          = (*Exec)(nil)
	_ Reader           = (*Exec)(nil)
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

// CannotShow implements [Limited]: what curl tells of its requests is not known
// of another program, nor of a curl that cannot tell.
func (e *Exec) CannotShow(needs evidence.Needs) error {
	if !needs.Curl {
		return nil
	}
	command, isCurl := curl.Parse(e.Argv)
	decides := curl.Program(e.Argv)
	if isCurl {
		decides = e.Argv
	}
	switch {
	case slices.ContainsFunc(decides, func(word string) bool { return strings.Contains(word, "${") }):
		return nil // seen when the step is judged
	case !isCurl:
		return &runner.FieldError{
			Err:  errors.New("only curl tells of its requests, and the command is no curl"),
			Hint: "make the request with curl, or expect what any command shows: stdout, stderr, exitCode, elapsed",
		}
	case command.Unreported != "":
		return &runner.FieldError{
			Err:  errors.New("curl cannot tell of its requests here: " + command.Unreported),
			Hint: "have one curl make the request without that, or expect what any command shows: stdout, stderr, exitCode, elapsed",
		}
	}
	return nil
}

// Command implements [runner.Action].
func (e *Exec) Command(s *runner.Scope) string {
	verb := []string{"exec"}
	if e.Stdin != "" {
		verb = append(verb, "-i")
	}
	var rest []string
	if e.Container != "" {
		rest = append(rest, "-c", e.Container)
	}
	command := e.In.command(cmp.Or(e.Namespace, s.Namespace), verb, append(append(rest, "--"), s.Secrets.Argv(e.Argv)...)...)
	if e.Stdin != "" {
		return withInput(command, e.Stdin)
	}
	return command
}

// Repeats implements [runner.Action].
func (e *Exec) Repeats() bool { return true }

// Role implements [Looker].
func (e *Exec) Role() runner.Role {
	if onlyReads(e.Argv) {
		return runner.ReadsTraces
	}
	return runner.Requests
}

// Reads implements [Reader].
func (e *Exec) Reads() []cluster.Access {
	q := e.In.query(e.Namespace, e.Container)
	run := cluster.Access{Verb: "create", Ref: cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: e.Namespace, Name: q.Name}, Subresource: "exec"}
	return append(cluster.PodReads(q), run)
}

// Pod implements [runner.PodAction].
func (e *Exec) Pod(ctx context.Context, s *runner.Scope) (*cluster.Pod, error) {
	return ready(s.Cluster.Pod(ctx, e.In.query(cmp.Or(e.Namespace, s.Namespace), e.Container)))
}

// Try implements [runner.Action].
func (e *Exec) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	pod, err := e.Pod(ctx, s)
	if err != nil {
		return nil, err
	}
	return run(ctx, s.Cluster, pod, e.Argv, e.Stdin)
}

// run runs a command in a pod and gathers what it showed. Where the command is
// curl, curl itself is a second witness of it.
func run(ctx context.Context, c cluster.Interface, pod *cluster.Pod, argv []string, stdin string) (*evidence.Attempt, error) {
	command, isCurl := curl.Parse(argv)
	if !isCurl {
		command = &curl.Command{Argv: argv, Unreported: "it is no curl"}
	}
	stdout, stderr := command.Output(maxOutput), cluster.Bounded{Max: maxOutput}
	request := cluster.ExecRequest{
		Namespace: pod.Namespace, Pod: pod.Name, Container: pod.Container,
		Command: command.Argv, Stdout: stdout, Stderr: &stderr,
	}
	if stdin != "" {
		request.Stdin = strings.NewReader(stdin)
	}
	a := &evidence.Attempt{Started: time.Now()}
	result, err := c.Exec(ctx, request)
	a.Ended = time.Now()
	a.Command = &evidence.Command{
		Argv: argv,
		Pod: evidence.Pod{
			Namespace: pod.Namespace, Name: pod.Name, IP: pod.IP, Node: pod.Node, Container: pod.Container,
			Sidecar: slices.Contains(pod.Containers, mesh.Sidecar),
		},
		Stdout: stdout.Stdout(), Stderr: command.Stderr(stderr.String()),
		Truncated: stdout.Truncated() || stderr.Truncated,
		Elapsed:   a.Ended.Sub(a.Started),
		OnlyReads: onlyReads(argv),
	}
	a.Text = a.Command.Stdout + a.Command.Stderr
	if lost, ok := errors.AsType[*cluster.LostError](err); ok && !lost.Started {
		return a, runner.Retryable(err)
	}
	if err != nil {
		return a, err
	}
	if isCurl {
		if err := witness(a, command, stdout); err != nil {
			return a, err
		}
	}
	code, reported := curlExitCode(a)
	switch {
	case !result.Trusted && !reported:
		return a, errors.New("the exit code cannot be trusted: the server takes commands only over WebSocket, which can make up a success when a connection is lost")
	case reported && code != result.ExitCode:
		return a, fmt.Errorf("two exit codes: curl itself says %d, the server %d", code, result.ExitCode)
	}
	a.Command.ExitCode = &result.ExitCode
	if result.ExitCode != 0 {
		if a.Text != "" && !strings.HasSuffix(a.Text, "\n") {
			a.Text += "\n"
		}
		a.Text += fmt.Sprintf("command terminated with exit code %d\n", result.ExitCode)
	}
	return a, nil
}

// curlExitCode returns the exit code that curl ends with by its own report: that
// of its last transfer.
func curlExitCode(a *evidence.Attempt) (code int, reported bool) {
	if len(a.Transfers) == 0 {
		return 0, false
	}
	return a.Transfers[len(a.Transfers)-1].ExitCode, true
}

// witness adds what curl reports of itself.
func witness(a *evidence.Attempt, command *curl.Command, stdout *curl.Output) error {
	a.Command.Curl = &evidence.Curl{
		Unreported: command.Unreported,
		HeadsShown: command.HeadsToStdout && command.Mixed == "",
		BodyShown:  command.BodyToStdout && command.Mixed == "",
		Redirected: command.Rerouted,
		Proxy:      command.Proxy,
		Retries:    command.Retries,
		FixedPort:  command.FixedPort,
	}
	if command.Unreported != "" {
		a.Body, a.Command.Curl.BodyShown = a.Command.Stdout, true
		return nil
	}
	transfers, err := stdout.Transfers()
	if err != nil {
		return err
	}
	var elapsed time.Duration
	for _, t := range transfers {
		elapsed += t.Elapsed
		a.Transfers = append(a.Transfers, transferOf(&t))
		heads := len(a.Responses)
		for _, h := range t.Heads {
			if h.Status >= 200 {
				a.Responses = append(a.Responses, evidence.Response{Proto: h.Proto, Status: h.Status, Header: h.Header()})
			}
		}
		if len(a.Responses) == heads && t.Status != 0 {
			a.Responses = append(a.Responses, evidence.Response{Proto: t.Proto, Status: t.Status})
		}
		a.Command.Curl.HeadsShown = a.Command.Curl.HeadsShown && t.HeadsShown
	}
	if len(transfers) > 0 {
		last := transfers[len(transfers)-1]
		if !command.Retries && !command.Waits { // else curl's clock knows its last try alone, or no waiting
			a.Command.Elapsed = elapsed
		}
		a.Body, a.Command.Curl.BodyShown = last.Body, last.BodyShown
	}
	return nil
}

func transferOf(t *curl.Transfer) evidence.Transfer {
	e := evidence.Transfer{
		URL: t.Asked, ExitCode: t.ExitCode, Status: t.Status, Proto: t.Proto, Redirects: t.Redirects, Connects: t.Connects,
		Local: t.LocalAddr, Remote: t.RemoteAddr, HeadBytes: t.HeadBytes, BodyBytes: t.BodyBytes, Elapsed: t.Elapsed,
		ContentType: t.ContentType, Error: t.Error, Repeated: t.Repeated,
	}
	fields := t.Trailer
	if len(t.Heads) > 0 {
		fields = append(slices.Clone(t.Heads[len(t.Heads)-1].Fields), fields...)
	}
	for _, f := range fields {
		if strings.EqualFold(f.Name, "grpc-status") {
			e.GRPCStatus = strings.TrimSpace(f.Value)
		}
	}
	return e
}

// maxOutput is how much of a command's output is kept, in bytes of each
// stream.
const maxOutput = 1 << 20
