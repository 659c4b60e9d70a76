package supervise

import (
	"time"

	"github.com/egressplay/egressplay/lab/proc"
)

// State is what a process is doing.
type State string

// The states of a process. One that is started again goes from Waiting to
// Starting; one that is not ends in Exited, as does every stopped one.
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
	Pid      int           // as this process counts; 0 when it does not run
	Usage    proc.Usage    // of the present run; zero when it does not run
	Restarts int           // how often it was started again
	Took     time.Duration // from its first start until it was ready; 0 when it never was
}
