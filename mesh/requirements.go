package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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
		return accessLogMissing(ctx, c, namespace, revision)
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

// accessLogMissing is [Missing] of [AccessLog]. A mesh has an access log by its
// own configuration, or by a Telemetry for the whole of it, which counts more.
// Source: istio.io "Envoy Access Logs".
func accessLogMissing(ctx context.Context, c cluster.Interface, namespace, revision string) (string, error) {
	text, err := configuration(ctx, c, cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: ConfigMapName(revision)})
	if err != nil {
		return "", err
	}
	var config struct {
		AccessLogFile    string `yaml:"accessLogFile"`
		AccessLogFormat  string `yaml:"accessLogFormat"`
		DefaultProviders struct {
			AccessLogging []string `yaml:"accessLogging"`
		} `yaml:"defaultProviders"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return "", fmt.Errorf("the mesh's configuration cannot be read: %w", err)
	}
	if config.AccessLogFormat != "" {
		return "the proxies' access log has a format of its own: leave meshConfig.accessLogFormat at its default", nil
	}
	logged := config.AccessLogFile == "/dev/stdout" || config.AccessLogFile == "/dev/stderr" ||
		slices.Contains(config.DefaultProviders.AccessLogging, fileProvider)
	telemetry, err := meshTelemetry(ctx, c, namespace)
	switch {
	case err != nil:
		return "", err
	case telemetry == nil && !logged:
		return "the proxies write no access log: set meshConfig.accessLogFile to /dev/stdout", nil
	case telemetry == nil:
		return "", nil
	}
	entries, _, _ := unstructured.NestedSlice(telemetry.Object, "spec", "accessLogging")
	for _, entry := range entries {
		entry, _ := entry.(map[string]any)
		if disabled, _, _ := unstructured.NestedBool(entry, "disabled"); disabled {
			return fmt.Sprintf("telemetry/%s in %s switches the access log off", telemetry.GetName(), namespace), nil
		}
		providers, _, _ := unstructured.NestedSlice(entry, "providers")
		if len(providers) == 0 && logged {
			return "", nil
		}
		for _, provider := range providers {
			if provider, _ := provider.(map[string]any); provider["name"] == fileProvider {
				return "", nil
			}
		}
	}
	return fmt.Sprintf("telemetry/%s in %s has the proxies write no access log: give its accessLogging the provider %s", telemetry.GetName(), namespace, fileProvider), nil
}

// fileProvider is the built-in provider of access logs to /dev/stdout.
const fileProvider = "envoy"

// meshTelemetry returns the Telemetry that says something of the access logs of
// the whole mesh, nil where there is none.
func meshTelemetry(ctx context.Context, c cluster.Interface, namespace string) (*unstructured.Unstructured, error) {
	all, err := c.List(ctx, "telemetries.telemetry.istio.io", namespace, "")
	if _, ok := errors.AsType[*cluster.NoKindError](err); ok || apierrors.IsForbidden(err) {
		return nil, nil // the mesh's configuration is all that can be known
	}
	for _, t := range all {
		_, selects, _ := unstructured.NestedMap(t.Object, "spec", "selector")
		if _, logs, _ := unstructured.NestedSlice(t.Object, "spec", "accessLogging"); logs && !selects {
			return &t, err
		}
	}
	return nil, err
}

// EgressGatewayLabels selects the pods of Istio's egress gateway.
// Source: istio.io "Egress Gateways".
const EgressGatewayLabels = "istio=egressgateway"
