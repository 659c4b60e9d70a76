package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/egressplay/egressplay/deceive/worlds"
	"github.com/egressplay/egressplay/inlab"
)

// namespace is the namespace of the worlds; setup.yaml makes it.
const namespace = "deceive"

//go:embed setup.yaml
var setup []byte

func main() { inlab.Main("deceive", deceive) }

// deceive runs worlds, prints how their claims were judged, and reports whether all
// were judged correctly.
func deceive(ctx context.Context, args []string, w io.Writer) (good bool, err error) {
	flags := flag.NewFlagSet("deceive", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: deceive [FLAGS] [WORLD...]\n\n"+
			"WORLD is a file, by default each in deceive/worlds. They are run in the running lab\n"+
			"of the default name, or in one that is started for them.\n\n")
		flags.PrintDefaults()
	}
	lab := &inlab.Lab{Log: w}
	flags.StringVar(&lab.Program, "egressplay", "bin/egressplay", "the `path` of egressplay, with egressplay-lab beside it")
	report := flags.String("report", "", "the `file` for the report of the run; without it, none is kept")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "egressplay-deceive-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	files := flags.Args()
	if len(files) == 0 {
		if files, err = worlds.Write(dir); err != nil {
			return false, err
		}
	}
	if *report == "" {
		*report = filepath.Join(dir, "report.json")
	}
	stop, err := lab.Start(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	leave, err := enter(ctx, lab, dir)
	defer func() { err = errors.Join(err, leave()) }()
	if err != nil {
		return false, err
	}
	started := time.Now()
	ran, err := lab.Run(ctx, *report, append([]string{"--namespace", namespace}, files...)...)
	if err != nil {
		return false, err
	}
	result := worlds.Judge(ran)
	result.Print(w)
	fmt.Fprintf(w, "%d worlds in %v\n", len(ran.Playbooks), time.Since(started).Round(time.Second))
	return result.Good(), nil
}

// enter makes the namespace with a pod in it. Call leave at the end, even if there is
// an error.
func enter(ctx context.Context, lab *inlab.Lab, dir string) (leave func() error, err error) {
	leave = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		out, err := lab.Command(ctx, "lab", "kubectl", "delete", "namespace", namespace, "--ignore-not-found").CombinedOutput()
		if err != nil {
			return fmt.Errorf("delete the namespace: %w: %s", err, out)
		}
		return nil
	}
	file := filepath.Join(dir, "setup.yaml")
	if err := os.WriteFile(file, setup, 0o600); err != nil {
		return leave, err
	}
	ran, err := lab.Run(ctx, filepath.Join(dir, "setup.json"), "--keep", file)
	if err != nil {
		return leave, err
	}
	if ran.ExitCode != 0 {
		return leave, fmt.Errorf("the worlds cannot be entered: %v", worlds.Judge(ran).Broken)
	}
	return leave, nil
}
