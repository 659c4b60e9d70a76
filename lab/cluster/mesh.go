package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egressplay/egressplay/lab/istio"
)

var (
	deployments    = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	pods           = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	serviceEntries = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "serviceentries"}
	validators     = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}
)

// awaitAvailable waits until a Deployment has the condition Available.
func (a *api) awaitAvailable(ctx context.Context, namespace, name string) error {
	return a.await(ctx, deployments, namespace, name, available)
}

// available returns nil if a Deployment is available.
func available(o *unstructured.Unstructured) error { return condition(o, "Available") }

// condition returns nil if the object's condition of this type is True.
func condition(o *unstructured.Unstructured, name string) error {
	conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	if err != nil {
		return err
	}
	for _, c := range conditions {
		c, ok := c.(map[string]any)
		if !ok || c["type"] != name {
			continue
		}
		if c["status"] == "True" {
			return nil
		}
		return fmt.Errorf("not %s: %v", name, c["message"])
	}
	return fmt.Errorf("not %s yet", name)
}

// The time limit of one request to istiod through a webhook doubles from the shortest
// to the longest. It is short at first because a connection to a Service is lost if it
// begins at the very moment at which kube-proxy changes its rules, and the kernel tries
// again only after a second.
const (
	shortestQuestion = 100 * time.Millisecond
	longestQuestion  = 3 * time.Second
)

// askWebhook calls ask, with a time limit for each call, until it returns nil or ctx
// ends.
func askWebhook(ctx context.Context, ask func(context.Context) error) error {
	limit := shortestQuestion
	return retry(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		limit = min(2*limit, longestQuestion)
		return ask(ctx)
	})
}

// dryRun has the API server judge an object without making it.
var dryRun = metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}

// awaitInjection waits until the API server would have istiod inject a sidecar into a
// pod: the webhook has istiod's certificate, its Service leads to istiod, and the
// namespace has its ServiceAccount.
func (a *api) awaitInjection(ctx context.Context) error {
	pod := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Pod",
		"metadata": map[string]any{
			"name":   "egressplay-lab-probe",
			"labels": map[string]any{"sidecar.istio.io/inject": "true"},
		},
		"spec": map[string]any{
			"containers": []any{map[string]any{"name": "probe", "image": "sleep"}},
		},
	}}
	return askWebhook(ctx, func(ctx context.Context) error {
		got, err := a.client.Resource(pods).Namespace("default").Create(ctx, pod, dryRun)
		if err != nil {
			return fmt.Errorf("try to have a pod injected: %w", err)
		}
		containers, _, err := unstructured.NestedSlice(got.Object, "spec", "containers")
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(containers, isSidecar) {
			return errors.New("try to have a pod injected: it got no sidecar")
		}
		return nil
	})
}

// awaitValidation waits until the API server has istiod validate each Istio object, and
// takes none unvalidated. istiod switches its webhook from Ignore to Fail once it has
// seen that the webhook is called, so an earlier object may pass without validation.
func (a *api) awaitValidation(ctx context.Context) error {
	if err := a.await(ctx, validators, "", istio.Validator, failsClosed); err != nil {
		return err
	}
	bad := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.istio.io/v1",
		"kind":       "ServiceEntry",
		"metadata":   map[string]any{"name": "egressplay-lab-probe"},
		"spec": map[string]any{
			"hosts":      []any{"*.egressplay.test"},
			"ports":      []any{map[string]any{"number": int64(80), "name": "http", "protocol": "HTTP"}},
			"resolution": "DNS", // which needs a name
		},
	}}
	return askWebhook(ctx, func(ctx context.Context) error {
		_, err := a.client.Resource(serviceEntries).Namespace("default").Create(ctx, bad, dryRun)
		if err == nil {
			return errors.New("try to have an object judged: istiod let a bad one pass")
		}
		if !strings.Contains(err.Error(), "denied the request") {
			return fmt.Errorf("try to have an object judged: %w", err)
		}
		return nil
	})
}

// failsClosed returns nil if nothing passes when the webhooks of a configuration do not
// answer.
func failsClosed(o *unstructured.Unstructured) error {
	webhooks, _, err := unstructured.NestedSlice(o.Object, "webhooks")
	if err != nil {
		return err
	}
	for _, w := range webhooks {
		webhook, ok := w.(map[string]any)
		if !ok {
			return fmt.Errorf("a webhook is %T", w)
		}
		authority, _, err := unstructured.NestedString(webhook, "clientConfig", "caBundle")
		if err != nil {
			return err
		}
		if webhook["failurePolicy"] != "Fail" || authority == "" {
			return fmt.Errorf("istiod has not switched webhook %v on yet", webhook["name"])
		}
	}
	return nil
}

func isSidecar(container any) bool {
	c, ok := container.(map[string]any)
	return ok && c["name"] == "istio-proxy"
}
