package supervise

import (
	"time"

	"github.com/egressplay/egressplay/lab/proc"
)

// State is what a process is doing.
type State string

// The states of a process. A process that is restarted goes from Waiting to Starting;
// any other that ends, and every stopped one, is Exited.
const (
	Starting State = "starting" // it runs, and is not ready yet
	Ready    State = "ready"
	Waiting  State = "waiting" // it has ended and will be started again
	Exited   State = "exited"
)

// Status is what is known of one process at one moment.
type Status struct {
	Name     string
	State    State
	Pid      int           // in the pid namespace of this process; 0 if it does not run
	Usage    proc.Usage    // of the present run; zero if it does not run
	Restarts int           // how often it was restarted
	Took     time.Duration // from its first start until it was ready; 0 if it never was
}
