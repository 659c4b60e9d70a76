package cluster

import (
	"sync"
	"time"
)

// Event is one step of a bring-up, as one line of JSON. The last one has Ready
// or Error.
type Event struct {
	Component string  `json:"component,omitempty"`
	State     string  `json:"state,omitempty"` // starting, ready
	Seconds   float64 `json:"seconds"`         // since the lab's start

	Ready      bool   `json:"ready,omitempty"`      // the lab is ready
	Kubeconfig string `json:"kubeconfig,omitempty"` // the path of the kubeconfig, once the lab is ready
	Error      string `json:"error,omitempty"`      // why the lab did not come up
}

// last reports whether no event follows.
func (e Event) last() bool { return e.Ready || e.Error != "" }

// events keeps all events, for clients that ask later.
type events struct {
	since time.Time

	mu   sync.Mutex
	list []Event
	news chan struct{} // closed when the list grows
}

func newEvents() *events { return &events{since: time.Now(), news: make(chan struct{})} }

// add appends an event, with the current time.
func (e *events) add(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	event.Seconds = float64(time.Since(e.since).Milliseconds()) / 1000
	e.list = append(e.list, event)
	close(e.news)
	e.news = make(chan struct{})
}

// after returns the events after the first n, and a channel that is closed when there
// are more.
func (e *events) after(n int) ([]Event, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.list[n:len(e.list):len(e.list)], e.news
}
