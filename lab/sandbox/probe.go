package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// findings are the results of a trial in a sandbox: an error for each thing, "" if it
// works.
type findings struct {
	Overlay  string
	Veth     string
	IPTables string
	Inotify  string
}

const tryTimeout = 30 * time.Second

// tryOut starts a throwaway sandbox whose first process calls Probe. It returns an
// error if no sandbox can be made.
func tryOut(ctx context.Context, argv []string) (f findings, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, tryTimeout, errors.New("the trial took longer than 30 seconds"))
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		return f, err
	}
	defer r.Close()
	p, err := Start(ctx, Config{Args: argv, Files: []*os.File{w}})
	w.Close()
	if err != nil {
		return f, err
	}
	stop := context.AfterFunc(ctx, func() { p.Kill() })
	defer stop()
	said, err := io.ReadAll(r)
	err = errors.Join(err, p.Wait())
	if ctx.Err() != nil {
		return f, context.Cause(ctx)
	}
	if err != nil {
		return f, fmt.Errorf("try a sandbox: %w", err)
	}
	if err := json.Unmarshal(said, &f); err != nil {
		return f, fmt.Errorf("try a sandbox: %w", err)
	}
	return f, nil
}

// Probe is what the first process that [Check] starts does: it tries what a lab does
// later, in namespaces that go when it ends.
func Probe() error {
	if err := Enter(); err != nil {
		return err
	}
	f := findings{
		Overlay:  words(tryOverlay()),
		Veth:     words(run("", "ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1")),
		IPTables: words(run(probeRules, "iptables-restore")),
		Inotify:  words(tryInotify()),
	}
	return json.NewEncoder(os.NewFile(3, "findings")).Encode(f)
}

// probeRules uses the matches and targets of the rules of kube-proxy and
// istio-iptables.
const probeRules = `*nat
:PROBE - [0:0]
-A PREROUTING -m comment --comment probe -m addrtype --dst-type LOCAL -j PROBE
-A OUTPUT -p tcp -m owner --uid-owner 1337 -j RETURN
-A OUTPUT -p tcp -m conntrack --ctstate NEW -j REDIRECT --to-ports 15001
-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE --random-fully
-A PROBE -p tcp -m statistic --mode random --probability 0.5 -j DNAT --to-destination 10.0.0.1:80
-A PROBE -j MARK --or-mark 0x4000
COMMIT
*filter
-A FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
`

// tryOverlay lays a file over this machine's programs, as an image does.
func tryOverlay() error {
	const dir = "/run/probe"
	upper, work, root := filepath.Join(dir, "upper"), filepath.Join(dir, "work"), filepath.Join(dir, "root")
	for _, d := range []string{upper, work, root} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	data := fmt.Sprintf("lowerdir=/usr,upperdir=%s,workdir=%s", upper, work)
	if err := mount("overlay", root, "overlay", 0, data); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "probe"), nil, 0o644)
}

func tryInotify() error {
	for range wantedInstances {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			return os.NewSyscallError("inotify_init1", err)
		}
		defer unix.Close(fd)
	}
	return nil
}

func run(input string, argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", argv[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}

func words(err error) string {
	if err == nil || errors.Is(err, exec.ErrNotFound) { // a missing program is reported without a trial
		return ""
	}
	return err.Error()
}
