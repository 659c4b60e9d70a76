package cluster

import (
	"context"
	"io"
	"strconv"
	"time"
)

// Logs implements [Interface].
func (c *Client) Logs(ctx context.Context, r LogRequest) (io.ReadCloser, error) {
	req := c.rest.Get().AbsPath("/api/v1/namespaces", r.Namespace, "pods", r.Pod, "log")
	if r.Container != "" {
		req.Param("container", r.Container)
	}
	if r.Follow {
		req.Param("follow", "true")
	}
	if r.Previous {
		req.Param("previous", "true")
	}
	if !r.Since.IsZero() {
		req.Param("sinceTime", r.Since.UTC().Format(time.RFC3339))
	}
	if r.Tail > 0 {
		req.Param("tailLines", strconv.FormatInt(r.Tail, 10))
	}
	if r.Timestamps {
		req.Param("timestamps", "true")
	}
	body, err := req.Stream(ctx)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return &logStream{body, c, ctx}, nil
}

// A logStream is a log whose read errors are those that [Interface] promises.
type logStream struct {
	io.ReadCloser
	client *Client
	ctx    context.Context // of the request, which lasts as long as the stream
}

func (s *logStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = s.client.explain(s.ctx, err)
	}
	return n, err
}
