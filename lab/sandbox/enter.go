package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A program started by [Start] must first call Enter. When Enter returns, the process
// is the lab: it has capabilities in namespaces of its own, private mounts with its own
// /proc, /run, /var/log, /dev/shm and /dev/pts, the machine's other files read-only,
// except the folders to keep, its own hostname, umask 022, no ignored signal, and the
// system folders of programs on its PATH. The inherited files are closed in any program
// that it starts. The loopback is still down.
//
// In the init, which is pid 1, Enter does not return: the process ends with the lab's
// exit code, 128 + the signal if the lab was killed.
func Enter() error {
	told, ok := os.LookupEnv(settingsVariable)
	if !ok {
		return errors.New("enter sandbox: this process was not started as the first process of a lab")
	}
	var s settings
	if err := json.Unmarshal([]byte(told), &s); err != nil {
		return fmt.Errorf("enter sandbox: %w", err)
	}
	if os.Getpid() == 1 {
		os.Exit(beInit(s))
	}
	if err := os.Unsetenv(settingsVariable); err != nil {
		return fmt.Errorf("enter sandbox: %w", err)
	}
	err := setUp(s)
	return errors.Join(err, report(s, err))
}

// report sends Start the outcome.
func report(s settings, err error) error {
	control := os.NewFile(uintptr(s.Control), "control")
	text := wordReady
	if err != nil {
		text = err.Error()
	}
	_, werr := control.WriteString(text)
	if err := errors.Join(werr, control.Close()); err != nil {
		return fmt.Errorf("enter sandbox: tell the caller: %w", err)
	}
	return nil
}

func setUp(s settings) error {
	for fd := 3; fd <= s.Control; fd++ {
		unix.CloseOnExec(fd) // os/exec relies on it, and they were inherited without it
	}
	if err := resetSignals(); err != nil {
		return err
	}
	// The caller's other groups would still give access to files of the machine.
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leave the groups of the caller: %w", err)
	}
	unix.Umask(0o022) // other users read the files that the lab writes for pods
	if err := mountAll(s.Keep); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
		return fmt.Errorf("set the hostname: %w", err)
	}
	return os.Setenv("PATH", withSystemFolders(os.Getenv("PATH")))
}

// systemFolders has the programs that an ordinary user's PATH lacks on Debian,
// iptables among them.
var systemFolders = []string{"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"}

func withSystemFolders(path string) string {
	var folders []string
	has := map[string]bool{"": true}
	for _, f := range append(strings.Split(path, ":"), systemFolders...) {
		if !has[f] {
			has[f] = true
			folders = append(folders, f)
		}
	}
	return strings.Join(folders, ":")
}
