package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/egressplay/egressplay/inlab"
)

// explanations is the title of what watchExplanations prints.
const explanations = "what it costs to explain a failure, after the failing attempt"

// brokenWorlds are playbooks that fail, each for another cause.
const brokenWorlds = "e2e/testdata/explaining/*.yaml"

// watchExplanations runs the broken worlds of the tests and prints how long the
// explanation of each took, and the median.
func (b *bench) watchExplanations(ctx context.Context) error {
	files, err := filepath.Glob(brokenWorlds)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no file is %s: run this in the root of the checkout", brokenWorlds)
	}
	fmt.Printf("\n%s\n", explanations)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	var took []time.Duration
	for _, file := range files {
		world := strings.TrimSuffix(filepath.Base(file), ".yaml")
		code, d, err := b.explained(ctx, file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		took = append(took, d)
		fmt.Fprintf(table, "  %s\t%5.0f ms\t%s\n", world, ms(d), code)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Printf("  %d worlds: median %.0f ms, at most %.0f ms\n", len(took), ms(median(took)), ms(slices.Max(took)))
	return nil
}

// explained runs a broken world, and returns the code of its cause with the time
// that finding it took.
func (b *bench) explained(ctx context.Context, file string) (code string, took time.Duration, err error) {
	report := filepath.Join(b.dir, "explained.json")
	if _, err := output(b.program(ctx, "egressplay", "run", file, "--namespace", namespace, "--report", "json="+report)); err != nil {
		if _, failed := errors.AsType[*exec.ExitError](err); !failed || ctx.Err() != nil { // it is to fail
			return "", 0, err
		}
	}
	r, err := inlab.ReadReport(report)
	if err != nil {
		return "", 0, err
	}
	for _, p := range r.Playbooks {
		for _, s := range p.Steps {
			for _, f := range s.Findings {
				return f.Code, time.Duration(f.TookMS) * time.Millisecond, nil
			}
		}
	}
	return "", 0, errors.New("nothing was explained")
}
