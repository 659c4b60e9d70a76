// Command egressplay-coredns is CoreDNS with the few plugins that a lab's
// Corefile names. It is a module of its own because CoreDNS' dependencies
// (newer k8s.io modules and etcd 3.7) do not build together with etcd 3.6 and
// Kubernetes.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
)

func main() {
	// The order in which a server block asks its plugins, whatever their order in the Corefile.
	dnsserver.Directives = []string{"reload", "log", "errors", "ready", "cache", "kubernetes", "forward"}
	coremain.Run()
}
