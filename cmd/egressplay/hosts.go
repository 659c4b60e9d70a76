package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
)

// longestHostsFile is how many bytes a file of hosts may have, as a playbook.
const longestHostsFile = 1 << 20

// hostsTimeout bounds how long the lab may take to take hosts.
const hostsTimeout = time.Minute

// A hostsFile lists hosts for the lab's internet: a file of hosts, or a playbook
// that has some of its own.
type hostsFile struct {
	name, text string
}

// readHostsFile reads the file that --internet names, nil where it names none.
func readHostsFile(name string) (*hostsFile, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, usagef("name a file of hosts: docs/lab.md has their grammar", "--internet: %v", err)
	}
	defer f.Close()
	text, err := readAtMost(f, longestHostsFile)
	if err != nil {
		return nil, usagef("name a file of hosts: docs/lab.md has their grammar", "--internet: %v", err)
	}
	return &hostsFile{name, string(text)}, nil
}

// readAtMost reads a file that has at most so many bytes.
func readAtMost(f *os.File, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s is larger than %d MiB", f.Name(), most>>20)
	}
	return text, err
}

// ownHosts returns the hosts that playbooks have of their own.
func ownHosts(list []*runner.Playbook) (files []*hostsFile) {
	for _, p := range list {
		if p.Internet != "" {
			files = append(files, &hostsFile{p.File, p.Internet})
		}
	}
	return files
}

// checkHosts returns what is wrong with hosts, as [playbooks.Errors]. It is the lab's
// program that knows: where that is not installed nothing is said, for nothing can
// take the hosts either.
func checkHosts(ctx context.Context, files ...*hostsFile) error {
	var errs playbooks.Errors
	for _, file := range files {
		if file == nil {
			continue
		}
		lab, err := findLab()
		if err != nil {
			return nil
		}
		wrong, err := file.check(ctx, lab)
		if err != nil {
			return err
		}
		errs = append(errs, wrong...)
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// check returns what the lab's program says is wrong with a file.
func (f *hostsFile) check(ctx context.Context, lab string) (playbooks.Errors, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, lab, "internet", "check", "-", "-o", "json")
	cmd.Env = labEnv()
	cmd.Stdin = strings.NewReader(f.text)
	var said lastBytes
	cmd.Stderr = &said
	out, err := cmd.Output() // an exit code says less than what is printed
	var mistakes []struct {
		Line, Column int
		Text         string
	}
	if jsonErr := json.Unmarshal(out, &mistakes); jsonErr != nil {
		return nil, fmt.Errorf("check the hosts in %s: %w", f.name, said.or(errors.Join(err, jsonErr)))
	}
	var errs playbooks.Errors
	for _, m := range mistakes {
		errs = append(errs, &playbooks.Error{File: f.name, Line: m.Line, Column: m.Column, Msg: m.Text})
	}
	return errs, nil
}

// hold brings hosts into the internet of the lab that the run uses, and returns what
// takes them away. They go in any case when this process ends.
func (p *place) hold(ctx context.Context, file *hostsFile) (take func(context.Context) error, err error) {
	if p.lab == "" {
		return nil, &hinted{
			fmt.Errorf("the hosts in %s can only come into a lab of this machine, not into %s", file.name, p.target.Describe),
			"leave out --context and --kubeconfig, or the hosts",
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, hostsTimeout, fmt.Errorf("the lab did not take the hosts in %s within %v", file.name, hostsTimeout))
	defer cancel()
	cmd := exec.Command(p.lab, "internet", "hold", "--name", p.target.Name)
	cmd.Env = labEnv()
	var said lastBytes
	cmd.Stderr = &said
	ready := make(chan struct{}, 1)
	cmd.Stdout = &lineWriter{line: func([]byte) {
		select {
		case ready <- struct{}{}:
		default: // only the first line counts
		}
	}}
	cmd.WaitDelay = time.Second
	ownGroup(cmd) // Ctrl-C is not for it: the clean-up may need the hosts
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	take = func(ctx context.Context) error {
		_ = stdin.Close() // it may have ended, which the next tells
		select {
		case err := <-ended:
			if err != nil {
				return said.or(err)
			}
			return nil
		case <-ctx.Done():
			// Then the lab takes them away.
			return errors.Join(context.Cause(ctx), cmd.Process.Kill())
		}
	}
	hosts, err := json.Marshal(map[string]string{"file": file.name, "text": file.text})
	if err != nil {
		return nil, errors.Join(err, take(ctx))
	}
	go func() { _, _ = io.Copy(stdin, bytes.NewReader(append(hosts, '\n'))) }() // what goes wrong, it says itself
	select {
	case <-ready:
		return take, nil
	case err := <-ended:
		return nil, said.or(err)
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), cmd.Process.Kill())
	}
}

// or returns what a program of ours said before it ended, as an error; if that is
// nothing, err.
func (b lastBytes) or(err error) error {
	if said := strings.TrimPrefix(strings.TrimSpace(runner.Plain(string(b))), saidBy); said != "" {
		return errors.New(said)
	}
	return err
}
