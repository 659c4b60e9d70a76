package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of all parts, the lab's too",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printVersions(cmd.Context(), cmd.OutOrStdout(), output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "how: json")
	return cmd
}

func printVersions(ctx context.Context, w io.Writer, output string) error {
	lab, labErr := labVersions(ctx)
	switch output {
	case "":
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintf(table, "egressplay\t%s\t%s/%s, %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
		for _, name := range slices.Sorted(maps.Keys(lab)) {
			fmt.Fprintf(table, "%s\t%s\n", name, lab[name])
		}
		if err := table.Flush(); err != nil {
			return err
		}
		if labErr != nil {
			fmt.Fprintf(w, "\n%s\n", plain(labErr.Error()))
		}
		return nil
	case "json":
		doc := struct {
			Egressplay string            `json:"egressplay"`
			Go         string            `json:"go"`
			Platform   string            `json:"platform"`
			Lab        map[string]string `json:"lab"` // null where there is none
		}{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, lab}
		return writeJSON(w, doc)
	}
	return usagef("there is json", "unknown output format %q", output)
}

// labVersions returns the versions of the lab's parts by their names. The error
// says why there are none.
func labVersions(ctx context.Context) (map[string]string, error) {
	lab, err := findLab()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, lab, "version", "-o", "json")
	cmd.Env = labEnv()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", lab, explainExit(err))
	}
	versions := map[string]string{}
	if err := json.Unmarshal(out, &versions); err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", lab, err)
	}
	versions[labProgram] = versions["version"]
	delete(versions, "version")
	return versions, nil
}

// explainExit adds to the error of a program what it wrote about it.
func explainExit(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%s (%w)", strings.TrimSpace(string(exit.Stderr)), err)
	}
	return err
}
