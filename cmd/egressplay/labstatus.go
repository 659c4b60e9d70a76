package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// labStatus is what "egressplay-lab status -o json" prints.
type labStatus struct {
	Pid        int       `json:"pid"` // 0 when the lab is not running
	Ready      bool      `json:"ready"`
	Kubeconfig string    `json:"kubeconfig"`
	Components []labPart `json:"components"`
}

type labPart struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Why   string `json:"why"` // where the state is notReady
}

// notReady is the state of a part that came up, and does not work now.
const notReady = "not ready"

// runningLab returns the status of a running lab, nil when it is not running. It
// reads nothing of the lab's folder itself: egressplay-lab returns the kubeconfig
// of a folder that belongs to this user alone. A lab that runs and cannot be used
// is an error, for a second lab beside it is not what its owner expects.
func runningLab(ctx context.Context, lab, name string) (*labStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, lab, "status", "-o", "json", "--name", name)
	cmd.Env = labEnv()
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == exitError {
		return nil, labError(exit.Stderr)
	}
	// Any other error means that no lab is running; where more is wrong, starting
	// one will say so.
	var status labStatus
	if err != nil || json.Unmarshal(out, &status) != nil || status.Pid == 0 {
		return nil, nil
	}
	if !status.cameUp() {
		return nil, &hinted{
			fmt.Errorf("lab %q is running, but not ready", name),
			"egressplay lab status says what it waits for; run the same command again when it is ready",
		}
	}
	return &status, nil
}

// runningLabs returns the names of the labs that run, none if they cannot be told.
func runningLabs(ctx context.Context, lab string) (names []string) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, lab, "list", "-o", "json")
	cmd.Env = labEnv()
	out, err := cmd.Output()
	var labs []struct{ Name string }
	if err != nil || json.Unmarshal(out, &labs) != nil {
		return nil
	}
	for _, l := range labs {
		names = append(names, l.Name)
	}
	return names
}

// cameUp reports whether the lab came up and its programs run. What is wrong in
// the cluster by now, such as an istiod without pods, is no reason to refuse it:
// a playbook may be about that, and its failure says more.
func (s *labStatus) cameUp() bool {
	broken := false
	for _, part := range s.Components {
		switch part.State {
		case "ready":
		case notReady:
			broken = true
		default:
			return false
		}
	}
	return s.Ready || broken
}

// unready returns what does not work, as the end of a sentence about the lab; ""
// where all does.
func (s *labStatus) unready() string {
	var parts []string
	for _, part := range s.Components {
		if part.State == notReady {
			parts = append(parts, fmt.Sprintf("%s is not ready (%s)", part.Name, part.Why))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ", where " + strings.Join(parts, ", ")
}

// labError returns what egressplay-lab wrote to its stderr, as an error.
func labError(stderr []byte) error {
	said := strings.TrimPrefix(strings.TrimSpace(string(stderr)), saidBy)
	problem, hint, _ := strings.Cut(said, "\nhint: ")
	return &hinted{fmt.Errorf("look for a running lab: %s", problem), hint}
}
