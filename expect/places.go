package expect

import (
	"fmt"
	"strings"
)

// The names of proxies on a way, and of its ends.
const (
	hopSidecar     = "sidecar"
	hopGateway     = "egressgateway"
	hopPassthrough = "passthrough"
	hopDirect      = "direct"
	hopBlocked     = "blocked"
)

// isProxy reports whether a name may be that of a proxy between the sidecar and
// the end of a way: Istio's own egress gateway, a gateway of the Gateway API, or
// any workload that is one.
func isProxy(name string) bool {
	return name == hopGateway || isNamed(name, "gateway/") || isNamed(name, "deploy/")
}

// isNamed reports whether a name is KIND/NAME or KIND/NAME.NAMESPACE.
func isNamed(name, kind string) bool {
	rest, ok := strings.CutPrefix(name, kind)
	return ok && rest != "" && !strings.HasPrefix(rest, ".") && !strings.HasSuffix(rest, ".")
}

const proxies = "egressgateway, gateway/NAME or deploy/NAME, each with .NAMESPACE where it is in another one"

func notAProxy(name string) error {
	return fmt.Errorf("%q is no proxy on a way: want %s", name, proxies)
}
