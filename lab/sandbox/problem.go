package sandbox

// Problem is something that this machine lacks for a lab, in words for the user.
type Problem struct {
	Title  string // what is wrong, in a few words
	Detail string // what was found, and why a lab needs it otherwise
	Fix    string // the command that helps, or what to do; may have several lines
	Fatal  bool   // a lab cannot start; if false, it may work badly
}

// CheckConfig says for which lab to check.
type CheckConfig struct {
	// RunDir is the lab's run folder, an absolute path. It need not exist.
	RunDir string

	// Sockets are the Unix sockets that the lab will make, as paths beneath
	// RunDir.
	Sockets []string

	// Probe is the command line of a program that calls [Probe] at once, to try in
	// namespaces what no file shows. Without it nothing is tried.
	Probe []string
}

// What a lab needs. Its processes have 1.4 GB resident without a pod, 1.7 GB
// with one; on disk, etcd alone reserves 128 MB.
const (
	wantedMemory    = 2 << 30   // bytes
	wantedDisk      = 512 << 20 // bytes
	wantedWatches   = 8192      // of inotify
	wantedInstances = 32        // of inotify: 17 for the lab, 3 for each pod with a sidecar
	longestSocket   = 107       // bytes: sun_path of unix(7) has 108, the last is 0
)

// programs are the programs that a lab runs, or of which its images consist.
var programs = []struct{ name, pkg string }{
	{"curl", "curl"},
	{"ip", "iproute2"},
	{"iptables", "iptables"},
	{"iptables-restore", "iptables"},
	{"iptables-save", "iptables"},
	{"ip6tables", "iptables"},
	{"mount", "mount"},
	{"nft", "nftables"},
	{"sh", "dash"},
	{"umount", "mount"},
}

// mappers are the programs that an ordinary user needs too.
var mappers = []string{"newuidmap", "newgidmap"}
