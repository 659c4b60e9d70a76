package starter

import "io/fs"

// A Spec is everything about one container that the starter needs. The server sends
// it as JSON.
type Spec struct {
	Root    string // an empty folder that becomes the root
	Scratch string // an empty folder for what a root made of layers needs
	Shm     string // the folder that is mounted at /dev/shm

	// RootFS is the folder of an image that has a whole root file system of its own; ""
	// for one that is based on the machine's /usr and described by the fields that
	// follow.
	RootFS string

	// Of the image: folders that lie over the machine's files, the first on top;
	// files of the machine by their path in the container; folders that must exist;
	// and symbolic links, path to target.
	Layers []string
	Files  map[string]string
	Dirs   []Dir
	Links  map[string]string

	TrustBundle   string // the file of the certificate authorities; "" for the machine's folder
	Hostname      string
	Resolv        string // text of /etc/resolv.conf
	Mounts        []Mount
	MaskedPaths   []string
	ReadonlyPaths []string
	ReadonlyRoot  bool

	Args       []string
	Env        []string
	WorkingDir string
	UID, GID   int
	Groups     []int
	Caps       Capabilities
	NoNewPrivs bool
	Terminal   bool
	Stdin      bool

	overlays []string // made by the starter: writable mounts in the root
}

// A Mount is a file or folder of the machine in the container.
type Mount struct {
	From, To  string
	Readonly  bool
	Recursive bool // read-only with everything that is mounted below
}

// A Dir is a folder of an image.
type Dir struct {
	Path     string
	Mode     fs.FileMode // permissions, with fs.ModeSticky if wanted
	UID, GID int64
}

// The starter and the server talk over a socket. It is the starter's file descriptor
// [Socket], and closes when the program is executed. The server sends the [Spec] as
// JSON, and closes its side; the starter sends these bytes.
const (
	Socket = 3

	ReplyTerminal = 'p' // comes with the terminal's master as an open file
	ReplyReady    = 'r' // the program is about to be executed
	ReplyError    = 'e' // the rest is why the container cannot be started
)

// The files of the container's output and input. The starter makes 0, 1 and 2 from
// them just before it executes the program: until then its own output, and that of
// the Go runtime, goes elsewhere.
const (
	Stdout = 4
	Stderr = 5
	Stdin  = 6
)
