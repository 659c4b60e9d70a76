package runner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/egressplay/egressplay/cluster"
)

// An Action is the verb of a step with its values put in.
type Action interface {
	// Command returns the command that a person would type for the same, as
	// the tutorial prints it. It may have several lines.
	Command(s *Scope) string

	// Try does the step's work once and returns what it showed.
	//
	// An error says that the attempt showed nothing that could be judged. It
	// ends the step, unless [Retryable] marks it. A [*Mismatch] says that what
	// the step promises by itself did not hold, such as "the object is
	// accepted".
	Try(ctx context.Context, s *Scope) (*Observation, error)

	// Repeats says whether an attempt that did not hold may be made again:
	// true for a step that looks, false for one that changes.
	Repeats() bool
}

// A PodAction is an [Action] that runs a command in a pod.
type PodAction interface {
	Action

	// Pod returns the pod in which an attempt would run the command now.
	Pod(ctx context.Context, s *Scope) (*cluster.Pod, error)
}

// An Observation is what one attempt showed. Fields that do not apply to the
// kind of step are zero.
type Observation struct {
	// ExitCode is the command's exit code as the server sent it, 128 + the
	// signal for a command that a signal ended; nil when no command was run.
	ExitCode *int
	// CurlExitCode is the exit code that curl itself reported beside it, nil
	// where it did not.
	CurlExitCode *int
	// Stdout and Stderr are what the command wrote, each at most 1 MiB of it.
	Stdout, Stderr string
	// Truncated says that there was more output than was kept.
	Truncated bool

	// Responses are the HTTP responses in the order in which they came: the
	// heads that curl printed, or where it printed none, the last response as
	// curl reported it.
	Responses []Response
	// Redirects is how many redirects curl followed.
	Redirects int
	// HeadsShown says that curl was told to print the heads of its responses,
	// so that Responses is complete.
	HeadsShown bool
	// Body is Stdout without the heads of Responses.
	Body string

	// Elapsed is the command's own time where it told, else that of the call.
	Elapsed time.Duration

	// Pod is the pod in which a command ran.
	Pod *cluster.Pod
	// LocalAddr is the address ("ip:port") from which curl made its last
	// connection; "" when it made none or is not known.
	LocalAddr string
	// Started and Ended bound the attempt, by this machine's clock.
	Started, Ended time.Time

	// Text is what a reader is shown, as the command would have printed it.
	Text string
}

// A Response is the head of one HTTP response.
type Response struct {
	Proto  string // "HTTP/1.1" or "HTTP/2", as curl prints it
	Status int
	Header http.Header // nil when it is not known
}

// An Expectation judges what one attempt showed.
type Expectation interface {
	// Check returns nil when the expectation holds, a [*Mismatch] when it does
	// not, and another error when it cannot be judged, which ends the step.
	Check(o *Observation) error
}

// A Watcher is an [Expectation] about something that the observation does not
// show, such as a proxy's access log.
type Watcher interface {
	Expectation

	// Watch is called before each attempt of an action. The function that it
	// returns is called after the attempt in place of Check, with the same
	// kinds of errors; it sees only what that attempt caused.
	Watch(ctx context.Context, s *Scope, action Action) (judge func(ctx context.Context, o *Observation) error, err error)
}

// A Mismatch says that an expectation did not hold.
type Mismatch struct {
	What string // what was looked at: "exit code", "header location of response 1"
	Want string
	Got  string
}

func (m *Mismatch) Error() string {
	return fmt.Sprintf("%s: want %s, got %s", m.What, m.Want, m.Got)
}

// Mismatches are several expectations that one attempt did not meet.
type Mismatches []*Mismatch

func (ms Mismatches) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// Retryable marks an error as one that time may cure: no pod is ready yet, an
// object does not exist yet. The attempt is made again until the step's
// deadline, also where the step does not repeat otherwise.
func Retryable(err error) error { return &retryable{err} }

type retryable struct{ error }

func (r *retryable) Unwrap() error { return r.error }

func isRetryable(err error) bool {
	_, ok := errors.AsType[*retryable](err)
	return ok
}

// mismatches returns the mismatches in err, and whether there are any.
func mismatches(err error) (Mismatches, bool) {
	if ms, ok := errors.AsType[Mismatches](err); ok {
		return ms, true
	}
	if m, ok := errors.AsType[*Mismatch](err); ok {
		return Mismatches{m}, true
	}
	return nil, false
}
