package explain

import (
	"context"
	"time"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// A Failure is a step that did not pass, and where it ran.
type Failure struct {
	Kind    string            // the step's verb
	Command string            // what a person would type for it
	Attempt *evidence.Attempt // the last one; nil where there was none
	// Verdicts are the claims that did not hold or could not be judged.
	Verdicts evidence.Verdicts
	Error    error // where there are none

	Namespace      string
	IstioNamespace string
	// Changes are the objects that the playbook has changed so far.
	Changes []evidence.Change
}

// An Explainer explains failures in one cluster.
type Explainer struct {
	Cluster cluster.Interface
	// Look adds to an attempt what the proxies tell of it, where the step did not
	// ask for that; nil where nobody can.
	Look func(ctx context.Context, a *evidence.Attempt) error
}

// limit bounds an explanation.
const limit = 5 * time.Second

// Explain returns the causes of a failure, at most two; where none is known, one
// finding that says so and what is known. It changes nothing.
func (e *Explainer) Explain(ctx context.Context, f Failure) []evidence.Finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := &facts{ctx: ctx, e: e, Failure: f, objects: map[string][]object{}}
	c.look()
	for _, family := range families {
		if found := family(c); len(found) > 0 {
			return found[:min(len(found), 2)]
		}
	}
	return c.unknown()
}

// families has what may explain a failure, in the order in which they are asked:
// what was not accepted or is not in force comes first, for everything else is
// only true behind it.
var families = []func(*facts) []evidence.Finding{
	notServed,
	otherRevision,
	sidecarElsewhere,
	noSidecar,
	deniedByPolicy,
	unknownHost,
	wrongProtocol,
	secretNotSupplied,
	noCluster,
	gatewayAnswered,
	gatewayUnreachable,
	timedOut,
	certificate,
	plainToTLS,
	tlsInTLS,
}
