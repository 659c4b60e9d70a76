package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
)

// The modes of the outbound traffic policy that the tutorials set.
// Source: istio.io/api mesh/v1alpha1/config.proto, OutboundTrafficPolicy.Mode.
const (
	AllowAny     = "ALLOW_ANY"     // requests to unknown services pass through
	RegistryOnly = "REGISTRY_ONLY" // requests to unknown services are blocked
)

// An OutboundPolicy is the outbound traffic policy of a mesh, as its
// configuration states it.
type OutboundPolicy struct {
	// Mode is ALLOW_ANY if the configuration states none, because that is istiod's
	// default.
	Mode string
	// Excerpt are the lines of the configuration that state it; "" if it states none.
	Excerpt string

	ref cluster.Ref
}

// ConfigMapName returns the name of the ConfigMap from which a revision of
// istiod reads the mesh's configuration; "" and "default" are the default one.
// Source: istio/istio pilot/pkg/bootstrap/mesh.go.
func ConfigMapName(revision string) string {
	if revision == "" || revision == "default" {
		return "istio"
	}
	return "istio-" + revision
}

// meshKey is the key of the ConfigMap that has the configuration.
const meshKey = "mesh"

// ReadOutboundPolicy reads the outbound traffic policy from the ConfigMap in
// Istio's namespace.
func ReadOutboundPolicy(ctx context.Context, c cluster.Interface, namespace, revision string) (*OutboundPolicy, error) {
	p := &OutboundPolicy{ref: cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: ConfigMapName(revision)}}
	text, err := configuration(ctx, c, p.ref)
	if err != nil {
		return nil, err
	}
	mode, policy, err := findMode(text)
	if err != nil {
		return nil, fmt.Errorf("%s in namespace %s: %w", p.ref, namespace, err)
	}
	p.Mode = AllowAny
	if mode != nil {
		p.Mode = mode.Value
		lines := strings.Split(text, "\n")
		p.Excerpt = strings.Join(lines[policy.Line-1:mode.Line], "\n") + "\n"
	}
	return p, nil
}

// Ref returns the ConfigMap that states the policy.
func (p *OutboundPolicy) Ref() cluster.Ref { return p.ref }

// PolicyPatch returns the merge patch that sets the outbound traffic policy in the
// given ConfigMap of a mesh to mode. Every other byte of the configuration stays as it
// is. The patch is nil if the mode is the policy already.
func PolicyPatch(configMap *unstructured.Unstructured, mode string) ([]byte, error) {
	text, _, err := unstructured.NestedString(configMap.Object, "data", meshKey)
	if err != nil {
		return nil, err
	}
	changed, err := withMode(text, mode)
	if err != nil {
		return nil, fmt.Errorf("configmap/%s in namespace %s: %w", configMap.GetName(), configMap.GetNamespace(), err)
	}
	if changed == text {
		return nil, nil
	}
	return json.Marshal(map[string]any{"data": map[string]any{meshKey: changed}})
}

// configuration returns the text of the mesh's configuration.
func configuration(ctx context.Context, c cluster.Interface, ref cluster.Ref) (string, error) {
	cm, err := c.Get(ctx, ref)
	if apierrors.IsNotFound(err) {
		return "", &NotInstalledError{Namespace: ref.Namespace, Missing: ref.String()}
	}
	if err != nil {
		return "", err
	}
	text, _, err := unstructured.NestedString(cm.Object, "data", meshKey)
	return text, err
}

// RootNamespace returns the namespace whose objects apply to the whole mesh, "" if the
// mesh's configuration does not name one, or cannot be read.
func RootNamespace(ctx context.Context, c cluster.Interface, istioNamespace, revision string) string {
	m := Mesh{Cluster: c, Namespace: istioNamespace, Revision: revision}
	text, err := configuration(ctx, c, m.configMap())
	if err != nil {
		return ""
	}
	var config struct {
		RootNamespace string `yaml:"rootNamespace"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return ""
	}
	return config.RootNamespace
}

// findMode returns the nodes of the policy's mode and of the policy's key, nil if the
// configuration has none.
func findMode(text string) (mode, policy *yaml.Node, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, nil, fmt.Errorf("the mesh's configuration cannot be read: %w", err)
	}
	if len(doc.Content) == 0 {
		return nil, nil, nil
	}
	key, value := lookup(doc.Content[0], "outboundTrafficPolicy")
	if value == nil {
		return nil, nil, nil
	}
	if _, mode = lookup(value, "mode"); mode == nil {
		return nil, nil, nil
	}
	return mode, key, nil
}

func lookup(mapping *yaml.Node, key string) (k, v *yaml.Node) {
	if mapping.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

// withMode returns the configuration with another mode.
func withMode(text, mode string) (string, error) {
	node, _, err := findMode(text)
	if err != nil {
		return "", err
	}
	var changed string
	if node == nil {
		changed = strings.TrimRight(text, "\n") + "\noutboundTrafficPolicy:\n  mode: " + mode + "\n"
		changed = strings.TrimPrefix(changed, "\n")
	} else {
		lines := strings.SplitAfter(text, "\n")
		line := lines[node.Line-1]
		at := node.Column - 1
		// The mode is a plain word, or one in quotation marks.
		end := at + len(node.Value)
		if node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			end += 2
		}
		if end > len(line) {
			return "", errors.New("the outbound traffic policy is written in a way that cannot be changed safely")
		}
		lines[node.Line-1] = line[:at] + mode + line[end:]
		changed = strings.Join(lines, "")
	}
	// Whatever form the text had, it must now have the new mode.
	if now, _, err := findMode(changed); err != nil || now == nil || now.Value != mode {
		return "", errors.New("the outbound traffic policy is written in a way that cannot be changed safely")
	}
	return changed, nil
}

// A NotInstalledError reports that a part of Istio is not in the cluster.
type NotInstalledError struct {
	Namespace string
	Missing   string
}

func (e *NotInstalledError) Error() string {
	return fmt.Sprintf("Istio is not installed in namespace %s: there is no %s", e.Namespace, e.Missing)
}

// Hint returns what to do.
func (e *NotInstalledError) Hint() string {
	return "install Istio, or name its namespace by --istio-namespace and its revision by --revision"
}
