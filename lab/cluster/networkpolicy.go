package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/egressplay/egressplay/lab/networkpolicy"
	"github.com/egressplay/egressplay/lab/supervise"
)

// newNetworkPolicy returns the controller of network policies. It is a part of this
// process, which has the administrator's key anyway: an identity of its own would
// protect nothing, and would have no permissions before the API server has made the
// roles.
func newNetworkPolicy(folder Folder, keys *credentials) (*networkpolicy.Controller, error) {
	source, err := networkpolicy.FromAPI(keys.config())
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(folder.Log(NetworkPolicy), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return networkpolicy.New(source, slog.New(slog.NewTextHandler(log, nil))), nil
}

// enforcePolicies runs the controller until ctx ends. It waits until the API server
// answers, because client-go retries a refused connection only after a second.
func (l *lab) enforcePolicies(ctx context.Context) error {
	p := &processes{keys: l.keys}
	if err := retry(ctx, p.apiServes()); err != nil {
		return err
	}
	return l.policies.Run(ctx)
}

// awaitPolicies returns once pods can be isolated. No pod starts before.
func (l *lab) awaitPolicies(ctx context.Context) error {
	return l.step(NetworkPolicy, func() error {
		select {
		case <-l.policies.Ready():
			l.isolates.Store(true)
			return nil
		case <-ctx.Done():
			return fmt.Errorf("wait for the controller of network policies: %w", context.Cause(ctx))
		}
	})
}

func (l *lab) policiesState() supervise.State {
	if l.isolates.Load() {
		return supervise.Ready // its end would end the lab
	}
	return supervise.Starting
}
