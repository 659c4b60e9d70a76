package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab/cluster"
	"github.com/egressplay/egressplay/lab/internet"
)

// addInternet adds the flag --internet to a verb that starts a lab.
func addInternet(c *cobra.Command) {
	c.Flags().String("internet", "", "a file with hosts of your own for the lab's internet")
}

// ownHosts reads the file that --internet names, so that a mistake in it is reported
// before anything starts; it returns nil without the flag.
func ownHosts(c *cobra.Command, _ []string) ([]byte, error) {
	file, err := c.Flags().GetString("internet")
	if err != nil || file == "" {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err == nil {
		_, err = internet.Parse(file, data)
	}
	if err != nil {
		return nil, fmt.Errorf("--internet: %w", err)
	}
	return data, nil
}

// hostsOf returns the hosts of a lab's internet.
func hostsOf(f cluster.Folder) ([]internet.Host, error) {
	hosts, err := internet.Load(f.Hosts())
	if errors.Is(err, fs.ErrNotExist) {
		return internet.DefaultHosts(), nil
	}
	return hosts, err
}

// refuseOtherHosts returns an error if a running lab does not have the wanted hosts.
func (i *instance) refuseOtherHosts(wanted []byte) error {
	if wanted == nil {
		return nil
	}
	has, err := os.ReadFile(i.folder.Hosts())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !bytes.Equal(has, wanted) {
		return fmt.Errorf("lab %s is running without these hosts: add them with `egressplay lab internet add%s FILE`, or take it down with `egressplay lab down%[2]s` and start it again", i.name, i.flag())
	}
	return nil
}
