package evidence

import (
	"fmt"
	"net"
	"strings"
)

// Words returns a way for a reader: "sidecar → egressgateway → example.com:443".
func (w *Way) Words() string {
	if w.Direct {
		return "direct, past the sidecar"
	}
	var words []string
	for _, h := range w.Hops {
		words = append(words, h.Name)
	}
	switch {
	case w.Unknown != "":
		words = append(words, "? ("+w.Unknown+")")
	case w.Ends != "":
		end := w.Ends
		if w.Address != "" {
			end += " at " + w.Address
		}
		if w.Why != "" {
			end += " (" + w.Why + ")"
		}
		words = append(words, end)
	default:
		words = append(words, w.EndName())
	}
	return strings.Join(words, " → ")
}

// EndName returns the end of a way as a playbook has it: "HOST:PORT" as the
// cluster names the host, "passthrough", or the address where nothing names it.
// The name of a cluster is DIRECTION|PORT|SUBSET|HOST (istio/istio
// pilot/pkg/model/service.go, BuildSubsetKey); where it has a wildcard, the
// request names the host.
func (w *Way) EndName() string {
	if w.Cluster == Passthrough {
		return "passthrough"
	}
	_, port, _ := net.SplitHostPort(w.Address)
	if parts := strings.Split(w.Cluster, "|"); len(parts) == 4 {
		host := parts[3]
		if strings.HasPrefix(host, "*") {
			if w.SNI != "" {
				host = w.SNI
			} else if w.Authority != "" {
				host = HostOf(w.Authority)
			}
		}
		return net.JoinHostPort(host, port)
	}
	return w.Address
}

// HostOf returns the host of an authority, which may have a port.
func HostOf(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return authority
}

// Words returns an arrival for a reader: "GET /politics at edition.cnn.com, TLS,
// HTTP/2.0, from 10.244.1.3:40000".
func (r *Arrival) Words() string {
	what := strings.TrimSpace(r.Method + " " + r.Path)
	if what == "" {
		what = "a connection"
	}
	at := r.Host
	if at == "" {
		at = r.Site
	}
	words := []string{what + " at " + at}
	if r.TLS {
		tls := "TLS"
		if r.SNI != "" && r.SNI != HostOf(at) {
			tls += " for " + r.SNI
		}
		words = append(words, tls)
	}
	if r.ClientCertificate != "" {
		words = append(words, "client certificate "+r.ClientCertificate)
	}
	if r.Protocol != "" {
		words = append(words, r.Protocol)
	}
	return strings.Join(append(words, "from "+r.Remote), ", ")
}

// Words returns a transfer for a reader: "HTTP/2 200 from 203.0.113.10:443".
func (t *Transfer) Words() string {
	switch {
	case t.Local == "":
		return "no connection"
	case t.Status == 0:
		return "no response from " + t.Remote
	}
	return fmt.Sprintf("%s %d from %s", t.Proto, t.Status, t.Remote)
}
