package explain

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/egressplay/egressplay/evidence"
)

// A Failure is a step that did not pass, and where it ran.
type Failure struct {
	Kind    string            // the step's verb
	Command string            // what a person would type for it
	Attempt *evidence.Attempt // the last one; nil if there was none
	// Verdicts are the claims that did not hold or could not be judged.
	Verdicts evidence.Verdicts
	Error    error // if there are no verdicts

	Namespace      string
	IstioNamespace string
	// Changes are the objects that the playbook has changed so far.
	Changes []evidence.Change
}

// An Explainer explains failures in one cluster.
type Explainer struct {
	Cluster Cluster
	// Look adds to an attempt what the proxies know about it, if the step did not ask
	// for that; nil if nobody can.
	Look func(ctx context.Context, a *evidence.Attempt) error
	// Config asks the administration interface of a pod's proxy for a path such as
	// "config_dump?resource=dynamic_listeners"; nil if nobody can.
	Config func(ctx context.Context, namespace, pod, path string) (string, error)
}

// limit bounds an explanation.
const limit = 5 * time.Second

// Explain returns the causes of a failure, at most two. If none is known, it returns
// one finding that says so, with what is known. It changes nothing.
func (e *Explainer) Explain(ctx context.Context, f Failure) (found []evidence.Finding) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	started := time.Now()
	defer func() {
		for i := range found {
			found[i].TookMS = time.Since(started).Milliseconds()
		}
	}()
	// An explanation must not become a failure of its own.
	defer func() {
		if broken := recover(); broken != nil {
			found = []evidence.Finding{{Cause: "The cause is not known.", Unknown: true, Facts: []string{fmt.Sprintf("the explanation itself failed: %v", broken)}}}
		}
	}()
	c := newFacts(ctx, e, f)
	for _, family := range families {
		if found = family.explain(c); len(found) > 0 {
			if found = eitherOr(found); len(found) > 0 {
				return found
			}
			break
		}
	}
	return c.unknown()
}

// eitherOr returns what is reported of the findings of a family: one is the cause, two
// are alternatives, and more leave the cause unknown.
func eitherOr(found []evidence.Finding) (told []evidence.Finding) {
	for _, f := range found {
		if !slices.ContainsFunc(told, func(g evidence.Finding) bool { return g.Cause == f.Cause }) {
			told = append(told, f)
		}
	}
	switch len(told) {
	case 1:
		return told
	case 2:
		told[0].Cause, told[1].Cause = "Either: "+told[0].Cause, "Or: "+told[1].Cause
		return told
	}
	return nil
}

// A family is causes that show in the same place, and what looks for them.
type family struct {
	name    string // for a reader of the documentation
	explain func(*facts) []evidence.Finding
	causes  []Cause
}

// A Cause is a cause of failures that is known here, as the documentation describes it.
type Cause struct {
	// Code names it in a [evidence.Finding].
	Code string
	// Symptom is what a reader sees, What is the cause, and Cure is what to do.
	Symptom, What, Cure string
}

// families has what may explain a failure, in the order in which they are asked. What
// was not accepted or is not in force comes first: until it is, nothing else is
// certain.
var families = []family{
	refusedFamily,
	missingFamily,
	waitFamily,
	servedFamily,
	conditionFamily,
	witnessFamily,
	policyFamily,
	decidedFamily,
	routeFamily,
	networkFamily,
	hostsFamily,
	clusterFamily,
	gatewayFamily,
	apiGatewayFamily,
	reachFamily,
	timeoutFamily,
	certificateFamily,
	tlsFamily,
	wayFamily,
}

// A Family is the causes that show in the same place.
type Family struct {
	Name   string
	Causes []Cause
}

// Families returns all causes that are known here, in the order in which they are
// looked for.
func Families() (all []Family) {
	for _, f := range families {
		all = append(all, Family{f.name, f.causes})
	}
	return all
}
