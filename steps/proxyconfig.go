package steps

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A proxyListener is what the table of listeners needs of one, as Envoy's
// admin interface has it.
type proxyListener struct {
	Address             socketAddress                     `json:"address"`
	AdditionalAddresses []struct{ Address socketAddress } `json:"additional_addresses"`
	FilterChains        []filterChain                     `json:"filter_chains"`
	DefaultFilterChain  *filterChain                      `json:"default_filter_chain"`
}

type socketAddress struct {
	Socket struct {
		Address string
		Port    int `json:"port_value"`
	} `json:"socket_address"`
}

type filterChain struct {
	Match struct {
		ServerNames  []string `json:"server_names"`
		Transport    string   `json:"transport_protocol"`
		Applications []string `json:"application_protocols"`
		Port         *int     `json:"destination_port"`
		Ranges       []struct {
			Address string `json:"address_prefix"`
			Length  int    `json:"prefix_len"`
		} `json:"prefix_ranges"`
	} `json:"filter_chain_match"`
	Filters []struct {
		Name   string
		Config json.RawMessage `json:"typed_config"`
	}
}

type proxyRoutes struct {
	Name  string
	Hosts []struct {
		Name    string
		Domains []string
		Routes  []struct {
			Match    routeMatch
			Route    *struct{ Cluster string }
			Metadata istioMetadata
		}
	} `json:"virtual_hosts"`
}

// A routeMatch says which requests a route is for.
type routeMatch struct {
	Prefix, Path    string
	SeparatedPrefix string                 `json:"path_separated_prefix"`
	Regex           struct{ Regex string } `json:"safe_regex"`
}

// describe tells the paths of the requests, as istioctl does.
func (m *routeMatch) describe() string {
	var all []string
	if m.Prefix != "" {
		all = append(all, m.Prefix+"*")
	}
	if m.SeparatedPrefix != "" {
		all = append(all, "PathPrefix:"+m.SeparatedPrefix)
	}
	if m.Path != "" {
		all = append(all, m.Path)
	}
	if m.Regex.Regex != "" {
		all = append(all, "regex "+m.Regex.Regex)
	}
	return strings.Join(all, " ")
}

// istioMetadata names the object of Istio that a part of the configuration is made of.
type istioMetadata struct {
	Filters struct {
		Istio *struct{ Config string }
	} `json:"filter_metadata"`
}

// object returns the object's name; "" where none is told.
func (m *istioMetadata) object() string {
	if i := m.Filters.Istio; i != nil && i.Config != "" {
		return ruleOf(i.Config)
	}
	return ""
}

// listenersTable prints the table of istioctl proxy-config listener
// (istioctl/pkg/writer/envoy/configdump/listener.go).
func listenersTable(configs []any, only map[string]string) (string, error) {
	var all []proxyListener
	for _, config := range configs {
		var entry struct {
			Listener *proxyListener
			Active   struct{ Listener *proxyListener } `json:"active_state"`
		}
		if err := retype(config, &entry); err != nil {
			return "", err
		}
		if l := cmp.Or(entry.Active.Listener, entry.Listener); l != nil {
			all = append(all, *l)
		}
	}
	slices.SortStableFunc(all, func(a, b proxyListener) int {
		return cmp.Or(cmp.Compare(a.Address.Socket.Port, b.Address.Socket.Port), cmp.Compare(a.Address.Socket.Address, b.Address.Socket.Address))
	})
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 8, 1, ' ', 0)
	fmt.Fprintln(w, "ADDRESSES\tPORT\tMATCH\tDESTINATION")
	for _, l := range all {
		addresses := []string{l.Address.Socket.Address}
		for _, a := range l.AdditionalAddresses {
			addresses = append(addresses, a.Address.Socket.Address)
		}
		if !isOne(only["port"], strconv.Itoa(l.Address.Socket.Port)) || !isOne(only["address"], addresses...) {
			continue
		}
		chains := l.FilterChains
		if l.DefaultFilterChain != nil {
			chains = append(chains, *l.DefaultFilterChain)
		}
		var rows [][2]string
		for _, c := range chains {
			rows = append(rows, [2]string{c.match(), c.destination()})
		}
		slices.SortStableFunc(rows, func(a, b [2]string) int { return cmp.Compare(b[1], a[1]) })
		for _, row := range rows {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", strings.Join(addresses, ","), l.Address.Socket.Port, row[0], row[1])
		}
	}
	_ = w.Flush()
	return out.String(), nil
}

// retype reads a value of JSON into what has its fields.
func retype(value, into any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// applicationProtocols are those that istioctl has a name for.
var applicationProtocols = map[string]string{
	"http/1.0,http/1.1,h2c,istio-http/1.0,istio-http/1.1,istio-h2": "App: HTTP TLS",
	"istio,istio-http/1.0,istio-http/1.1,istio-h2":                 "App: Istio HTTP Plain",
	"istio-peer-exchange,istio":                                    "App: TCP TLS",
	"http/1.0,http/1.1,h2c":                                        "App: HTTP",
}

// match describes which connections a chain is for.
func (c *filterChain) match() string {
	m := &c.Match
	var all []string
	if len(m.ServerNames) > 0 {
		all = append(all, "SNI: "+strings.Join(m.ServerNames, ","))
	}
	if m.Transport != "" {
		all = append(all, "Trans: "+m.Transport)
	}
	if len(m.Applications) > 0 {
		names := strings.Join(m.Applications, ",")
		all = append(all, cmp.Or(applicationProtocols[names], "App: "+names))
	}
	port := ""
	if m.Port != nil {
		port = fmt.Sprintf(":%d", *m.Port)
	}
	var ranges []string
	for _, r := range m.Ranges {
		ranges = append(ranges, fmt.Sprintf("%s/%d", r.Address, r.Length))
	}
	if len(ranges) > 0 || port != "" {
		all = append(all, "Addr: "+cmp.Or(strings.Join(ranges, ","), "*")+port)
	}
	return cmp.Or(strings.Join(all, "; "), "ALL")
}

// destination describes where a chain sends its connections.
func (c *filterChain) destination() string {
	for _, f := range c.Filters {
		var config struct {
			Cluster string
			Routes  *proxyRoutes `json:"route_config"`
			RDS     struct {
				Name string `json:"route_config_name"`
			} `json:"rds"`
		}
		if err := json.Unmarshal(f.Config, &config); err != nil {
			continue
		}
		switch {
		case f.Name == "envoy.filters.network.http_connection_manager" && config.Routes != nil:
			return config.Routes.describe()
		case f.Name == "envoy.filters.network.http_connection_manager" && config.RDS.Name != "":
			return "Route: " + config.RDS.Name
		case f.Name == "envoy.filters.network.http_connection_manager":
			return "HTTP"
		case f.Name == "envoy.filters.network.tcp_proxy" && !bytes.Contains(f.Config, []byte("BlackHoleCluster")):
			return clusterOf(config.Cluster)
		}
	}
	return "Non-HTTP/Non-TCP"
}

// clusterOf names an upstream cluster as istioctl does.
func clusterOf(name string) string {
	if strings.Contains(name, "Cluster") {
		return name
	}
	return "Cluster: " + name
}

// describe tells the routes that stand in a listener.
func (r *proxyRoutes) describe() string {
	if len(r.Hosts) == 1 && slices.Equal(r.Hosts[0].Domains, []string{"*"}) && len(r.Hosts[0].Routes) == 1 {
		if route := r.Hosts[0].Routes[0]; route.Match.Prefix == "/" && route.Route != nil && route.Route.Cluster != "" {
			return clusterOf(route.Route.Cluster)
		}
	}
	var hosts []string
	for _, h := range r.Hosts {
		var routes []string
		for i := range h.Routes {
			routes = append(routes, h.Routes[i].Match.describe())
		}
		text := strings.Join(routes, ", ")
		if !slices.Equal(h.Domains, []string{"*"}) {
			text = strings.Join(h.Domains, "/") + " " + text
		}
		hosts = append(hosts, text)
	}
	return "Inline Route: " + strings.Join(hosts, "; ")
}

// clustersTable prints the table of istioctl proxy-config cluster
// (istioctl/pkg/writer/envoy/configdump/cluster.go).
func clustersTable(configs []any, only map[string]string) (string, error) {
	type row struct {
		name, subset, direction, kind, rule string
		port                                int
		ofIstio                             bool // its name has these parts
	}
	var all []row
	for _, config := range configs {
		var entry struct {
			Cluster struct {
				Name, Type string
				Metadata   istioMetadata
			}
		}
		if err := retype(config, &entry); err != nil {
			return "", err
		}
		c := entry.Cluster
		if !has(c.Name, only["fqdn"]) || !has(c.Name, only["direction"]) || !has(c.Name, only["subset"]) || only["port"] != "" && !has(c.Name, "|"+only["port"]+"|") {
			continue
		}
		r := row{name: c.Name, kind: cmp.Or(c.Type, "STATIC")}
		if parts := strings.Split(c.Name, "|"); len(parts) > 3 {
			r.ofIstio, r.direction, r.subset, r.name = true, parts[0], parts[2], parts[3]
			r.port, _ = strconv.Atoi(parts[1])
		}
		r.rule = c.Metadata.object()
		all = append(all, r)
	}
	slices.SortStableFunc(all, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.subset, b.subset), cmp.Compare(a.port, b.port), cmp.Compare(a.direction, b.direction))
	})
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 8, 5, ' ', 0)
	fmt.Fprintln(w, "SERVICE FQDN\tPORT\tSUBSET\tDIRECTION\tTYPE\tDESTINATION RULE")
	for _, r := range all {
		port := "-"
		if r.ofIstio {
			port = strconv.Itoa(r.port)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.name, port, cmp.Or(r.subset, "-"), cmp.Or(r.direction, "-"), r.kind, r.rule)
	}
	_ = w.Flush()
	return out.String(), nil
}

// isOne reports whether a flag asks for one of the values; "" asks for all.
func isOne(asked string, values ...string) bool {
	return asked == "" || slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, asked) })
}

// has reports whether the name of a cluster has a part.
func has(name, part string) bool { return strings.Contains(name, part) }

// ruleOf names the object of a path of the API, as istioctl does.
func ruleOf(path string) string {
	parts := strings.Split(path, "/")
	switch {
	case !strings.HasPrefix(path, "/apis/networking.istio.io/"):
		return "<unknown>"
	case len(parts) != 8:
		return ""
	}
	return parts[7] + "." + parts[5]
}
