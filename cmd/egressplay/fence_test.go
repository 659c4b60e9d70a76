package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile is a page that reaches for what is not its own.
const hostile = "# A page\n```bash\n" + `$ cat /planted/secret
$ cat < /planted/secret
$ echo a > /planted/written
$ source /planted/secret
$ . /planted/secret
$ type ls
$ command -v ls
$ cat <(ls /planted)
$ cd ~root && ls ~root/.ssh
$ kubectl apply -f /planted/secret
$ kubectl apply -f ../planted/secret
$ kubectl apply -f link.yaml
$ kubectl create configmap a --from-file=/planted/secret
$ kubectl get pod --kubeconfig /planted/kubeconfig
$ export KUBECONFIG=/planted/kubeconfig
$ kubectl get pod -o yaml > ../planted/written
$ openssl x509 -in /planted/secret -text
$ grep a /planted/secret
$ for i in {1..3000000}; do echo $i; done
$ while true; do ls; done
$ x=$(ls /planted); eval ls; exec ls; ls & trap ls EXIT
$ bash /planted/secret
$ ./planted.sh
` + "```\n<!-- egressplay\n- title: A\n  apply: {files: [link.yaml, /planted/secret, ../planted/secret]}\n-->\n```bash\n$ kubectl get pod\n```\n"

// mayOpen are the files that the program itself opens: those of the page's folder
// aside, what Go's runtime and Kubernetes' client library ask of the machine.
var mayOpen = regexp.MustCompile(`^(?:/proc/|/sys/|/dev/(?:null|tty|urandom)$|/etc/(?:localtime|resolv\.conf|hosts|nsswitch\.conf|ld\.so\.cache)$|/usr/share/zoneinfo|/lib/|/usr/lib/)`)

// TestAHostilePageReachesNothing watches the program by strace as it reads such a
// page: it opens no file but those in the page's folder and its own, and executes
// nothing.
func TestAHostilePageReachesNothing(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	outside, folder, home := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(outside, "planted"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "planted", "secret"), []byte("planted-value"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "page.md"), []byte(strings.ReplaceAll(hostile, "/planted", outside+"/planted")), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(outside, "planted", "secret"), filepath.Join(folder, "link.yaml")))
	for _, args := range [][]string{{"lint"}, {"lint", "--skip-unmapped"}, {"convert"}, {"run"}} {
		log := filepath.Join(t.TempDir(), "strace")
		program, err := os.Executable()
		require.NoError(t, err)
		// The test's own program is egressplay where it is called so; see TestMain.
		named := filepath.Join(t.TempDir(), "egressplay")
		require.NoError(t, os.Symlink(program, named))
		cmd := exec.Command(strace, append(append([]string{"-f", "-qq", "-y", "-s", "4096", "-e", "trace=open,openat,openat2,creat,execve,execveat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat", "-o", log, named}, args...), filepath.Join(folder, "page.md"))...)
		cmd.Dir = t.TempDir()
		cmd.Env = []string{"HOME=" + home, "EGRESSPLAY_LAB_DIR=" + filepath.Join(home, "labs"), "PATH=/usr/bin:/bin", "TMPDIR=" + outside}
		out, err := cmd.CombinedOutput()
		data, readErr := os.ReadFile(log)
		if readErr != nil || len(data) == 0 {
			t.Skipf("strace does not work here: %v %s", err, out)
		}
		assert.Error(t, err, "such a page is not run")
		assert.Contains(t, string(out), "page.md:", "it was read")
		assert.NotContains(t, string(out), "planted-value")
		check(t, strings.Join(args, " "), string(data), outside, folder, home, program)
	}
	_, err = os.Stat(filepath.Join(outside, "planted", "written"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

var (
	call   = regexp.MustCompile(`^(?:\d+ +)?(\w+)\(`)
	quoted = regexp.MustCompile(`"([^"]*)"`)
)

// check looks at each call that strace wrote down.
func check(t *testing.T, what, log, outside string, own ...string) {
	t.Helper()
	execs, read := 0, false
	for line := range strings.Lines(log) {
		m := call.FindStringSubmatch(line)
		if m == nil {
			continue // the rest of a call, or a signal
		}
		read = read || strings.Contains(line, "page.md>")
		assert.NotContains(t, line, outside, what) // -y tells where a link led
		name := quoted.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(m[1], "exec"):
			execs++
		case name == nil:
		case !filepath.IsAbs(name[1]) && strings.Contains(line, "AT_FDCWD"):
			assert.Fail(t, "a file of the current folder", "%s: %s", what, line)
		case !filepath.IsAbs(name[1]): // within a folder that was opened
			assert.True(t, filepath.IsLocal(name[1]) && name[1] != "secret", "%s: %s", what, line)
		case slices.ContainsFunc(own, func(path string) bool { return strings.HasPrefix(name[1], path) }), mayOpen.MatchString(name[1]):
		default:
			assert.Fail(t, "a file that is not the page's", "%s: %s", what, line)
		}
	}
	assert.True(t, read, "%s: strace saw the page itself", what)
	assert.Equal(t, 1, execs, "%s: the program itself, and no other", what)
}
