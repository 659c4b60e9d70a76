package clustertest

import (
	"os/exec"
	"syscall"
)

func signalCode(exit *exec.ExitError) int {
	return 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
}
