package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

// execWebSocket runs a command over WebSocket, if a proxy lets no SPDY through. The
// translator to SPDY behind the API server makes up a Status when it loses its
// connection, so the exit code cannot be trusted.
func (c *Client) execWebSocket(ctx context.Context, r ExecRequest) (ExecResult, error) {
	executor, err := remotecommand.NewWebSocketExecutor(c.config, http.MethodGet, c.execURL(r).String())
	if err != nil {
		return ExecResult{}, err
	}
	stdout, stderr := newGate(r.Stdout), newGate(r.Stderr)
	defer stdout.Close()
	defer stderr.Close()

	// client-go would write about a lost connection to its log.
	quiet := logr.NewContext(ctx, logr.Discard())
	err = executor.StreamWithContext(quiet, remotecommand.StreamOptions{Stdin: r.Stdin, Stdout: stdout, Stderr: stderr})
	exit := exec.CodeExitError{}
	switch {
	case err == nil:
		return ExecResult{}, nil
	case errors.As(err, &exit):
		return ExecResult{ExitCode: exit.Code}, nil
	case ctx.Err() != nil:
		return ExecResult{}, context.Cause(ctx)
	case httpstream.IsUpgradeFailure(err):
		if status := upgradeStatus(err); status != nil {
			return ExecResult{}, c.cannotStart(ctx, r, *status)
		}
		return ExecResult{}, fmt.Errorf("exec: neither SPDY nor WebSocket gets through to %s: %w", c.Server(), err)
	default:
		return ExecResult{}, &LostError{Started: true, Err: err}
	}
}

// upgradeStatus returns the API server's Status about a refused upgrade, nil if it was
// not the API server that refused.
func upgradeStatus(err error) *metav1.Status {
	failure, ok := errors.AsType[*httpstream.UpgradeFailureError](err)
	if !ok {
		return nil
	}
	status, ok := errors.AsType[*apierrors.StatusError](failure.Cause)
	if !ok {
		return nil
	}
	return &status.ErrStatus
}

// A gate passes writes on until it is closed. client-go's goroutines may write
// after StreamWithContext has returned.
type gate struct {
	mu sync.Mutex
	w  io.Writer // nil if closed
}

func newGate(w io.Writer) *gate {
	if w == nil {
		w = io.Discard
	}
	return &gate{w: w}
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.w == nil {
		return 0, io.ErrClosedPipe
	}
	return g.w.Write(p)
}

func (g *gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.w = nil
}
