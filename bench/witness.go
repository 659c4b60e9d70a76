package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A series is several steps that are done in turn again and again, of which one
// is what the others are measured by.
type series struct {
	what  string
	steps []timed
	base  string // the title of that one
}

// A timed is a step whose time is of interest where show is set.
type timed struct {
	title, step string
	show        bool
}

const (
	command = "curl -sI http://edition.cnn.com/politics"
	request = "exec: " + command
)

// allSeries are what each witness costs, and what it costs to wait for the proxies'
// acknowledgement of a change.
var allSeries = []series{
	{
		what: "what each witness adds to an exec of " + command,
		base: "without",
		steps: []timed{
			{"without", request, true},
			{"log", request + "\n  expect: {log: [{status: 301}]}", true},
			{"path", request + "\n  expect: {path: [sidecar, passthrough]}", true},
			{"arrived", request + "\n  expect: {arrived: [{host: edition.cnn.com}]}", true},
			{"counter", request + "\n  expect: {counter: [{in: sidecar, cluster: PassthroughCluster, name: rq_total, grows: 1}]}", true},
		},
	},
	{
		what: "what the acknowledgement of a change, and holds: 3, add to an exec of " + command,
		base: "nothing changed",
		steps: []timed{
			{"change", entry("a.example.com"), false},
			{"after a change", request, true},
			{"nothing changed", request, true},
			{"nothing changed, holds: 3", request + "\n  holds: 3", true},
			{"change it again", entry("b.example.com"), false},
			{"after a change", request, true},
			{"nothing changed", request, true},
			{"nothing changed, holds: 3", request + "\n  holds: 3", true},
		},
	},
}

// entry returns a step that changes the mesh.
func entry(host string) string {
	return `apply: |
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {name: bench}
    spec: {hosts: [` + host + `], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}`
}

// watchSeries runs a series and prints the median of each step beside that of
// the one by which they are measured.
func (b *bench) watchSeries(ctx context.Context, l *lab, s series) error {
	times := max(b.steps/5, 1)
	var once strings.Builder
	for _, t := range s.steps {
		fmt.Fprintf(&once, "- title: %q\n  %s\n", t.title, t.step)
	}
	file := filepath.Join(b.dir, "series.yaml")
	text := "apiVersion: egressplay/v1\nkind: Playbook\nname: bench\ndefaults: {in: " + l.pod + ", container: sleep, namespace: bench}\nsteps:\n"
	if err := os.WriteFile(file, []byte(text+strings.Repeat(once.String(), times)), 0o644); err != nil {
		return err
	}
	took, err := b.stepTimes(ctx, file)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n%d times in turn; median\n", s.what, times)
	base, seen := median(took[s.base]), map[string]bool{}
	for _, t := range s.steps {
		if !t.show || seen[t.title] {
			continue
		}
		seen[t.title] = true
		m := median(took[t.title])
		fmt.Printf("  %-36s %7.0f ms  %+7.0f ms\n", t.title, ms(m), ms(m-base))
	}
	return nil
}

// stepTimes runs a playbook and returns how long its steps took, by title.
func (b *bench) stepTimes(ctx context.Context, file string) (map[string][]time.Duration, error) {
	report := filepath.Join(b.dir, "report.json")
	if _, err := output(b.program(ctx, "egressplay", "run", file, "--report", "json="+report)); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(report)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Playbooks []struct {
			Steps []struct {
				Title      string `json:"title"`
				DurationMS int64  `json:"durationMs"`
			} `json:"steps"`
		} `json:"playbooks"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	took := map[string][]time.Duration{}
	for _, p := range doc.Playbooks {
		for _, s := range p.Steps {
			took[s.Title] = append(took[s.Title], time.Duration(s.DurationMS)*time.Millisecond)
		}
	}
	return took, nil
}
