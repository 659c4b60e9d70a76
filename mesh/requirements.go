package mesh

import (
	"context"
	"errors"
	"fmt"

	"github.com/egressplay/egressplay/cluster"
)

// What a playbook may require of a cluster.
const (
	AccessLog     = "accessLog"     // the proxies write access logs
	EgressGateway = "egressGateway" // Istio's egress gateway is installed
	GatewayAPI    = "gatewayAPI"    // the cluster has the kinds of the Gateway API
	Istioctl      = "istioctl"      // Istio's own istioctl is there, see [Mesh.Istioctl]
)

// Requirements are what a playbook may require of a cluster, sorted.
var Requirements = []string{AccessLog, EgressGateway, GatewayAPI, Istioctl}

// Missing returns what the cluster lacks for a requirement and what to do about it; ""
// if it lacks nothing.
func (m *Mesh) Missing(ctx context.Context, requirement string) (string, error) {
	switch requirement {
	case AccessLog:
		if _, err := configuration(ctx, m.Cluster, m.configMap()); err != nil {
			return "", err
		}
		l, err := m.logging(ctx, cluster.Pod{})
		return l.Off, err
	case EgressGateway:
		pods, err := m.Cluster.List(ctx, "pod", m.Namespace, EgressGatewayLabels)
		if err == nil && len(pods) == 0 {
			return fmt.Sprintf("there is no egress gateway (pods with %s) in namespace %s: install Istio's demo profile, or its egress gateway", EgressGatewayLabels, m.Namespace), nil
		}
		return "", err
	case GatewayAPI:
		_, err := m.Cluster.Resolve(ctx, cluster.Ref{APIVersion: "gateway.networking.k8s.io/v1", Kind: "Gateway"}, m.Namespace)
		if _, ok := errors.AsType[*cluster.NoKindError](err); ok {
			return "the cluster has no Gateway API: install its standard channel", nil
		}
		return "", err
	case Istioctl:
		if !m.Istioctl {
			return "istioctl analyze is run by a lab of this machine, which has Istio's own istioctl, and by nothing else", nil
		}
		return "", nil
	}
	return "", fmt.Errorf("unknown requirement %s", requirement)
}

// EgressGatewayLabels selects the pods of Istio's egress gateway.
// Source: istio.io "Egress Gateways".
const EgressGatewayLabels = "istio=egressgateway"
