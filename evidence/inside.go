package evidence

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Resident names who of the cluster has an address at which a way ends, or to which curl
// connected: "pod web in namespace shop", or the pod of the command itself; "" where
// nobody is known to have it. The namespace is that of the pod.
func (a *Attempt) Resident(addr string) (who, namespace string) {
	ip, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", ""
	}
	if parsed, err := netip.ParseAddr(ip); ip == a.Command.Pod.IP || err == nil && parsed.IsLoopback() {
		return "the pod of the command itself", a.Command.Pod.Namespace
	}
	for _, p := range a.Residents {
		if p.IP == ip {
			return fmt.Sprintf("pod %s in namespace %s", p.Name, p.Namespace), p.Namespace
		}
	}
	return "", ""
}

// Impostor says who of the cluster answered a transfer although its URL names a host
// outside of the cluster: by an alias in the pod, or because the cluster's DNS has the
// name. It returns "" where nobody did, and where the command line itself chose the
// address. NAME.NAMESPACE is how a Service is named from another namespace.
func (a *Attempt) Impostor(t *Transfer) string {
	u := ParseURL(t.URL)
	if u == nil || t.Remote == "" || t.Redirects > 0 || a.Command.Curl.Redirected || !IsOutside(u.Hostname()) {
		return ""
	}
	who, namespace := a.Resident(t.Remote)
	if who == "" || strings.HasSuffix(u.Hostname(), "."+namespace) {
		return ""
	}
	return who + " has the address " + t.Remote + ", which is not " + u.Hostname()
}

// IsOutside reports whether a host is one that the cluster's own DNS does not name: no
// address, no word alone, and no name of a Service or a pod such as web.shop.svc.
func IsOutside(host string) bool {
	if net.ParseIP(host) != nil || !strings.Contains(host, ".") {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "svc" || label == "pod" {
			return false
		}
	}
	return !strings.HasSuffix(host, ".local") && !strings.HasSuffix(host, ".localhost")
}
