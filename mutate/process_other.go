//go:build !unix

package main

import "os/exec"

// ownGroup has nothing to do: there is no lab here.
func ownGroup(*exec.Cmd) {}
