package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Connection reports whether a connection to the far end was made: made, refused,
// or timeout where nobody answered in time. Where a sidecar handles the command's
// connections it is the last proxy that makes it, whatever the command itself
// sees: to a client that waits for nothing, such as curl's telnet, a refused
// connection looks like one that ended.
type Connection string

const connectionMade = "made"

var connections = []string{connectionMade, evidence.EndsRefused, evidence.EndsTimeout}

// Validate returns what is wrong with the expectation.
func (e *Connection) Validate() error {
	if !slices.Contains(connections, string(*e)) && !strings.Contains(string(*e), "${") {
		return &runner.FieldError{Err: fmt.Errorf("%q is no end of a connection: want %s", string(*e), strings.Join(connections, ", "))}
	}
	return nil
}

// Needs implements [runner.Expectation].
func (e *Connection) Needs() evidence.Needs {
	return evidence.Needs{Curl: true, Lines: true, Way: true}
}

// Judge implements [runner.Expectation].
func (e *Connection) Judge(a *evidence.Attempt) (vs evidence.Verdicts) {
	if a.Command == nil || a.Command.Curl == nil || len(a.Transfers) == 0 {
		return unjudged(nil, false, "a connection is judged by what curl reports of it, and the command is no curl that does", "write curl telnet://HOST:PORT for a service that does not speak HTTP")
	}
	for _, t := range a.Transfers {
		got := alone(&t)
		if got == connectionMade && a.Command.Pod.Sidecar {
			continue // what curl sees is the sidecar's connection
		}
		vs = append(vs, judge(nil, got == string(*e), string(*e), got))
	}
	if len(vs) < len(a.Transfers) {
		vs = append(vs, e.judgeBehind(a)...)
	}
	return vs
}

// judgeBehind judges the connections that were made behind the sidecar.
func (e *Connection) judgeBehind(a *evidence.Attempt) (vs evidence.Verdicts) {
	if len(a.Ways) > 0 && a.Ways[0].By == "log" && !a.Accounted() {
		return unjudged(nil, true, "the sidecar's access log does not have all the requests: nobody tells what became of the others", "")
	}
	if len(a.Ways) == 0 {
		if held, judged, _ := past(a); judged && held {
			return evidence.Verdicts{judge(nil, *e == connectionMade, string(*e), connectionMade)}
		}
		return unjudged(nil, true, "what became of the connection behind the sidecar is not known: its access log has no line of it", "")
	}
	for i := range a.Ways {
		w := &a.Ways[i]
		got := connectionMade
		switch {
		case w.Unknown != "":
			vs = append(vs, unjudged(nil, w.Again, w.Unknown, "")...)
			continue
		case w.Ends == evidence.EndsTimeout:
			got = evidence.EndsTimeout
		case w.Ends != "":
			got = evidence.EndsRefused
		}
		v := judge(nil, got == string(*e), string(*e), got)
		v.Facts = []string{w.Words()}
		if v.Outcome == evidence.NotHeld {
			v.Why = w.Words()
		}
		vs = append(vs, v)
	}
	return vs
}

// alone returns what became of a connection as curl alone has it; "none" where
// nobody was asked for one.
// Source: curl's man page, "EXIT CODES": 7 is refused, 28 a timeout, which may
// also be that of looking up a name.
func alone(t *evidence.Transfer) string {
	switch {
	case t.Local != "" && t.Remote != "":
		return connectionMade
	case t.ExitCode == 7:
		return evidence.EndsRefused
	case t.ExitCode == 28 && !strings.HasPrefix(t.Error, "Resolving"):
		return evidence.EndsTimeout
	}
	return "none"
}
