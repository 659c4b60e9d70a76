package cri

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// taps are the clients that get a container's output besides its log. A client that
// does not read blocks the container's output, as with containerd, until it reads on or
// goes away.
type taps struct {
	mu   sync.Mutex
	list []*tap
}

type tap struct{ stdout, stderr io.Writer } // nil: not wanted

func (t *taps) write(stream string, p []byte) {
	t.mu.Lock()
	list := slices.Clone(t.list)
	t.mu.Unlock()
	for _, tap := range list {
		w := tap.stdout
		if stream == "stderr" {
			w = tap.stderr
		}
		if w == nil {
			continue
		}
		if _, err := w.Write(p); err != nil {
			t.remove(tap) // its connection is gone; its handler notices that as well
		}
	}
}

func (t *taps) add(added *tap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, added)
}

func (t *taps) remove(gone *tap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = slices.DeleteFunc(t.list, func(other *tap) bool { return other == gone })
}

// Attach implements the RuntimeService: it returns the URL to attach to.
func (s *Server) Attach(_ context.Context, r *runtimeapi.AttachRequest) (*runtimeapi.AttachResponse, error) {
	if _, err := s.running(r.ContainerId); err != nil {
		return nil, err
	}
	return s.streams.GetAttach(r)
}

// Attach implements [streaming.Runtime]. The client sees the output from now on,
// to the container's end; its input reaches a container that has stdin: true.
func (st streamer) Attach(ctx context.Context, id string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	c, err := st.running(id)
	if err != nil {
		return err
	}
	st.mu.Lock()
	stdin, terminal := c.stdin, c.terminal
	st.mu.Unlock()

	t := &tap{}
	if out != nil {
		t.stdout = out
	}
	if errOut != nil {
		t.stderr = errOut
	}
	c.taps.add(t)
	defer c.taps.remove(t)
	if terminal != nil {
		go resizeTerminal(terminal, resize)
	}
	if in != nil && stdin != nil {
		go func() {
			// Errors mean that the client or the container is gone, which is what
			// the select below waits for.
			_, err := io.Copy(stdin, in)
			if err == nil && c.config.StdinOnce && terminal == nil {
				stdin.Close()
			}
		}()
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return errors.New("attach: the client went away")
	}
}

// running returns a container that runs.
func (s *Server) running(id string) (*container, error) {
	c, err := s.findContainer(id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.state != runtimeapi.ContainerState_CONTAINER_RUNNING {
		return nil, status.Errorf(codes.FailedPrecondition, "container %s is not running: it is %s", c.config.Metadata.Name, c.state)
	}
	return c, nil
}
