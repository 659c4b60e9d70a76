package mesh

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The types of some resources.
const (
	clusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
	routeType    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	secretType   = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)

// secretTime is how long a cluster must have waited for a Secret about which istiod has
// answered before the Secret counts as missing.
const secretTime = time.Second

// onlyClustersOpen reports whether a proxy has acknowledged everything that was sent to
// it except its clusters, has read the clusters, and has istiod's answer about the
// Secrets that it requested because of them. A push sends the clusters first, so a
// proxy that has acknowledged any other part of it has read them.
func (s *proxyState) onlyClustersOpen() bool {
	clusters := s.Resources[clusterType]
	if clusters.Sent == clusters.Acked {
		return false
	}
	read, answered := false, false
	for kind, r := range s.Resources {
		if kind == clusterType {
			continue
		}
		if r.Sent != r.Acked {
			return false
		}
		newest := pushNumber(r.Acked) >= pushNumber(clusters.Sent)
		if kind == secretType {
			answered = newest
		} else {
			read = read || newest
		}
	}
	return read && answered
}

// A coldProxy is one whose clusters wait for a Secret.
type coldProxy struct {
	nonce string // of the clusters that were sent
	since time.Time
}

// acceptClusters notes in a snapshot the clusters of a proxy as acknowledged where
// the proxy holds its acknowledgement back for nothing but new clusters that wait
// for a Secret which istiod does not send. Envoy does so for 15 seconds. Until
// then, and from then on, it answers requests to them by an error of its own. A
// cluster that replaces one is another matter: Envoy uses the old one until then.
// Source: envoyproxy/envoy source/common/upstream/cds_api_impl.cc and
// source/common/upstream/cluster_manager_impl.cc.
func (s *Sync) acceptClusters(ctx context.Context, now *snapshot, proxy string, cold map[string]coldProxy) {
	_, state := now.of(proxy)
	if state == nil || !state.onlyClustersOpen() || !s.waitsForSecret(ctx, proxy) {
		delete(cold, proxy)
		return
	}
	clusters := state.Resources[clusterType]
	if cold[proxy].nonce != clusters.Sent {
		cold[proxy] = coldProxy{nonce: clusters.Sent, since: time.Now()}
	}
	if time.Since(cold[proxy].since) >= secretTime {
		clusters.Acked = clusters.Sent
		state.Resources[clusterType] = clusters
	}
}

// waitsForSecret reports whether all clusters that a proxy does not use yet are new and
// wait for a Secret that the proxy does not have.
func (s *Sync) waitsForSecret(ctx context.Context, proxy string) bool {
	var warming struct {
		Configs []struct {
			Cluster struct {
				Name   string          `json:"name"`
				Socket json.RawMessage `json:"transport_socket"`
			} `json:"cluster"`
		} `json:"configs"`
	}
	type secret struct {
		Name string `json:"name"`
	}
	var secrets struct {
		Configs []secret `json:"configs"`
	}
	if !s.dump(ctx, proxy, "dynamic_warming_clusters", &warming) || !s.dump(ctx, proxy, "dynamic_warming_secrets", &secrets) {
		return false
	}
	var names []string
	for _, c := range warming.Configs {
		missing := slices.ContainsFunc(secrets.Configs, func(s secret) bool {
			quoted, err := json.Marshal(s.Name)
			return err == nil && strings.Contains(string(c.Cluster.Socket), string(quoted))
		})
		if !missing {
			return false
		}
		names = append(names, regexp.QuoteMeta(c.Cluster.Name))
	}
	if len(names) == 0 {
		return false
	}
	var active struct {
		Configs []json.RawMessage `json:"configs"`
	}
	pattern := url.QueryEscape("^(" + strings.Join(names, "|") + ")$")
	return s.dump(ctx, proxy, "dynamic_active_clusters&mask=cluster.name&name_regex="+pattern, &active) && len(active.Configs) == 0
}

// dump reads a part of a proxy's configuration, and reports whether it could.
func (s *Sync) dump(ctx context.Context, proxy, resource string, into any) bool {
	pod := podRef(proxy)
	text, err := s.Mesh.Ask(ctx, pod.Namespace, pod.Name, "config_dump?resource="+resource)
	return err == nil && json.Unmarshal([]byte(text), into) == nil
}
