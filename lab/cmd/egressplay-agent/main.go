// Command egressplay-agent is Istio's pilot-agent, unchanged: the program of the
// images istio/proxyv2, in istio-init (as "istio-iptables") and in istio-proxy
// (as "proxy sidecar" or "proxy router").
//
// It is a program of its own because each pod runs it twice: alone it starts in 10 ms
// and holds 28 MB; linked together with istiod and Kubernetes it would take 110 ms and
// 133 MB. With pilot-discovery in the same binary it would also print a warning into
// the log of every container, because both register POD_NAMESPACE.
package main

import (
	"os"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/cmd/pilot-agent/app"
	istioagent "istio.io/istio/pkg/istio-agent"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/nodeagent/sds"
)

func main() {
	log.EnableKlogWithCobra()
	if err := app.NewRootCommand(newSDS).Execute(); err != nil {
		log.Error(err)
		os.Exit(1)
	}
}

// newSDS is the server from which Envoy gets its certificates, as Istio's own
// pilot/cmd/pilot-agent/main.go makes it.
func newSDS(o *security.Options, c security.SecretManager, p *meshconfig.PrivateKeyProvider) istioagent.SDSService {
	return sds.NewServer(o, c, p)
}
