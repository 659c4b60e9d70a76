package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"gopkg.in/yaml.v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/egressplay/egressplay/cluster"
)

// Logging says what a proxy's access log has, according to the mesh's configuration and
// the Telemetry in force for the proxy's pod.
type Logging struct {
	// Off is the reason that the log has nothing that can be read, and what to do.
	// Partial is the reason that it may leave requests out. Both are "" for an ordinary
	// access log.
	Off, Partial string
}

// fileProvider is the built-in provider of access logs to /dev/stdout.
const fileProvider = "envoy"

// meshSettings is the part of the mesh's configuration about access logs.
type meshSettings struct {
	AccessLogFile    string `yaml:"accessLogFile"`
	AccessLogFormat  string `yaml:"accessLogFormat"`
	DefaultProviders struct {
		AccessLogging []string `yaml:"accessLogging"`
	} `yaml:"defaultProviders"`
}

// logging returns what the access log of a pod's proxy contains. Among the
// Telemetries that configure access logs, one that selects the pod takes precedence
// over one of its namespace, and that one over one of the root namespace; among
// several of one rank the oldest. An EnvoyFilter may change what a Telemetry says. If they may not be read, logging assumes an
// ordinary log: if no line comes then, that is reported.
// Source: istio.io "Telemetry", "Scope, Inheritance, and Overrides".
func (m *Mesh) logging(ctx context.Context, pod cluster.Pod) (Logging, error) {
	text, err := configuration(ctx, m.Cluster, m.configMap())
	switch missing := (*NotInstalledError)(nil); {
	case errors.As(err, &missing), apierrors.IsForbidden(err):
		return Logging{}, nil
	case err != nil:
		return Logging{}, err
	}
	var config meshSettings
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return Logging{}, fmt.Errorf("the mesh's configuration cannot be read: %w", err)
	}
	if config.AccessLogFormat != "" {
		return Logging{Off: "the proxies' access log has a format of its own: leave meshConfig.accessLogFormat at its default"}, nil
	}
	logged := config.AccessLogFile == "/dev/stdout" || config.AccessLogFile == "/dev/stderr" ||
		slices.Contains(config.DefaultProviders.AccessLogging, fileProvider)
	var (
		reading   sync.WaitGroup
		filter    string
		filterErr error
		telemetry *unstructured.Unstructured
	)
	reading.Go(func() { filter, filterErr = m.logFilter(ctx, pod) })
	telemetry, err = m.telemetry(ctx, pod)
	reading.Wait()
	l := Logging{}
	switch err := cmp.Or(err, filterErr); {
	case err != nil:
		return Logging{}, err
	case telemetry != nil:
		l = telemetryLogging(telemetry, logged)
	case !logged:
		l.Off = "the proxies write no access log: set meshConfig.accessLogFile to /dev/stdout"
	}
	if l.Off == "" && l.Partial == "" {
		l.Partial = filter
	}
	return l, nil
}

// telemetryLogging returns what a Telemetry has a proxy log. logged reports whether
// the mesh's configuration alone would.
func telemetryLogging(t *unstructured.Unstructured, logged bool) Logging {
	name := fmt.Sprintf("telemetry/%s in %s", t.GetName(), t.GetNamespace())
	entries, _, _ := unstructured.NestedSlice(t.Object, "spec", "accessLogging")
	for _, entry := range entries {
		entry, _ := entry.(map[string]any)
		if mode, _, _ := unstructured.NestedString(entry, "match", "mode"); mode == "SERVER" {
			continue // inbound traffic
		}
		if disabled, _, _ := unstructured.NestedBool(entry, "disabled"); disabled {
			return Logging{Off: name + " switches the access log off"}
		}
		if !writesFile(entry, logged) {
			continue
		}
		if filter, _, _ := unstructured.NestedString(entry, "filter", "expression"); filter != "" {
			return Logging{Partial: fmt.Sprintf("%s has the access log leave out requests: its filter is %s", name, filter)}
		}
		return Logging{}
	}
	return Logging{Off: fmt.Sprintf("%s has the proxies write no access log: give its accessLogging the provider %s", name, fileProvider)}
}

func writesFile(entry map[string]any, logged bool) bool {
	providers, _, _ := unstructured.NestedSlice(entry, "providers")
	if len(providers) == 0 {
		return logged
	}
	return slices.ContainsFunc(providers, func(p any) bool {
		provider, _ := p.(map[string]any)
		return provider["name"] == fileProvider
	})
}

// telemetry returns the Telemetry that decides what a pod's proxy logs; nil if there
// is none. For an empty pod it returns that of the whole mesh.
func (m *Mesh) telemetry(ctx context.Context, pod cluster.Pod) (*unstructured.Unstructured, error) {
	var inForce *unstructured.Unstructured
	rank := 0
	for _, namespace := range slices.Compact([]string{m.Namespace, cmp.Or(pod.Namespace, m.Namespace)}) {
		all, err := m.Cluster.List(ctx, "telemetries.telemetry.istio.io", namespace, "")
		if _, ok := errors.AsType[*cluster.NoKindError](err); ok || apierrors.IsForbidden(err) {
			continue // only the mesh's configuration is known
		}
		if err != nil {
			return nil, err
		}
		slices.SortStableFunc(all, func(a, b unstructured.Unstructured) int {
			x, y := a.GetCreationTimestamp(), b.GetCreationTimestamp()
			return x.Compare(y.Time)
		})
		for i := range all {
			t := &all[i]
			if _, logs, _ := unstructured.NestedSlice(t.Object, "spec", "accessLogging"); !logs {
				continue
			}
			matching, selects, _ := unstructured.NestedStringMap(t.Object, "spec", "selector", "matchLabels")
			of := 1
			switch {
			case selects && (pod.Name == "" || namespace != pod.Namespace || !labels.SelectorFromSet(matching).Matches(labels.Set(pod.Labels))):
				continue
			case selects:
				of = 3
			case namespace == pod.Namespace:
				of = 2
			}
			if of > rank {
				inForce, rank = t, of
			}
		}
	}
	return inForce, nil
}
