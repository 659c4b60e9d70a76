package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"

	"github.com/egressplay/egressplay/runner"
)

// arrivals returns what the lab's internet has recorded so far.
func (p *place) arrivals(ctx context.Context) ([]runner.Arrival, error) {
	cmd := exec.CommandContext(ctx, p.lab, "logs", "internet", "-o", "json", "--name", p.target.Name)
	cmd.Env = labEnv()
	var said lastBytes
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("read what reached the lab's internet: %w: %s", err, said)
	}
	var all []runner.Arrival
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a runner.Arrival
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return nil, fmt.Errorf("read what reached the lab's internet: %w", err)
		}
		all = append(all, a)
	}
	return all, lines.Err()
}
