package main

import (
	"fmt"
	"io"

	"github.com/egressplay/egressplay/lab/cluster"
	"github.com/egressplay/egressplay/lab/supervise"
)

// progress prints a line for each part that is ready: the time since the start, and how
// long the part itself took.
type progress struct {
	out   io.Writer
	began map[string]float64 // when each part was started, in seconds
}

func newProgress(out io.Writer) *progress { return &progress{out, map[string]float64{}} }

func (p *progress) show(e cluster.Event) {
	switch e.State {
	case string(supervise.Starting):
		p.began[e.Component] = e.Seconds
	case string(supervise.Ready):
		fmt.Fprintf(p.out, "%6.2fs  %-24s ready, took %.2fs\n", e.Seconds, e.Component, e.Seconds-p.began[e.Component])
	}
}
