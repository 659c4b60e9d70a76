package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// setSysctl writes a net.* sysctl of the calling thread's namespace and reads
// it back: the kernel refuses some without an error, or silently keeps them within
// bounds.
func setSysctl(name, value string) error {
	path, err := sysctlPath(name)
	if err != nil {
		return err
	}
	// Not os.WriteFile: there is nothing to create.
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set sysctl %s: this kernel has none of that name in a network namespace", name)
	}
	if err != nil {
		return fmt.Errorf("set sysctl %s: %w", name, err)
	}
	_, err = file.WriteString(value)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("set sysctl %s to %q: %w", name, value, err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read sysctl %s back: %w", name, err)
	}
	// The kernel separates the numbers of a range by a tab.
	if !slices.Equal(strings.Fields(string(got)), strings.Fields(value)) {
		return fmt.Errorf("set sysctl %s to %q: the kernel keeps %q", name, value, strings.TrimSpace(string(got)))
	}
	return nil
}

// sysctlPath returns the file of a sysctl. As in sysctl(8), the first separator in a
// name decides: if it is a dot, a slash stands for a dot, as in
// net.ipv4.conf.eth0/1.forwarding; if it is a slash, a dot is a dot.
func sysctlPath(name string) (string, error) {
	path := name
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		path = strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, name)
	}
	// The others belong to the whole machine, or to a namespace of another kind.
	if !strings.HasPrefix(path, "net/") || path != filepath.Clean(path) {
		return "", fmt.Errorf("set sysctl %s: only net.* can be set in a lab", name)
	}
	return "/proc/sys/" + path, nil
}
