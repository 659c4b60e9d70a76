package mesh

import (
	"context"
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/cluster"
)

// What a playbook may require of a cluster.
const (
	AccessLog     = "accessLog"     // the proxies write access logs
	EgressGateway = "egressGateway" // Istio's egress gateway is installed
	GatewayAPI    = "gatewayAPI"    // the cluster has the kinds of the Gateway API
)

// Requirements are what a playbook may require of a cluster, sorted.
var Requirements = []string{AccessLog, EgressGateway, GatewayAPI}

// Missing says what a cluster lacks of a requirement and what to do about it;
// "" when it has it.
func Missing(ctx context.Context, c cluster.Interface, namespace, revision, requirement string) (string, error) {
	switch requirement {
	case AccessLog:
		text, err := configuration(ctx, c, cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: ConfigMapName(revision)})
		if err != nil {
			return "", err
		}
		// Source: istio.io "Envoy Access Logs", "Using Mesh Config".
		var config struct {
			AccessLogFile   string `yaml:"accessLogFile"`
			AccessLogFormat string `yaml:"accessLogFormat"`
		}
		if err := yaml.Unmarshal([]byte(text), &config); err != nil {
			return "", fmt.Errorf("the mesh's configuration cannot be read: %w", err)
		}
		switch {
		case config.AccessLogFile != "/dev/stdout" && config.AccessLogFile != "/dev/stderr":
			return "the proxies write no access log: set meshConfig.accessLogFile to /dev/stdout", nil
		case config.AccessLogFormat != "":
			return "the proxies' access log has a format of its own: leave meshConfig.accessLogFormat at its default", nil
		}
		return "", nil
	case EgressGateway:
		pods, err := c.List(ctx, "pod", namespace, EgressGatewayLabels)
		if err == nil && len(pods) == 0 {
			return fmt.Sprintf("there is no egress gateway (pods with %s) in namespace %s: install Istio's demo profile, or its egress gateway", EgressGatewayLabels, namespace), nil
		}
		return "", err
	case GatewayAPI:
		_, err := c.Resolve(ctx, cluster.Ref{APIVersion: "gateway.networking.k8s.io/v1", Kind: "Gateway"}, namespace)
		if _, ok := errors.AsType[*cluster.NoKindError](err); ok {
			return "the cluster has no Gateway API: install its standard channel", nil
		}
		return "", err
	}
	return "", fmt.Errorf("unknown requirement %s", requirement)
}

// EgressGatewayLabels selects the pods of Istio's egress gateway.
// Source: istio.io "Egress Gateways".
const EgressGatewayLabels = "istio=egressgateway"
