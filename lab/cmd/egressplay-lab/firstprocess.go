package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/egressplay/egressplay/lab/cluster"
	"github.com/egressplay/egressplay/lab/sandbox"
)

// The files that the first process inherits, in the order of sandbox.Config.
const (
	fdAPI     = 3 + iota // the listener on the host's loopback
	fdControl            // the listener on the control socket
	fdAlive              // a locked file, kept open as long as the lab lives
	fdLeash              // a pipe; see leash
)

// detach is written to the leash to let the lab go on alone.
const detach = 'd'

// firstProcess runs a lab from its beginning to its end. Its arguments are
// the lab's name and its run folder.
func firstProcess() error {
	if err := sandbox.Enter(); err != nil {
		return err
	}
	name, folder := os.Args[2], cluster.Folder(os.Args[3])
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		leash(os.NewFile(fdLeash, "leash"))
		cancel()
	}()

	programs, err := cluster.FindPrograms()
	if err != nil {
		return err
	}
	hosts, err := hostsOf(folder)
	if err != nil {
		return err
	}
	api, err := inherited(fdAPI)
	if err != nil {
		return err
	}
	control, err := inherited(fdControl)
	if err != nil {
		return err
	}
	return cluster.Run(ctx, cluster.Config{
		Name: name, Version: version, Folder: folder, Programs: programs,
		Starter: []string{programs.Self, argStarter}, Hosts: hosts,
		API: api, Control: control,
	})
}

// leash returns when the lab must end because the process that holds the other end is
// gone. It never returns if that process has let the lab go on alone.
func leash(f *os.File) {
	var word [1]byte
	if _, err := io.ReadFull(f, word[:]); err == nil && word[0] == detach {
		select {}
	}
}

// inherited returns a listener that was made before this process, in the host's
// network.
func inherited(fd uintptr) (net.Listener, error) {
	f := os.NewFile(fd, "listener")
	l, err := net.FileListener(f) // a copy
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("inherit a listener: %w", err)
	}
	return l, nil
}
