package explain

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// dump reads a part of a proxy's configuration, once, and reports whether it could.
func (c *facts) dump(h hop, query string, into any) bool {
	text, ok := c.admin(h, "config_dump?"+query)
	return ok && json.Unmarshal([]byte(text), into) == nil
}

// admin asks the administration interface of a proxy, once.
func (c *facts) admin(h hop, path string) (string, bool) {
	if c.e.Config == nil || h.pod == "" {
		return "", false
	}
	key := h.namespace + "/" + h.pod + "/" + path
	if text, asked := c.dumps[key]; asked {
		return text, text != ""
	}
	text, err := c.e.Config(c.ctx, h.namespace, h.pod, path)
	if err != nil {
		text = ""
	}
	c.dumps[key] = text
	return text, text != ""
}

// An inForce is an upstream cluster as it is in a proxy's configuration.
type inForce struct {
	known   bool // the proxy was asked
	exists  bool
	tls     bool   // it speaks TLS, or may do so to some of its hosts
	matches bool   // it speaks TLS only to those of its hosts that have a proxy
	warming bool   // the newest one is not used yet
	author  string // NAMESPACE/NAME of a DestinationRule that made it, "" for none
	secrets []string
}

type clusterDump struct {
	Configs []struct {
		Cluster struct {
			Name     string          `json:"name"`
			Socket   json.RawMessage `json:"transport_socket"`
			Matches  json.RawMessage `json:"transport_socket_matches"`
			Metadata metadata        `json:"metadata"`
		} `json:"cluster"`
	} `json:"configs"`
}

type metadata struct {
	Filter struct {
		Istio struct {
			Config string `json:"config"`
		} `json:"istio"`
	} `json:"filter_metadata"`
}

// author returns NAMESPACE/NAME of the object that the metadata name, if it is of the
// given kind, such as destination-rule.
func (m metadata) author(kind string) string {
	_, rest, ok := strings.Cut(m.Filter.Istio.Config, "/namespaces/")
	namespace, rest, _ := strings.Cut(rest, "/")
	is, name, _ := strings.Cut(rest, "/")
	if !ok || is != kind {
		return ""
	}
	return namespace + "/" + name
}

var sdsName = regexp.MustCompile(`"name":\s*"kubernetes(?:-gateway)?://([^"]+)"`)

// inForce returns an upstream's cluster as it is in a proxy's configuration.
func (c *facts) inForce(h hop, u upstream) (f inForce) {
	name := "name_regex=" + url.QueryEscape("^"+regexp.QuoteMeta(u.key())+";?$")
	for _, resource := range []string{"dynamic_active_clusters", "dynamic_warming_clusters"} {
		var d clusterDump
		if !c.dump(h, "resource="+resource+"&"+name, &d) {
			return inForce{}
		}
		f.known = true
		for _, one := range d.Configs {
			cluster := one.Cluster
			for _, m := range sdsName.FindAllSubmatch(append(slices.Clone([]byte(cluster.Socket)), cluster.Matches...), -1) {
				f.secrets = append(f.secrets, string(m[1]))
			}
			if f.author == "" {
				f.author = cluster.Metadata.author("destination-rule")
			}
			if resource == "dynamic_warming_clusters" {
				f.warming = true
				continue
			}
			f.exists, f.matches = true, f.matches || len(cluster.Matches) > 0
			f.tls = f.tls || len(cluster.Socket) > 0 && !strings.Contains(string(cluster.Socket), "raw_buffer") || len(cluster.Matches) > 0
		}
	}
	return f
}

// A routeInForce is a route in a proxy's configuration that leads to an upstream.
type routeInForce struct {
	author, cluster, timeout string
}

// routesInForce returns the routes that a proxy has for a host.
func (c *facts) routesInForce(h hop, host string) (all []routeInForce, known bool) {
	var d struct {
		Configs []struct {
			Config struct {
				Hosts []struct {
					Domains []string `json:"domains"`
					Routes  []struct {
						Metadata metadata `json:"metadata"`
						Route    struct {
							Cluster string `json:"cluster"`
							Timeout string `json:"timeout"`
						} `json:"route"`
					} `json:"routes"`
				} `json:"virtual_hosts"`
			} `json:"route_config"`
		} `json:"configs"`
	}
	if !c.dump(h, "resource=dynamic_route_configs", &d) {
		return nil, false
	}
	for _, one := range d.Configs {
		for _, v := range one.Config.Hosts {
			if !slices.ContainsFunc(v.Domains, func(d string) bool { return d == host || evidence.HostOf(d) == host }) {
				continue
			}
			for _, r := range v.Routes {
				all = append(all, routeInForce{r.Metadata.author("virtual-service"), r.Route.Cluster, r.Route.Timeout})
			}
		}
	}
	return all, true
}

// A refusal is a listener or a cluster whose newest configuration a proxy refuses.
type refusal struct{ kind, name, why string }

// refusals returns what a proxy refuses at the moment.
func (c *facts) refusals(h hop) (all []refusal) {
	var d struct {
		Configs []struct {
			Name    string `json:"name"`
			Cluster struct {
				Name string `json:"name"`
			} `json:"cluster"`
			Error struct {
				Details string `json:"details"`
			} `json:"error_state"`
		} `json:"configs"`
	}
	for _, kind := range []string{"listener", "cluster"} {
		resource := "dynamic_listeners"
		if kind == "cluster" {
			resource = "dynamic_active_clusters"
		}
		query := "resource=" + resource + "&mask=name,error_state.details"
		if kind == "cluster" {
			query = "resource=" + resource + "&mask=cluster.name,error_state.details"
		}
		d.Configs = nil
		if !c.dump(h, query, &d) {
			return all
		}
		for _, one := range d.Configs {
			if one.Error.Details != "" {
				all = append(all, refusal{kind, one.Name + one.Cluster.Name, one.Error.Details})
			}
		}
	}
	return all
}
