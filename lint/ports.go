package lint

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// families are the protocols that a port's name may begin with, and what they have in
// common: for the proxy those of one family are the same, or close.
// Source: istio.io, "Protocol Selection".
var families = map[string]string{
	"http": "HTTP", "http2": "HTTP", "grpc": "HTTP", "grpcweb": "HTTP", "https": "TLS", "tls": "TLS",
	"tcp": "TCP", "mongo": "MONGO", "mysql": "MYSQL", "redis": "REDIS", "udp": "UDP",
}

// portNames reports ports whose name and protocol differ. The name decides in a
// Service, the protocol elsewhere: one of both is not what the author believes.
func portNames(w *world) (problems []Problem) {
	for _, o := range w.objects {
		var ports []*yaml.Node
		decides := "protocol"
		switch {
		case o.kind == "ServiceEntry" && o.group == "networking.istio.io":
			ports = at(o.node, "spec", "ports")
		case o.kind == "Gateway" && o.group == "networking.istio.io":
			ports = at(o.node, "spec", "servers", "port")
		case o.kind == "Service" && o.group == "":
			ports, decides = at(o.node, "spec", "ports"), "appProtocol"
		}
		for _, p := range ports {
			name, protocol := at(p, "name"), text(p, decides)
			if len(name) != 1 || protocol == "" {
				continue
			}
			prefix, _, _ := strings.Cut(strings.ToLower(name[0].Value), "-")
			if is, says := families[strings.ToLower(strings.ReplaceAll(protocol, "-", ""))], families[prefix]; is != "" && says != "" && is != says {
				problems = append(problems, o.problem("port-name", name[0], "name it "+strings.ToLower(protocol)+strings.TrimPrefix(strings.ToLower(name[0].Value), prefix)+", or change the protocol",
					"the port's name begins with %s, and its %s is %s, which is what holds", prefix, decides, protocol))
			}
		}
	}
	return problems
}
