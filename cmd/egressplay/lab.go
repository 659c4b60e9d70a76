package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

const (
	labProgram = "egressplay-lab"
	saidBy     = "egressplay: " // before each error of it, as before ours
)

func newLab() *cobra.Command {
	return &cobra.Command{
		Use:   "lab COMMAND...",
		Short: "Start, stop and look into a cluster of our own on this machine (Linux)",
		Long: `Hands its arguments to egressplay-lab, which is looked for beside egressplay, then
in ../libexec/egressplay, then on PATH. "egressplay lab --help" lists its commands.`,
		Example: `  egressplay lab up
  egressplay lab kubectl get pods -A
  egressplay lab down`,
		DisableFlagParsing: true, // they are the lab's
		ValidArgsFunction:  completeLab,
		RunE: func(_ *cobra.Command, args []string) error {
			lab, err := findLab()
			if err != nil {
				return err
			}
			return become(lab, args)
		},
	}
}

// completeLab asks egressplay-lab how one of its command lines goes on: cobra prints
// a proposal a line, and in the last line a directive.
func completeLab(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	lab, err := findLab()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ask := exec.CommandContext(cmd.Context(), lab, append(append([]string{cobra.ShellCompRequestCmd}, args...), begun)...)
	ask.Env = labEnv()
	out, err := ask.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	directive, atoiErr := strconv.Atoi(strings.TrimPrefix(lines[len(lines)-1], ":"))
	if err != nil || atoiErr != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return lines[:len(lines)-1], cobra.ShellCompDirective(directive)
}

// findLab returns the path of egressplay-lab.
func findLab() (string, error) {
	if runtime.GOOS != "linux" {
		return "", &hinted{
			errors.New("the lab needs Linux: its cluster is made of this machine's own namespaces"),
			"name a cluster that has Istio: egressplay run --context NAME ...\nor run egressplay on Linux, such as in a virtual machine: docs/install.md has the lines for Lima and WSL 2",
		}
	}
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err == nil {
		dir := filepath.Dir(self)
		for _, dir := range []string{dir, filepath.Join(dir, "..", "libexec", "egressplay")} {
			path := filepath.Join(dir, labProgram)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return path, nil
			}
		}
	}
	path, err := exec.LookPath(labProgram)
	if err != nil {
		return "", &hinted{
			errors.New("the lab is not installed: there is no " + labProgram + " beside egressplay, in ../libexec/egressplay, or on PATH"),
			"install the archive egressplay-lab of a release, or build it with \"make build\" in a checkout of egressplay\nor name a cluster that has Istio: egressplay run --context NAME ...",
		}
	}
	return path, nil
}

// labEnv is the environment of egressplay-lab: it refuses another version's
// egressplay.
func labEnv() []string { return append(os.Environ(), "EGRESSPLAY_VERSION="+version) }
