package starter

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// LookPath finds a program as execvp(3) does, in the root and working directory of the
// calling thread and the PATH of env, not of this process. The errors have runc's
// wording, which users know.
func LookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if err := executable(name); err != nil {
			return "", fmt.Errorf("exec: %q: %w", name, err)
		}
		return name, nil
	}
	var path string
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			path = value
		}
	}
	if name != "" {
		for _, dir := range filepath.SplitList(path) {
			if file := filepath.Join(dir, name); executable(file) == nil {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("exec: %q: executable file not found in $PATH", name)
}

func executable(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return unix.EISDIR
	}
	if info.Mode()&0o111 == 0 {
		return fs.ErrPermission
	}
	return nil
}
