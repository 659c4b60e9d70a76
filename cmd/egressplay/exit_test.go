package main

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
)

func TestExitCode(t *testing.T) {
	usage := usagef("", "no such flag")
	broken := errors.New("no cluster")
	for _, tt := range []struct {
		name string
		o    outcome
		want int
	}{
		{"all passed", outcome{summary: runner.Summary{Passed: 2}}, 0},
		{"some skipped", outcome{summary: runner.Summary{Passed: 1, Skipped: 1}}, 0},
		{"one failed", outcome{summary: runner.Summary{Passed: 1, Failed: 1}}, 1},
		{"bad usage", outcome{err: usage}, 2},
		{"bad usage below another error", outcome{err: fmt.Errorf("run: %w", usage)}, 2},
		{"bad playbook", outcome{err: playbooks.Errors{{File: "a.yaml", Msg: "no steps"}}}, 2},
		{"could not begin", outcome{err: broken}, 3},
		{"could not be run", outcome{summary: runner.Summary{Passed: 1, Error: 1}}, 3},
		{"all skipped", outcome{summary: runner.Summary{Skipped: 2}}, 3},
		{"nothing was run", outcome{}, 3},
		{"something is left", outcome{summary: runner.Summary{Passed: 1}, left: true}, 4},
		{"interrupted", outcome{signal: int(syscall.SIGINT), summary: runner.Summary{Error: 1}}, 130},
		{"terminated", outcome{signal: int(syscall.SIGTERM), summary: runner.Summary{Error: 1}}, 143},

		{"its terminal is gone", outcome{signal: int(syscall.SIGHUP), summary: runner.Summary{Passed: 1}}, 129},
		{"SIGQUIT", outcome{signal: int(syscall.SIGQUIT), err: broken, left: true}, 131},

		{"a signal before usage", outcome{signal: 2, err: usage}, 130},
		{"usage before a failure", outcome{err: usage, summary: runner.Summary{Failed: 1}}, 2},
		{"a failure before an error", outcome{err: broken, summary: runner.Summary{Failed: 1, Error: 1}, left: true}, 1},
		{"an error before what is left", outcome{summary: runner.Summary{Passed: 1, Error: 1}, left: true}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, exitCode(tt.o))
		})
	}
}

// The code of a run in several clusters is that of the cluster in which it ended worst.
func TestExitCodeOfSeveralClusters(t *testing.T) {
	passed := outcome{summary: runner.Summary{Passed: 2}}
	skipped := outcome{summary: runner.Summary{Skipped: 2}}
	failed := outcome{summary: runner.Summary{Passed: 1, Failed: 1}}
	left := outcome{summary: runner.Summary{Passed: 2}, left: true}
	broken := outcome{summary: runner.Summary{Passed: 2}, err: errors.New("broken")}
	interrupted := outcome{signal: int(syscall.SIGINT), summary: runner.Summary{Error: 1}}
	for _, tt := range []struct {
		name     string
		clusters []outcome
		want     int
	}{
		{"both passed", []outcome{passed, passed}, 0},
		{"one failed", []outcome{failed, passed}, 1},
		{"all skipped in the first", []outcome{skipped, passed, passed}, 3},
		{"all skipped in the last", []outcome{passed, passed, skipped}, 3},
		{"some skipped in each", []outcome{{summary: runner.Summary{Passed: 1, Skipped: 1}}, {summary: runner.Summary{Passed: 1, Skipped: 1}}}, 0},
		{"something left in the first", []outcome{left, passed}, 4},
		{"an error in the first", []outcome{broken, left}, 3},
		{"a failure before an error", []outcome{broken, failed}, 1},
		{"an interrupt before all", []outcome{failed, interrupted, skipped}, 130},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := tt.clusters[0]
			for _, next := range tt.clusters[1:] {
				all = all.and(next)
			}
			assert.Equal(t, tt.want, exitCode(all))
		})
	}
}
