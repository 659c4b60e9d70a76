package mesh

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// readUpstreams asks the last proxy on each way who chose the address to which it sent
// the request, if curl may have chosen it, and if the address is not that of a host
// outside of the cluster. A proxy that does not answer does not count.
func (b *watched) readUpstreams(ctx context.Context, a *evidence.Attempt) {
	for i := range a.Ways {
		w := &a.Ways[i]
		host := w.Cluster[strings.LastIndex(w.Cluster, "|")+1:]
		if a.Chosen(w) != nil || w.Cluster == "" || w.Address == "" || len(w.Hops) == 0 {
			continue
		}
		if who, _ := a.Resident(w.Address); !a.ChosenByCurl(w, host) && (!evidence.IsOutside(host) || who == "" && !isPrivate(w.Address)) {
			continue
		}
		pod := w.Hops[len(w.Hops)-1].Pod
		text, err := b.mesh.Ask(ctx, pod.Namespace, pod.Name, "config_dump?resource=dynamic_active_clusters&name_regex="+
			url.QueryEscape("^"+regexp.QuoteMeta(w.Cluster)+"$"))
		if err != nil {
			continue
		}
		if resolved, told, err := resolves(text, w.Cluster); err == nil {
			a.Upstreams = append(a.Upstreams, evidence.Upstream{Pod: pod.Name, Cluster: w.Cluster, Resolved: resolved, Told: told})
		}
	}
}

// readResidents looks for the pods that have the addresses at which ways end, and to
// which curl connected.
func (b *watched) readResidents(ctx context.Context, a *evidence.Attempt) {
	var addresses []string
	for i := range a.Ways {
		if a.Ways[i].Ends == "" {
			addresses = append(addresses, a.Ways[i].Address)
		}
	}
	for i := range a.Transfers {
		addresses = append(addresses, a.Transfers[i].Remote)
	}
	for _, addr := range addresses {
		ip, _, err := net.SplitHostPort(addr)
		if who, _ := a.Resident(addr); err != nil || who != "" {
			continue
		}
		if pod := b.podAt(ctx, ip); pod != nil {
			a.Residents = append(a.Residents, podOf(*pod))
		}
	}
}

// isPrivate reports whether an address, "ip:port", is one that a cluster gives to its own.
func isPrivate(addr string) bool {
	a, err := netip.ParseAddrPort(addr)
	return err == nil && (a.Addr().IsPrivate() || a.Addr().IsLoopback())
}

// resolves reports whether the proxy chooses the addresses of a cluster, by the
// cluster's configuration, and whether istiod told them: as addresses, or as a name
// other than the host's own.
// Source: Envoy's API, config.cluster.v3.Cluster.DiscoveryType; STATIC is the default.
func resolves(dump, cluster string) (resolved, told bool, err error) {
	var d struct {
		Configs []struct {
			Cluster struct {
				Name        string          `json:"name"`
				Type        string          `json:"type"`
				ClusterType json.RawMessage `json:"cluster_type"`
				Load        struct {
					Endpoints []struct {
						Endpoints []struct {
							Endpoint struct {
								Address struct {
									Socket struct {
										Address string `json:"address"`
									} `json:"socket_address"`
								} `json:"address"`
							} `json:"endpoint"`
						} `json:"lb_endpoints"`
					} `json:"endpoints"`
				} `json:"load_assignment"`
			} `json:"cluster"`
		} `json:"configs"`
	}
	if err := json.Unmarshal([]byte(dump), &d); err != nil {
		return false, false, err
	}
	for _, c := range d.Configs {
		if c.Cluster.Name != cluster {
			continue
		}
		if c.Cluster.Type == "ORIGINAL_DST" || c.Cluster.ClusterType != nil {
			return false, false, nil
		}
		host := cluster[strings.LastIndex(cluster, "|")+1:]
		for _, locality := range c.Cluster.Load.Endpoints {
			for _, e := range locality.Endpoints {
				if e.Endpoint.Address.Socket.Address == host {
					return true, false, nil
				}
			}
		}
		return true, true, nil
	}
	return false, false, fmt.Errorf("the proxy has no cluster %s", cluster)
}
