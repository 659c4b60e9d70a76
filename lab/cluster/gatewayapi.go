package cluster

import (
	"context"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var gatewayClasses = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"}

// gatewayClass is the GatewayClass that istiod implements.
const gatewayClass = "istio"

// installGatewayAPI installs the kinds of the Gateway API, and waits until istiod has
// accepted its GatewayClass.
func (l *lab) installGatewayAPI(ctx context.Context) error {
	file, err := os.Open(l.Programs.GatewayAPI)
	if err != nil {
		return err
	}
	defer file.Close()
	kinds, err := decode(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", file.Name(), err)
	}
	for _, kind := range kinds {
		removeDescriptions(kind.Object)
	}
	api := l.api.Load()
	if err := api.applyAll(ctx, kinds); err != nil {
		return err
	}
	return api.await(ctx, gatewayClasses, "", gatewayClass, accepted)
}

// accepted returns nil if istiod has accepted the GatewayClass.
func accepted(o *unstructured.Unstructured) error { return condition(o, "Accepted") }

// removeDescriptions removes the descriptions of a kind's fields. They are three
// quarters of these kinds, and cost the API server a second of CPU.
func removeDescriptions(value any) {
	switch value := value.(type) {
	case map[string]any:
		if _, text := value["description"].(string); text { // a description, and not a field of that name
			delete(value, "description")
		}
		for _, v := range value {
			removeDescriptions(v)
		}
	case []any:
		for _, v := range value {
			removeDescriptions(v)
		}
	}
}
