package mesh

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// readUpstreams asks the last proxy on each way who chose the address to which it sent
// the request, if curl may have chosen it. A proxy that does not answer does not count.
func (b *watched) readUpstreams(ctx context.Context, a *evidence.Attempt) {
	for i := range a.Ways {
		w := &a.Ways[i]
		host := w.Cluster[strings.LastIndex(w.Cluster, "|")+1:]
		if _, known := a.Chosen(w); known || w.Cluster == "" || w.Address == "" || len(w.Hops) == 0 || !a.ChosenByCurl(w, host) {
			continue
		}
		pod := w.Hops[len(w.Hops)-1].Pod
		text, err := b.mesh.Ask(ctx, pod.Namespace, pod.Name, "config_dump?resource=dynamic_active_clusters&name_regex="+
			url.QueryEscape("^"+regexp.QuoteMeta(w.Cluster)+"$"))
		if err != nil {
			continue
		}
		if resolved, err := resolves(text, w.Cluster); err == nil {
			a.Upstreams = append(a.Upstreams, evidence.Upstream{Pod: pod.Name, Cluster: w.Cluster, Resolved: resolved})
		}
	}
}

// resolves reports whether the proxy chooses the addresses of a cluster, by the
// cluster's configuration.
// Source: Envoy's API, config.cluster.v3.Cluster.DiscoveryType; STATIC is the default.
func resolves(dump, cluster string) (bool, error) {
	var d struct {
		Configs []struct {
			Cluster struct {
				Name        string          `json:"name"`
				Type        string          `json:"type"`
				ClusterType json.RawMessage `json:"cluster_type"`
			} `json:"cluster"`
		} `json:"configs"`
	}
	if err := json.Unmarshal([]byte(dump), &d); err != nil {
		return false, err
	}
	for _, c := range d.Configs {
		if c.Cluster.Name == cluster {
			return c.Cluster.Type != "ORIGINAL_DST" && c.Cluster.ClusterType == nil, nil
		}
	}
	return false, fmt.Errorf("the proxy has no cluster %s", cluster)
}
