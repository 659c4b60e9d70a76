package explain

import (
	"slices"

	"github.com/egressplay/egressplay/evidence"
)

// ofScript turns the failure of a script into that of the first of its requests which
// went otherwise than shown, so that it is explained as that of any other step. Where
// nobody can tell which one that is, nothing is known of a request.
func (c *facts) ofScript() {
	a := c.Attempt
	if a == nil || a.Shell == nil {
		return
	}
	var request *evidence.Attempt
	var claims evidence.Verdicts
	for i := range c.Verdicts {
		v := &c.Verdicts[i]
		if v.Outcome != evidence.NotHeld {
			continue
		}
		for _, m := range v.Means {
			of := a.Shell.Stages[m.Stage].Request
			if of == nil || of.Command == nil || request != nil && of != request {
				continue
			}
			request = of
			claims = append(claims, evidence.Verdict{Key: m.Key, At: v.At, Outcome: evidence.NotHeld, Want: m.Want, Got: m.Got})
		}
	}
	if request != nil {
		c.Kind, c.Attempt, c.Verdicts = "exec", request, claims
	} else if slices.ContainsFunc(a.Shell.Stages, func(s evidence.Stage) bool { return s.Exec }) {
		c.Kind = "exec"
	}
}
