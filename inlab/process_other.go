//go:build !unix

package inlab

import "os/exec"

// ownGroup does nothing: there is no lab on this system.
func ownGroup(*exec.Cmd) {}
