package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab/cluster"
)

func newShell() *cobra.Command {
	return &cobra.Command{
		Use:   "shell",
		Short: "Open a shell in which kubectl and istioctl speak to the lab",
		Args:  noArgs,
		RunE: on(func(c *cobra.Command, i *instance, _ []string) error {
			return shell(c, i)
		}),
	}
}

func shell(c *cobra.Command, i *instance) (err error) {
	kubeconfig, err := i.kubeconfig()
	if err != nil {
		return err
	}
	programs, err := cluster.FindPrograms()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "egressplay-shell-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for client, program := range clients(programs) {
		if err := os.Symlink(program, filepath.Join(dir, client)); err != nil {
			return err
		}
	}
	// Without the command's context: in a shell, Ctrl-C is for the shell.
	sh := exec.Command(cmp.Or(os.Getenv("SHELL"), "/bin/sh"))
	sh.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "EGRESSPLAY_LAB="+i.name, "PATH="+dir+":"+os.Getenv("PATH"))
	sh.Stdin, sh.Stdout, sh.Stderr = c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr()
	fmt.Fprintf(c.ErrOrStderr(), "kubectl and istioctl speak to lab %s; leave with exit\n", i.name)
	var ended *exec.ExitError
	if err := sh.Run(); errors.As(err, &ended) && ended.Exited() {
		return exitError(ended.ExitCode())
	} else if err != nil {
		return fmt.Errorf("run %s: %w", sh.Path, err)
	}
	return nil
}
