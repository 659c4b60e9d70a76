package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// maxAnalysis bounds what is kept of each stream of istioctl, in bytes.
const maxAnalysis = 1 << 20

// analyze runs the lab's istioctl analyze: it is the place's [runner.Runner.Analyze].
func (p *place) analyze(ctx context.Context, args []string) (*runner.Analysis, error) {
	args = append([]string{"istioctl", "--name", p.target.Name, "analyze", "--color=false"}, args...)
	cmd := exec.CommandContext(ctx, p.lab, args...)
	cmd.Env = labEnv()
	stdout, stderr := cluster.Bounded{Max: maxAnalysis}, cluster.Bounded{Max: maxAnalysis}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	exit, exited := errors.AsType[*exec.ExitError](err)
	found := exited && exit.ExitCode() == evidence.FoundIssues
	if err != nil && !found {
		return nil, fmt.Errorf("run the lab's istioctl analyze: %w: %s", err, stderr.String())
	}
	return &runner.Analysis{
		Stdout: stdout.String(), Stderr: stderr.String(), Truncated: stdout.Truncated || stderr.Truncated, Found: found,
	}, nil
}
