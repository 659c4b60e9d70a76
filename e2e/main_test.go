//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

var (
	bin    string // the folder of the programs
	labDir string // the run folder of the tests' labs

	shared *lab // the lab that tests share
)

// keeper is set in the environment of the process that takes the labs down: to
// the folder in which they are.
const keeper = "EGRESSPLAY_E2E_KEEPER"

// second reports whether this is the second of two runs of these tests, as a user
// whom root has made for it (scripts/as-ordinary-user).
func second() bool { return os.Getenv("USER") == "egressplay-test" }

// once leaves a long test to the first of two runs: it is about what is judged and
// said, for which it makes no difference whose the lab is.
func once(t *testing.T) {
	t.Helper()
	if second() {
		t.Skip("it has run as root: whose the lab is makes no difference to it")
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(keeper); dir != "" {
		os.Exit(keep(dir))
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if bin, err = programs(); err != nil {
		return 0, err
	}
	// A Unix socket's path has 107 bytes, and TMPDIR may be long.
	if labDir, err = os.MkdirTemp("/tmp", "ep"); err != nil {
		return 0, err
	}
	end, err := startKeeper(labDir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end()) }()

	started := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if shared, err = up(ctx, "default"); err != nil {
		return 0, err
	}
	fmt.Fprintf(os.Stderr, "the lab is up after %.1fs\n", time.Since(started).Seconds())
	return m.Run(), nil
}

// programs returns the folder of the programs, once it has those it needs.
func programs() (string, error) {
	dir := os.Getenv("EGRESSPLAY_BIN")
	if dir == "" {
		dir = filepath.Join("..", "bin")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for _, name := range []string{"egressplay", "egressplay-lab"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("these tests run the programs of a user: %w\n`make build` builds them; EGRESSPLAY_BIN names another folder", err)
		}
	}
	return dir, nil
}

// startKeeper starts the process that takes down what is left in dir, and dir
// itself, when this one ends or calls end.
func startKeeper(dir string) (end func() error, err error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(environment(dir), keeper+"="+dir, "EGRESSPLAY_BIN="+bin)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start what takes the labs down: %w", err)
	}
	return func() error {
		if err := errors.Join(alive.Close(), cmd.Wait()); err != nil {
			return fmt.Errorf("take the labs down: %w", err)
		}
		return nil
	}, nil
}

// keep waits for the end of the tests and takes down the labs in dir.
func keep(dir string) int {
	bin, labDir = os.Getenv("EGRESSPLAY_BIN"), dir
	_, err := io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	labs, listErr := os.ReadDir(dir)
	err = errors.Join(err, listErr)
	for _, l := range labs {
		out, downErr := command(ctx, "egressplay-lab", "down", "--name", l.Name()).CombinedOutput()
		if downErr != nil {
			err = errors.Join(err, fmt.Errorf("take down lab %s: %w\n%s", l.Name(), downErr, out))
		}
	}
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
