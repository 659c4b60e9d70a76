//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two users without an account. The tests of this file are root's, who alone can
// be both.
const (
	victim   = 61234
	attacker = 61235
)

// A trap is a folder that looks like a running lab's. Its kubeconfig has kubectl
// run a program, and its lab.json names a process of the victim.
type trap struct {
	t         *testing.T
	programs  string // a folder of programs that anybody may run
	mark      string // a file that the kubeconfig's program writes its user to
	bystander *exec.Cmd
}

func newTrap(t *testing.T) *trap {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be two users; make test runs this as root, too")
	}
	dir, err := os.MkdirTemp("/tmp", "ep")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	tr := &trap{t: t, programs: filepath.Join(dir, "bin"), mark: filepath.Join(dir, "ran", "mark")}
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Mkdir(tr.programs, 0o755))
	require.NoError(t, os.Mkdir(filepath.Dir(tr.mark), 0o700))
	require.NoError(t, os.Chmod(filepath.Dir(tr.mark), 0o777))
	entries, err := os.ReadDir(bin)
	require.NoError(t, err)
	for _, e := range entries {
		path := filepath.Join(tr.programs, e.Name())
		switch e.Name() {
		case "egressplay", "egressplay-lab", "egressplay-components":
			copyProgram(t, filepath.Join(bin, e.Name()), path)
		default: // looked for, and not run
			require.NoError(t, os.WriteFile(path, nil, 0o755))
		}
	}
	tr.bystander = exec.Command("sleep", "infinity")
	tr.bystander.SysProcAttr = as(victim)
	require.NoError(t, tr.bystander.Start())
	t.Cleanup(func() {
		tr.bystander.Process.Kill()
		tr.bystander.Wait()
	})
	return tr
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	require.NoError(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, errors.Join(err, out.Close()))
}

func as(user int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
}

// set makes the folder, of which everything belongs to a user. The lock is held
// and the socket answers until the test ends.
func (tr *trap) set(folder string, owner int) {
	t := tr.t
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "logs"), 0o755))
	kubeconfig := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- {name: lab, cluster: {server: "https://127.0.0.1:1"}}
users:
- name: me
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /bin/sh, args: [-c, "id -u >> %s"]}
contexts:
- {name: lab, context: {cluster: lab, user: me}}
current-context: lab
`, tr.mark)
	for file, text := range map[string]string{
		"alive":             "",
		"lab.json":          fmt.Sprintf(`{"name": "default", "pid": %d, "version": "dev", "api": "127.0.0.1:1"}`, tr.bystander.Process.Pid),
		"kubeconfig":        kubeconfig,
		"logs/lab.log":      "the trap's log\n",
		"logs/internet.log": `{"site": "the trap"}` + "\n",
	} {
		path := filepath.Join(folder, file)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	require.NoError(t, os.Chmod(filepath.Join(folder, "kubeconfig"), 0o600))
	alive, err := os.Open(filepath.Join(folder, "alive"))
	require.NoError(t, err)
	t.Cleanup(func() { alive.Close() })
	require.NoError(t, syscall.Flock(int(alive.Fd()), syscall.LOCK_EX))

	socket, err := net.Listen("unix", filepath.Join(folder, "control"))
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"ready": true, "components": []any{map[string]any{"name": "trap", "state": "ready"}}})
	})}
	go server.Serve(socket)
	t.Cleanup(func() { server.Close() })
	tr.give(folder, owner)
	if owner != victim { // so that nothing but our own check keeps the victim out
		require.NoError(t, os.Chmod(filepath.Join(folder, "kubeconfig"), 0o644))
		require.NoError(t, os.Chmod(filepath.Join(folder, "control"), 0o777))
	}
}

// give gives all of a folder to a user.
func (tr *trap) give(folder string, owner int) {
	tr.t.Helper()
	require.NoError(tr.t, filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, owner, owner))
	}))
}

// run runs a command as the victim.
func (tr *trap) run(env []string, args ...string) ended {
	t := tr.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(tr.programs, "egressplay"), args...)
	cmd.SysProcAttr = as(victim)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/", "SHELL=/bin/sh"}, env...)
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader("apiVersion: egressplay/v1\nkind: Internet\nhosts: [{names: [a.example.net], body: hello}]\n")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		require.NoError(t, err)
	}
	return ended{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// sprung returns the user whom the kubeconfig's program ran as, "" if it did not.
func (tr *trap) sprung() string {
	text, err := os.ReadFile(tr.mark)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	require.NoError(tr.t, err)
	require.NoError(tr.t, os.Remove(tr.mark))
	user, _, _ := strings.Cut(string(text), "\n")
	return user
}

// commands read or make the folder of a lab.
var commands = [][]string{
	{"run", "tls-origination"},
	{"run", "tls-origination", "--keep"},
	{"lab", "internet", "list"},
	{"lab", "internet", "add", "-"},
	{"lab", "internet", "remove", "token"},
	{"lab", "internet", "hold"},
	{"lab", "serve"},
	{"lab", "kubectl", "get", "pods"},
	{"lab", "istioctl", "version"},
	{"lab", "kubeconfig"},
	{"lab", "shell"},
	{"lab", "status"},
	{"lab", "status", "-o", "json"},
	{"lab", "logs"},
	{"lab", "logs", "internet", "-o", "json"},
	{"lab", "logs", "istiod"},
	{"lab", "check"},
	{"lab", "up"},
	{"lab", "down"},
}

func TestFolderOfAnotherUserIsNotBelieved(t *testing.T) {
	tr := newTrap(t)
	base := filepath.Dir(tr.programs)
	below := func(path ...string) string { return filepath.Join(append([]string{base}, path...)...) }
	folder := func(path string, owner int, mode os.FileMode) string {
		require.NoError(t, os.Mkdir(path, 0o700))
		require.NoError(t, os.Chmod(path, mode))
		require.NoError(t, os.Chown(path, owner, owner))
		return path
	}
	tmp := "/tmp/egressplay-" + strconv.Itoa(victim)
	require.NoDirExists(t, tmp)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(tmp)) })

	for _, tt := range []struct {
		name string
		make func() (env []string, foreign string) // which folder is named
	}{
		{"the folder of all labs in /tmp", func() ([]string, string) {
			tr.set(folder(tmp, attacker, 0o755)+"/default", attacker)
			return nil, tmp
		}},
		{"XDG_RUNTIME_DIR", func() ([]string, string) {
			dir := folder(below("xdg"), attacker, 0o755)
			tr.set(dir+"/egressplay/default", attacker)
			return []string{"XDG_RUNTIME_DIR=" + dir}, dir
		}},
		{"a lab in a folder that everybody writes to", func() ([]string, string) {
			dir := folder(below("open"), victim, 0o777)
			tr.set(dir+"/default", attacker)
			return []string{"EGRESSPLAY_LAB_DIR=" + dir}, dir
		}},
		{"a lab in a sticky folder", func() ([]string, string) {
			dir := folder(below("sticky"), victim, 0o777|os.ModeSticky)
			tr.set(dir+"/default", attacker)
			return []string{"EGRESSPLAY_LAB_DIR=" + dir}, dir
		}},
		{"a link to the attacker's", func() ([]string, string) {
			target := folder(below("target"), attacker, 0o755)
			tr.set(target+"/default", attacker)
			require.NoError(t, os.Symlink(target, below("link")))
			require.NoError(t, os.Lchown(below("link"), attacker, attacker))
			return []string{"EGRESSPLAY_LAB_DIR=" + below("link")}, below("link")
		}},
		{"the lab is a link to the attacker's", func() ([]string, string) {
			tr.set(folder(below("far"), attacker, 0o755)+"/default", attacker)
			dir := folder(below("near"), victim, 0o700)
			require.NoError(t, os.Symlink(below("far", "default"), dir+"/default"))
			require.NoError(t, os.Lchown(dir+"/default", victim, victim))
			return []string{"EGRESSPLAY_LAB_DIR=" + dir}, dir + "/default"
		}},
		{"the victim's lab below the attacker's folder", func() ([]string, string) {
			above := folder(below("above"), attacker, 0o755)
			dir := folder(above+"/labs", victim, 0o700)
			tr.set(dir+"/default", victim)
			return []string{"EGRESSPLAY_LAB_DIR=" + dir}, above
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := &trap{t, tr.programs, tr.mark, tr.bystander}
			env, foreign := tt.make()
			before := tree(t, foreign)
			for _, args := range commands {
				e := tr.run(env, args...)
				assert.Equal(t, 3, e.code, "%v: %s%s", args, e.stdout, e.stderr)
				assert.Contains(t, e.stderr, "does not belong to this user alone: "+foreign+" (", args)
				assert.NotContains(t, e.stdout+e.stderr, "trap", args)
				assert.Empty(t, tr.sprung(), "%v ran the attacker's program", args)
			}
			assert.NoError(t, tr.bystander.Process.Signal(syscall.Signal(0)), "the victim's process was killed")
			assert.Equal(t, before, tree(t, foreign), "something was changed")
		})
	}
}

// A kubeconfig that no lab has written, in the victim's own folder.
func TestKubeconfigOfAnotherUserIsNotBelieved(t *testing.T) {
	tr := newTrap(t)
	dir := filepath.Join(filepath.Dir(tr.programs), "labs")
	require.NoError(t, os.Mkdir(dir, 0o700))
	kubeconfig := filepath.Join(dir, "default", "kubeconfig")
	tr.set(filepath.Dir(kubeconfig), victim)
	require.NoError(t, os.Chown(dir, victim, victim))
	for name, spoil := range map[string]func() error{
		"another's": func() error {
			return errors.Join(os.Chmod(kubeconfig, 0o600), os.Chown(kubeconfig, attacker, attacker))
		},
		"readable": func() error { return os.Chmod(kubeconfig, 0o644) },
		"a link": func() error {
			return errors.Join(os.Rename(kubeconfig, dir+"/elsewhere"), os.Symlink(dir+"/elsewhere", kubeconfig))
		},
	} {
		require.NoError(t, spoil(), name)
		for _, args := range [][]string{{"run", "tls-origination"}, {"lab", "kubectl", "get", "pods"}, {"lab", "kubeconfig"}, {"lab", "shell"}, {"lab", "status"}} {
			e := tr.run([]string{"EGRESSPLAY_LAB_DIR=" + dir}, args...)
			assert.Equal(t, 3, e.code, "%s, %v: %s%s", name, args, e.stdout, e.stderr)
			assert.Contains(t, e.stderr, "does not belong to this user alone: "+kubeconfig+" (", "%s, %v", name, args)
			assert.Empty(t, tr.sprung(), "%s, %v", name, args)
		}
		if name == "a link" {
			require.NoError(t, errors.Join(os.Remove(kubeconfig), os.Rename(dir+"/elsewhere", kubeconfig)))
		}
		require.NoError(t, errors.Join(os.Chown(kubeconfig, victim, victim), os.Chmod(kubeconfig, 0o600)))
	}
}

// The trap is a good one: where the folder belongs to who runs the commands, the
// kubeconfig's program runs.
func TestOwnFolderIsBelieved(t *testing.T) {
	tr := newTrap(t)
	dir := filepath.Join(filepath.Dir(tr.programs), "labs")
	require.NoError(t, os.Mkdir(dir, 0o700))
	tr.set(dir+"/default", victim)
	require.NoError(t, os.Chown(dir, victim, victim))
	env := []string{"EGRESSPLAY_LAB_DIR=" + dir}
	for _, args := range [][]string{{"run", "tls-origination"}, {"lab", "kubectl", "get", "pods"}} {
		e := tr.run(env, args...)
		assert.NotContains(t, e.stderr, "does not belong to this user alone", args)
		assert.Equal(t, strconv.Itoa(victim), tr.sprung(), "%v: %s%s", args, e.stdout, e.stderr)
	}
	assert.Contains(t, tr.run(env, "lab", "status").stdout, "lab default is ready")
	assert.Equal(t, "the trap's log\n", tr.run(env, "lab", "logs").stdout)
	assert.Contains(t, tr.run(env, "lab", "down").stdout, "lab default is gone")
	assert.Error(t, tr.bystander.Wait(), "down ends the process that lab.json names")
}

// tree lists all that is in a folder.
func tree(t *testing.T, folder string) []string {
	t.Helper()
	var list []string
	require.NoError(t, filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil {
			list = append(list, fmt.Sprint(path, info.Mode(), info.Size(), info.ModTime()))
		}
		return err
	}))
	return list
}
