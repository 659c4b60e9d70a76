package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/egressplay/egressplay/cluster"
)

// CatchAll returns the upstream cluster to which a pod's sidecar sends requests to
// unknown hosts: PassthroughCluster, BlackHoleCluster, or that of a proxy. It is the
// outbound traffic policy in force, which an object such as a Sidecar may override for
// the pod.
//
// Source: istio/istio pilot/pkg/networking/core/listener_builder.go: the last filter
// chain of the listener virtualOutbound takes what no other one does.
func (m *Mesh) CatchAll(ctx context.Context, pod cluster.Pod) (string, error) {
	text, err := m.Ask(ctx, pod.Namespace, pod.Name, "config_dump?resource=dynamic_listeners&name_regex=^virtualOutbound$")
	if err != nil {
		return "", err
	}
	to, err := catchAll([]byte(text))
	if err != nil {
		return "", fmt.Errorf("the sidecar of %s: %w", pod.Name, err)
	}
	return to, nil
}

// catchAll returns the upstream cluster of the last filter chain of a listener
// in a dump of Envoy's configuration.
func catchAll(dump []byte) (string, error) {
	type chain struct {
		Match   json.RawMessage `json:"filter_chain_match"`
		Filters []struct {
			Config struct {
				Cluster string `json:"cluster"`
			} `json:"typed_config"`
		} `json:"filters"`
	}
	var doc struct {
		Configs []struct {
			Active struct {
				Listener struct {
					Chains  []chain `json:"filter_chains"`
					Default *chain  `json:"default_filter_chain"`
				} `json:"listener"`
			} `json:"active_state"`
		} `json:"configs"`
	}
	if err := json.Unmarshal(dump, &doc); err != nil {
		return "", fmt.Errorf("its listener cannot be read: %w", err)
	}
	for _, c := range doc.Configs {
		chains := c.Active.Listener.Chains
		if c.Active.Listener.Default != nil {
			chains = append(chains, *c.Active.Listener.Default)
		}
		for _, chain := range chains {
			for _, f := range chain.Filters {
				if len(chain.Match) == 0 && f.Config.Cluster != "" {
					return f.Config.Cluster, nil
				}
			}
		}
	}
	return "", errors.New("it has no listener for what no other one takes")
}
