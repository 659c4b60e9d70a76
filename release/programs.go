package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A platform is what a program is built for.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// exe returns the suffix of a program's name.
func (p platform) exe() string {
	if p.os == "windows" {
		return ".exe"
	}
	return ""
}

var allPlatforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"},
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
}

// A program is egressplay for a platform.
type program struct {
	platform
	path string
}

// commitDate returns when the last commit was made.
func (r *release) commitDate(ctx context.Context) (time.Time, error) {
	git := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct")
	git.Dir, git.Stderr = r.top, os.Stderr
	out, err := git.Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("ask git for the date of the last commit: %w", err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask git for the date of the last commit: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// refuseChanges returns an error if the checkout differs from its last commit: the
// programs would not be those of the release.
func (r *release) refuseChanges(ctx context.Context) error {
	git := exec.CommandContext(ctx, "git", "status", "--porcelain")
	git.Dir, git.Stderr = r.top, os.Stderr
	out, err := git.Output()
	if err != nil {
		return fmt.Errorf("ask git for what has changed since the last commit: %w", err)
	}
	if first, _, changed := strings.Cut(string(out), "\n"); changed {
		return fmt.Errorf("the checkout has changes that are not committed, such as %s: commit or remove them, for a release is made of the last commit", strings.TrimSpace(first))
	}
	return nil
}

// programs returns the folder of the programs for a platform, once they are built.
func (r *release) programs(ctx context.Context, p platform) (string, error) {
	if r.bin != "" {
		return r.bin, nil
	}
	dir := r.built(p)
	target := "build-egressplay"
	if p.os == "linux" {
		target = "build"
		if err := r.run(ctx, nil, "scripts/envoy", dir, p.arch); err != nil {
			return "", err
		}
	}
	env := []string{"GOOS=" + p.os, "GOARCH=" + p.arch}
	return dir, r.run(ctx, env, "make", "--no-print-directory", target, "BIN="+dir, "EXE="+p.exe(), "VERSION="+r.version)
}

// built returns the folder of the programs for a platform.
func (r *release) built(p platform) string {
	if r.bin != "" {
		return r.bin
	}
	return filepath.Join(r.work, "bin", p.os+"_"+p.arch)
}

// host returns the folder of programs that run on this machine.
func (r *release) host() string { return r.built(platform{runtime.GOOS, runtime.GOARCH}) }

// run runs a command in the checkout.
func (r *release) run(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = r.top, append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	return nil
}
