package steps

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
)

// routesTable prints the table of istioctl proxy-config route
// (istioctl/pkg/writer/envoy/configdump/route.go).
func routesTable(configs []any, only map[string]string) (string, error) {
	var all []proxyRoutes
	for _, config := range configs {
		var entry struct {
			Routes *proxyRoutes `json:"route_config"`
		}
		if err := retype(config, &entry); err != nil {
			return "", err
		}
		if entry.Routes != nil {
			all = append(all, *entry.Routes)
		}
	}
	if len(all) == 0 {
		return "", errors.New("the proxy has no routes")
	}
	// The order of istioctl, which is none among names that are no numbers: what it
	// comes to depends on the algorithm.
	sort.Slice(all, func(i, j int) bool {
		a, errA := strconv.Atoi(all[i].Name)
		b, errB := strconv.Atoi(all[j].Name)
		return errA == nil && errB == nil && a < b
	})
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 8, 5, ' ', 0)
	fmt.Fprintln(w, "NAME\tVHOST NAME\tDOMAINS\tMATCH\tVIRTUAL SERVICE")
	for _, r := range all {
		if only["name"] != "" && only["name"] != r.Name {
			continue
		}
		for _, h := range r.Hosts {
			row := func(match, object string) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Name, h.Name, domainsOf(h.Domains), match, object)
			}
			for i := range h.Routes {
				if route := &h.Routes[i]; route.Route == nil || route.Route.Cluster != "PassthroughCluster" {
					row(route.Match.describe(), route.Metadata.object())
				}
			}
			if len(h.Routes) == 0 {
				row("/*", "404")
			}
		}
	}
	_ = w.Flush()
	return out.String(), nil
}

// domainsOf names the domains of a virtual host as istioctl does: two of those without a
// port and without the longer spellings of a Service's name, and how many more there are.
func domainsOf(domains []string) string {
	if len(domains) == 1 {
		return domains[0]
	}
	var bare []string
	for _, d := range domains {
		if !strings.Contains(d, ":") || strings.Count(d, ":") > 2 && strings.HasSuffix(d, "]") {
			bare = append(bare, d)
		}
	}
	longer := func(domain, suffix string) bool {
		short, cut := strings.CutSuffix(domain, suffix)
		return cut && slices.Contains(bare, short)
	}
	var short []string
	for _, d := range bare {
		if !longer(d, ".svc.cluster.local") && !longer(d, ".svc") {
			short = append(short, d)
		}
	}
	if len(short) > 2 {
		return fmt.Sprintf("%s + %d more...", strings.Join(short[:2], ", "), len(short)-2)
	}
	return strings.Join(short, ", ")
}

// clusterStatuses stands for what Envoy says of the endpoints of its clusters, which is no
// part of its configuration.
const clusterStatuses = "cluster_statuses"

// endpointsTable prints the table of istioctl proxy-config endpoint
// (istioctl/pkg/writer/envoy/clusters/clusters.go).
func endpointsTable(statuses []any, only map[string]string) (string, error) {
	type row struct {
		address         string
		port            int
		status, outlier string
		cluster         string
	}
	var all []row
	for _, status := range statuses {
		var cluster struct {
			Name  string
			Hosts []struct {
				Address struct {
					socketAddress
					Pipe     *struct{ Path string }
					Internal *struct {
						Listener string `json:"server_listener_name"`
						ID       string `json:"endpoint_id"`
					} `json:"envoy_internal_address"`
				}
				Health struct {
					EDS    string `json:"eds_health_status"`
					Failed bool   `json:"failed_outlier_check"`
				} `json:"health_status"`
			} `json:"host_statuses"`
		}
		if err := retype(status, &cluster); err != nil {
			return "", err
		}
		for _, h := range cluster.Hosts {
			r := row{address: h.Address.Socket.Address, port: h.Address.Socket.Port, status: cmp.Or(h.Health.EDS, "UNKNOWN"), outlier: "OK", cluster: cluster.Name}
			switch {
			case r.address != "":
			case h.Address.Pipe != nil:
				r.address = "unix://" + h.Address.Pipe.Path
			case h.Address.Internal != nil:
				r.address = "envoy://" + h.Address.Internal.Listener + "/" + h.Address.Internal.ID
			default:
				r.address = "unknown"
			}
			if h.Health.Failed {
				r.outlier = "FAILED"
			}
			if isOne(only["address"], r.address) && isOne(only["port"], strconv.Itoa(r.port)) && isOne(only["cluster"], r.cluster) && isOne(only["status"], r.status) {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.address, b.address), cmp.Compare(a.port, b.port), cmp.Compare(a.cluster, b.cluster))
	})
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 8, 5, ' ', 0)
	fmt.Fprintln(w, "ENDPOINT\tSTATUS\tOUTLIER CHECK\tCLUSTER")
	for _, r := range all {
		endpoint := r.address
		if r.port != 0 {
			endpoint += ":" + strconv.Itoa(r.port)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", endpoint, r.status, r.outlier, r.cluster)
	}
	_ = w.Flush()
	return out.String(), nil
}
