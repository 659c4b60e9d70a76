//go:build unix

package main

import (
	"fmt"
	"syscall"
)

// become replaces this process by another program: its terminal, its signals
// and its exit code are then the other's.
func become(path string, args []string) error {
	err := syscall.Exec(path, append([]string{path}, args...), labEnv())
	return fmt.Errorf("start %s: %w", path, err)
}
