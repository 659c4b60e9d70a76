package cluster

import "github.com/egressplay/egressplay/lab/network"

// The names of the parts of a lab, on the command line and in logs.
const (
	Internet          = "internet"
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Proxy             = "kube-proxy"
	Kubelet           = "kubelet"
	NetworkPolicy     = "network-policy"
	CoreDNS           = "coredns"
	Istiod            = "istiod"
	EgressGateway     = "istio-egressgateway"
	GatewayAPI        = "gateway-api"
)

// Components has all parts, in the order in which they are shown.
var Components = []string{
	Internet, Etcd, APIServer, ControllerManager, Scheduler, Proxy, NetworkPolicy, Kubelet, CoreDNS, Istiod, EgressGateway,
}

const (
	nodeName  = "lab"
	etcdURL   = "http://127.0.0.1:2379"
	apiServer = "https://" + network.NodeIP + ":" + apiPort
	apiPort   = "6443"
)
