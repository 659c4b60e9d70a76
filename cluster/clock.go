package cluster

import (
	"net/http"
	"sync"
	"time"
)

// A clock finds out by how much a server's clock is ahead of this machine's. Each
// answer has the server's time, truncated to a second, and was made between the request
// and the arrival of the answer. Many answers together give a much more exact result
// than one.
type clock struct {
	mu          sync.Mutex
	least, most time.Duration
	known       bool
}

// see evaluates the header Date of an answer.
func (c *clock) see(date string, sent, received time.Time) {
	at, err := http.ParseTime(date)
	if err != nil {
		return
	}
	least, most := at.Sub(received), at.Add(time.Second).Sub(sent)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known {
		if l, m := max(least, c.least), min(most, c.most); l <= m {
			least, most = l, m
		} // else one of the clocks was set: begin again
	}
	c.least, c.most, c.known = least, most, true
}

// ahead returns the bounds that are known so far.
func (c *clock) ahead() (least, most time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.least, c.most
}

// Ahead implements [Interface].
func (c *Client) Ahead() (least, most time.Duration) { return c.clock.ahead() }

// A clockReader is a transport that shows each answer to a clock.
type clockReader struct {
	http.RoundTripper
	clock *clock
}

func (r *clockReader) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := time.Now()
	resp, err := r.RoundTripper.RoundTrip(req)
	if err == nil {
		r.clock.see(resp.Header.Get("Date"), sent, time.Now())
	}
	return resp, err
}

// WrappedRoundTripper returns the transport inside, for client-go.
func (r *clockReader) WrappedRoundTripper() http.RoundTripper { return r.RoundTripper }
