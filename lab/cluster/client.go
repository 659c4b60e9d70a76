package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/egressplay/egressplay/lab/internet"
)

// ErrEnded is the error of a lab that has ended without a reason.
var ErrEnded = errors.New("it has ended")

// Client asks a running lab from outside.
type Client struct{ http http.Client }

// Dial returns a client of the lab in a folder. It does not connect: each call does,
// and returns an error if the lab is not running.
func Dial(f Folder) *Client {
	return &Client{http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", f.Control())
		},
	}}}
}

// Status returns the status of the lab.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	body, err := c.ask(ctx, http.MethodGet, statusPath, nil)
	if err != nil {
		return s, fmt.Errorf("ask the lab for its status: %w", err)
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&s); err != nil {
		return s, fmt.Errorf("read the lab's status: %w", err)
	}
	return s, nil
}

// Follow calls report for every event of the bring-up, including earlier ones, until
// the lab is ready. It returns an error with the reason if the lab did not come up, or
// has ended.
func (c *Client) Follow(ctx context.Context, report func(Event)) error {
	body, err := c.ask(ctx, http.MethodGet, eventsPath, nil)
	if err != nil {
		return endOf(ctx, err)
	}
	defer body.Close()
	for events := json.NewDecoder(body); ; {
		var e Event
		if err := events.Decode(&e); err != nil {
			return endOf(ctx, err)
		}
		report(e)
		if e.Error != "" {
			return errors.New(e.Error)
		}
		if e.Ready {
			return nil
		}
	}
}

// endOf returns why the events end too early: ctx has ended or the lab has.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("follow the lab's start: %w: %w", ErrEnded, err)
}

// ask sends a request and returns the body of a successful answer.
func (c *Client) ask(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://lab"+path, body)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close()
	const most = 1 << 20 // bytes of the text of an error
	said, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", response.Status, err)
	}
	var mistakes internet.Mistakes
	if response.StatusCode == http.StatusUnprocessableEntity && json.Unmarshal(said, &mistakes) == nil && len(mistakes) > 0 {
		return nil, mistakes
	}
	return nil, errors.New(cmp.Or(strings.TrimSpace(string(said)), response.Status))
}

// list asks the lab for all items of one sort.
func list[T any](ctx context.Context, c *Client, path, what string) (all []T, err error) {
	body, err := c.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the lab for its %s: %w", what, err)
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&all); err != nil {
		return nil, fmt.Errorf("read the lab's %s: %w", what, err)
	}
	return all, nil
}
