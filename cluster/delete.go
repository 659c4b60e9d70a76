package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// ownsPods has the kinds whose deletion waits for their pods. The garbage collector
// does that, which costs a detour through a controller, and up to half a minute for a
// kind that is new to the cluster; so the deletion of other kinds does not wait.
// Source: kubernetes.io, "Garbage Collection", foreground deletion.
var ownsPods = map[schema.GroupKind]bool{
	{Group: "", Kind: "ReplicationController"}: true,
	{Group: "apps", Kind: "DaemonSet"}:         true,
	{Group: "apps", Kind: "Deployment"}:        true,
	{Group: "apps", Kind: "ReplicaSet"}:        true,
	{Group: "apps", Kind: "StatefulSet"}:       true,
	{Group: "batch", Kind: "CronJob"}:          true,
	{Group: "batch", Kind: "Job"}:              true,
}

// namesPods has the kinds whose pods, made by another controller, have a label
// with the object's name. The garbage collector does not wait for such pods.
// Source: gateway-api.sigs.k8s.io, GEP-1762.
var namesPods = map[schema.GroupKind]string{
	{Group: "gateway.networking.k8s.io", Kind: "Gateway"}: "gateway.networking.k8s.io/gateway-name",
}

// Delete implements [Interface].
func (c *Client) Delete(ctx context.Context, ref Ref, o WriteOptions) error {
	t, err := c.target(ctx, ref)
	if err != nil {
		return err
	}
	policy := metav1.DeletePropagationBackground
	if ownsPods[t.mapping.GroupVersionKind.GroupKind()] {
		policy = metav1.DeletePropagationForeground
	}
	how := metav1.DeleteOptions{
		TypeMeta:          metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		PropagationPolicy: &policy,
		DryRun:            o.dryRun(),
	}
	if o.UID != "" || o.Version != "" {
		how.Preconditions = new(metav1.Preconditions)
		if o.UID != "" {
			how.Preconditions.UID = &o.UID
		}
		if o.Version != "" {
			how.Preconditions.ResourceVersion = &o.Version
		}
	}
	options, err := json.Marshal(how)
	if err != nil {
		return err
	}
	result := c.rest.Delete().AbsPath(t.path()...).SetHeader("Content-Type", "application/json").Body(options).Do(ctx)
	if err := result.Error(); err != nil {
		return c.explainKind(ctx, t, err)
	}
	body, err := result.Raw()
	if err != nil {
		return c.explain(ctx, err)
	}
	// The server answers with a Status if the object is gone, and with the object if
	// something has to happen first.
	obj := new(unstructured.Unstructured)
	if err := json.Unmarshal(body, &obj.Object); err != nil {
		return fmt.Errorf("delete %s: %w", ref, err)
	}
	if o.DryRun {
		return nil
	}
	if obj.GetKind() != "Status" && obj.GetUID() != "" {
		if err := c.waitGone(ctx, t, obj); err != nil {
			return err
		}
	}
	if label := namesPods[t.mapping.GroupVersionKind.GroupKind()]; label != "" {
		uid := obj.GetUID()
		if text, found, _ := unstructured.NestedString(obj.Object, "details", "uid"); found { // of a Status
			uid = types.UID(text)
		}
		return c.waitMadeGone(ctx, t.ref.Namespace, label+"="+t.ref.Name, uid)
	}
	return nil
}

// DeleteReads returns what [Interface].Delete reads to see that an object is gone: in
// any case, and if a finalizer delays its end.
func DeleteReads(ref Ref) (always, delayed []Access) {
	get, watch := Access{Verb: "get", Ref: ref}, Access{Verb: "watch", Ref: ref}
	r, err := KnownResource(ref)
	kind := schema.GroupKind{Group: r.Group, Kind: r.Kind}
	if err != nil || !ownsPods[kind] && namesPods[kind] == "" && !delays[kind] {
		return []Access{get}, []Access{watch}
	}
	always = []Access{get, watch}
	if namesPods[kind] == "" {
		return always, nil
	}
	for _, made := range madeForGateways {
		made.Namespace = ref.Namespace
		for _, verb := range []string{"get", "list", "watch"} {
			always = append(always, Access{Verb: verb, Ref: made})
		}
	}
	return always, nil
}

// delays has the kinds whose objects are never gone at once.
var delays = map[schema.GroupKind]bool{
	{Group: "", Kind: "Namespace"}:             true,
	{Group: "", Kind: "PersistentVolumeClaim"}: true,
	{Group: "", Kind: "Pod"}:                   true,
}

// madeForGateways has the kinds of the objects for whose end the deletion of a Gateway
// waits.
var madeForGateways = []Ref{{APIVersion: "v1", Kind: "Pod"}, {APIVersion: "v1", Kind: "Service"}, {APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}}

// waitMadeGone returns when the objects that a controller has made for an object are
// gone: its pods, and its Service with its endpoints. A new object of the same name
// would adopt them, and then lose them.
func (c *Client) waitMadeGone(ctx context.Context, namespace, selector string, owner types.UID) error {
	for _, ref := range madeForGateways {
		ref.Namespace = namespace
		t, err := c.target(ctx, ref)
		if err != nil {
			return err
		}
		made, err := t.api.List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return c.explain(ctx, err)
		}
		for _, obj := range made.Items {
			owned := slices.ContainsFunc(obj.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == owner })
			if ref.Kind == "Service" && !owned {
				continue // it is somebody else's
			}
			of := *t
			of.ref.Name = obj.GetName()
			if err := c.waitGone(ctx, &of, &obj); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitGone returns when obj is gone. An object of the same name with another UID is a
// newer one.
func (c *Client) waitGone(ctx context.Context, t *target, obj *unstructured.Unstructured) error {
	uid := obj.GetUID()
	for {
		// The server's answer may be the last state of the object, after which no event
		// comes, so the watch begins with a fresh read of the object. The server also
		// ends a watch now and then.
		now, err := t.api.Get(ctx, t.ref.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("delete %s: it is still there%s: %w", t.ref, keptBy(obj), context.Cause(ctx))
		case err != nil:
			return fmt.Errorf("wait until %s is gone: %w", t.ref, c.explain(ctx, err))
		case now.GetUID() != uid:
			return nil
		}
		last, gone, err := c.watchGone(ctx, t, now)
		if gone {
			return nil
		}
		if obj = last; err != nil && ctx.Err() == nil {
			return fmt.Errorf("wait until %s is gone: %w", t.ref, c.explain(ctx, err))
		}
	}
}

// watchGone watches obj until it is gone or the watch ends, and returns its last seen
// state.
func (c *Client) watchGone(ctx context.Context, t *target, obj *unstructured.Unstructured) (last *unstructured.Unstructured, gone bool, err error) {
	w, err := t.api.Watch(ctx, metav1.ListOptions{
		FieldSelector:   "metadata.name=" + t.ref.Name,
		ResourceVersion: obj.GetResourceVersion(),
	})
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return obj, false, nil
	}
	if err != nil {
		return obj, false, err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		seen, ok := event.Object.(*unstructured.Unstructured)
		if event.Type == watch.Error || !ok {
			return obj, false, nil
		}
		if event.Type == watch.Deleted || seen.GetUID() != obj.GetUID() {
			return seen, true, nil
		}
		obj = seen
	}
	return obj, false, nil
}

// keptBy returns what an object that is being deleted waits for.
func keptBy(obj *unstructured.Unstructured) string {
	var why []string
	if f := obj.GetFinalizers(); len(f) > 0 {
		why = append(why, "finalizers "+strings.Join(f, ", "))
	}
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range conditions {
		// A namespace's conditions say what is left in it: kubernetes/kubernetes
		// pkg/controller/namespace/deletion/status_condition_utils.go.
		condition, _ := c.(map[string]any)
		kind, _ := condition["type"].(string)
		message, _ := condition["message"].(string)
		if obj.GetKind() == "Namespace" && condition["status"] == "True" && strings.HasPrefix(kind, "Namespace") {
			why = append(why, cmp.Or(message, kind))
		}
	}
	if len(why) == 0 {
		return ""
	}
	return " (" + strings.Join(why, "; ") + ")"
}
