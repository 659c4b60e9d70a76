// Bench measures what a step costs: the runner's own part of it in this
// process, and in the lab beside a plain loop over client-go and a script that
// calls kubectl; what each witness costs that an expectation asks; what it
// costs to wait until the proxies have acknowledged a change, and how long it takes
// to explain a failure. It prints figures and judges none of them.
//
//	go run ./bench                 everything; takes some minutes
//	go run ./bench -memory 0       without the run of 10,000 steps
//	go run ./bench -only explain   the explanations alone
//
// It uses the lab "default", and starts it where it does not run. The programs
// are those of `make build`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

func main() {
	var b bench
	flag.StringVar(&b.bin, "bin", "bin", "the folder of the programs")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds of each comparison")
	flag.IntVar(&b.steps, "steps", 100, "steps, or objects, of each round")
	flag.IntVar(&b.memory, "memory", 10_000, "steps of the run whose memory is watched, 0 for none")
	flag.StringVar(&b.only, "only", "", "the comparisons with this `TEXT` in their title, and nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A bench is one run of this program.
type bench struct {
	bin                   string
	rounds, steps, memory int
	only                  string

	dir string // for what it writes
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.rounds < 1 || b.steps < 1 || b.memory < 0 {
		return errors.New("-rounds and -steps must be at least 1, and -memory at least 0")
	}
	fmt.Printf("%s, %d CPUs, %s/%s\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	if b.only == "" {
		if err := b.inProcess(ctx); err != nil {
			return err
		}
	}

	if b.dir, err = os.MkdirTemp("", "egressplay-bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	lab, err := b.enterLab(ctx)
	if err != nil {
		return err
	}
	// Leaving takes its time also after an interrupt.
	defer func() { err = errors.Join(err, lab.leave(context.WithoutCancel(ctx))) }()

	for _, c := range comparisons {
		if !strings.Contains(c.what, b.only) {
			continue
		}
		if err := b.compare(ctx, lab, c); err != nil {
			return err
		}
	}
	if strings.Contains(explanations, b.only) {
		if err := b.watchExplanations(ctx); err != nil {
			return err
		}
	}
	if b.only != "" {
		return nil
	}
	for _, s := range allSeries {
		if err := b.watchSeries(ctx, lab, s); err != nil {
			return err
		}
	}
	if b.memory > 0 {
		return b.watchMemory(ctx)
	}
	return nil
}

// inProcess runs the benchmarks that need no cluster.
func (b *bench) inProcess(ctx context.Context) error {
	fmt.Println("\nIn process, without a cluster: 100 steps of the runner, reading a playbook, and reading and linting a page of 600 lines")
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^(BenchmarkRun100Steps|BenchmarkLoad.*|BenchmarkLint600Lines)$", "-benchmem", "./runner", "./playbooks", "./pages")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go test -bench: %w", err)
	}
	return nil
}

// program returns a command of one of our programs.
func (b *bench) program(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, name), args...)
	// An interrupted run puts back what it changed.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd
}

// output runs a command, and adds to its error what it said.
func output(cmd *exec.Cmd) ([]byte, error) {
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("%s: %w\n%s%s", cmd, err, out, exit.Stderr)
	}
	return nil, fmt.Errorf("%s: %w", cmd, err)
}
