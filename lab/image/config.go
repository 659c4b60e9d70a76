package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Config says how an image's program runs. A root file system has none.
type Config struct {
	User       string // USER or USER:GROUP, each a name or a number; "" is root
	Env        []string
	Entrypoint []string
	Cmd        []string
	WorkingDir string
	StopSignal string
	Volumes    map[string]struct{} // folders that must exist
}

// fullConfig is an image's configuration in an archive.
type fullConfig struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       Config `json:"config"`
	RootFS       struct {
		DiffIDs []string `json:"diff_ids"` // digests of the layers, uncompressed
	} `json:"rootfs"`
}

// readConfig reads and checks a configuration.
func readConfig(text []byte) (fullConfig, error) {
	var c fullConfig
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("read the image's configuration: %w", err)
	}
	if c.OS == "" || c.Architecture == "" {
		return c, errors.New("it is not a container image: its configuration has no os and architecture")
	}
	if got := c.OS + "/" + c.Architecture; got != platform() {
		return c, fmt.Errorf("the image is for %s, and this machine runs %s: build or pull it with --platform=%[2]s", got, platform())
	}
	return c, c.Config.check()
}

func (c Config) check() error {
	for _, text := range slices.Concat(c.Env, c.Entrypoint, c.Cmd, []string{c.WorkingDir, c.User}) {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("the image's configuration has a zero byte in %q", text)
		}
	}
	for _, e := range c.Env {
		if strings.HasPrefix(e, "=") || e == "" {
			return fmt.Errorf("the image's configuration has a variable without a name: %q", e)
		}
	}
	for volume := range c.Volumes {
		if err := inside(volume); err != nil {
			return fmt.Errorf("the image's volume %q %w", volume, err)
		}
	}
	_, err := c.Signal()
	return err
}

// Signal returns the signal that ends the image's program; 0 if the image names none.
func (c Config) Signal() (syscall.Signal, error) {
	const first, last = 34, 64 // of the real-time signals
	name := strings.ToUpper(strings.TrimSpace(c.StopSignal))
	if name == "" {
		return 0, nil
	}
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n <= last {
		return syscall.Signal(n), nil
	}
	name = "SIG" + strings.TrimPrefix(name, "SIG")
	if s := unix.SignalNum(name); s != 0 {
		return s, nil
	}
	for from, at := range map[string]int{"SIGRTMIN": first, "SIGRTMAX": last} {
		rest, ok := strings.CutPrefix(name, from)
		if !ok {
			continue
		}
		offset := 0
		if rest != "" {
			var err error
			if offset, err = strconv.Atoi(rest); err != nil {
				break
			}
		}
		if n := at + offset; n >= first && n <= last {
			return syscall.Signal(n), nil
		}
	}
	return 0, fmt.Errorf("the image's configuration has an unknown signal to stop it: %q", c.StopSignal)
}

// machines are the values of e_machine in the ELF header of this machine's programs.
var machines = map[string]uint16{"amd64": 62, "arm64": 183}

// machineNames are the names of other machines, for messages.
var machineNames = map[uint16]string{3: "386", 8: "mips", 21: "ppc64", 22: "s390x", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64", 258: "loong64"}

func machineName(machine uint16) string {
	if name := machineNames[machine]; name != "" {
		return name
	}
	return fmt.Sprintf("the machine %d of ELF", machine)
}

func isOurs(machine uint16) bool { return machine == machines[runtime.GOARCH] }
