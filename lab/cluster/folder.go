package cluster

import "path/filepath"

// Folder is the run folder of a lab, mode 0700, which the host and the lab
// share:
//
//	lab.json     who runs it; written by the one who starts the lab
//	kubeconfig   for the host, mode 0600; there once the lab is ready
//	control      the socket on which the lab takes requests; see Control
//	hosts.yaml   the user's own hosts of the internet, if there are any
//	lock         held by whoever starts or ends the lab
//	alive        held by the lab as long as it lives
//	logs/        COMPONENT.log of each component, and lab.log of the lab itself
//	state/       what the components keep; gone with the lab
//
// Its path must be short: the path of a Unix socket has at most 107 bytes.
type Folder string

// Info returns the path of the file that says who runs the lab.
func (f Folder) Info() string { return f.join("lab.json") }

// Kubeconfig returns the path of the administrator's kubeconfig, for the host.
func (f Folder) Kubeconfig() string { return f.join("kubeconfig") }

// Control returns the path of the running lab's Unix socket.
func (f Folder) Control() string { return f.join("control") }

// Lock returns the path of the file that is locked while the lab is started or ended.
func (f Folder) Lock() string { return f.join("lock") }

// Alive returns the path of the file that the lab keeps locked.
func (f Folder) Alive() string { return f.join("alive") }

// Logs returns the folder of the components' logs.
func (f Folder) Logs() string { return f.join("logs") }

// Log returns the path of a component's log.
func (f Folder) Log(component string) string { return f.join("logs", component+".log") }

// Records returns the path of the file to which the stand-in internet writes what
// reaches it.
func (f Folder) Records() string { return f.Log(Internet) }

// Hosts returns the path of the lab's copy of the user's file of hosts; see
// [internet.Parse].
func (f Folder) Hosts() string { return f.join("hosts.yaml") }

// State returns the folder of what goes with the lab.
func (f Folder) State() string { return f.join("state") }

// Files returns the paths of everything that may be in the folder.
func (f Folder) Files() []string {
	return []string{f.Info(), f.Kubeconfig(), f.Control(), f.Hosts(), f.Lock(), f.Alive(), f.Logs(), f.State()}
}

func (f Folder) join(elem ...string) string {
	return filepath.Join(append([]string{string(f)}, elem...)...)
}

func (f Folder) state(elem ...string) string {
	return filepath.Join(append([]string{f.State()}, elem...)...)
}

// Sockets are the Unix sockets beneath a run folder.
var Sockets = []string{
	"control",
	"state/cri.sock",
	"state/kubelet/pod-resources/kubelet.sock",
	"state/kubelet/device-plugins/kubelet.sock",
}
