package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// passed matches the line of a step that has passed.
var passed = regexp.MustCompile(`^ *✓ +([0-9]+)  `)

// watchMemory runs one playbook of many exec steps and prints how much memory
// egressplay holds on the way. A step that lasts a moment comes last, so that
// the program is still there to be looked at.
//
// 10,000 steps of this size are some 300 KiB. A playbook has at most 1 MiB; for
// more steps than that give run several playbooks.
func (b *bench) watchMemory(ctx context.Context) error {
	text := "apiVersion: egressplay/v1\nkind: Playbook\nname: memory\ndefaults: {in: deploy/sleep, container: sleep, namespace: bench}\nsteps:\n" +
		strings.Repeat("- {title: t, exec: \"true\"}\n", b.memory) +
		"- {title: look, exec: sleep 2}\n"
	file := filepath.Join(b.dir, "memory.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Printf("\nMemory of egressplay over %d exec steps, one playbook of %d KiB\n", b.memory, len(text)>>10)
	cmd := b.program(ctx, "egressplay", "run", file, "--timeout", "1h")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	marks := map[int]bool{b.memory / 10: true, b.memory / 2: true, b.memory: true}
	lines := bufio.NewScanner(out)
	var last string
	var watchErr error
	for lines.Scan() {
		last = lines.Text()
		m := passed.FindStringSubmatch(last)
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil && marks[n] {
			rss, err := residentKiB(cmd.Process.Pid)
			watchErr = errors.Join(watchErr, err)
			fmt.Printf("  after %6d steps  %6.1f MiB resident\n", n, float64(rss)/1024)
		}
	}
	// The program's end is waited for even if its output could not be read.
	if err := errors.Join(lines.Err(), watchErr, cmd.Wait()); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, last)
	}
	fmt.Println("  " + last)
	return nil
}

// residentKiB returns the resident memory of a process.
func residentKiB(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
		}
	}
	return 0, fmt.Errorf("process %d has no resident memory", pid)
}
