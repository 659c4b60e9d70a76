package clustertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/egressplay/egressplay/cluster"
)

// A Fake is a cluster in memory. It serves Kubernetes' usual kinds and
// Istio's, has the namespaces of a fresh cluster and istio-system, and gives each
// Deployment one ready pod at once, and a new one when its template changes. Commands
// and logs are scripted. Set the fields before the first call.
//
// It validates no fields, and applies each list as a whole; a real server merges some
// by key.
type Fake struct {
	// ExecFunc runs a command in an existing pod. If it is nil, a command is an error.
	ExecFunc func(ctx context.Context, r cluster.ExecRequest) (cluster.ExecResult, error)
	// LogsFunc returns the log of an existing pod. If it is nil, logs are empty.
	LogsFunc func(ctx context.Context, r cluster.LogRequest) (io.ReadCloser, error)
	// DialFunc connects to a port of a pod. If it is nil, connecting is an error.
	DialFunc func(ctx context.Context, namespace, pod string, port int) (net.Conn, error)

	// ClockAhead is by how much the cluster's clock is ahead of this machine's.
	ClockAhead time.Duration
	// WarnFunc returns the server's warning for a call, "" for none.
	WarnFunc func(call Call) string
	// Unseen has the kinds whose objects Contents may not list.
	Unseen []string
	// FailFunc is called before each call; its error becomes the error of the call.
	FailFunc func(call Call) error

	mu      sync.Mutex
	kinds   []*kind
	objects map[key]*unstructured.Unstructured
	applied map[key]map[string]any // what Apply set last
	calls   []Call
	serial  int64 // the last resource version; UIDs and names are made from it too
}

var _ cluster.Interface = (*Fake)(nil)

// A Call is one that was made of a [Fake].
type Call struct {
	Verb   string                     // the method in lower case: "get", "apply", "exec", ...
	Ref    cluster.Ref                // its object; for exec, logs and pod the pod or its query
	Object *unstructured.Unstructured // what was given to apply and replace
	Exec   *cluster.ExecRequest       // of exec
}

func (c Call) String() string { return c.Verb + " " + c.Ref.String() }

// A key names an object whatever its version.
type key struct{ group, kind, namespace, name string }

// NewFake returns a cluster with the given objects.
func NewFake(objects ...*unstructured.Unstructured) *Fake {
	f := &Fake{
		kinds:   defaultKinds(),
		objects: make(map[key]*unstructured.Unstructured),
		applied: make(map[key]map[string]any),
	}
	for _, name := range []string{"default", "istio-system", "kube-public", "kube-system"} {
		f.Put(Object("v1", "Namespace", "", name, nil))
	}
	for _, obj := range objects {
		f.Put(obj)
	}
	return f
}

// Object returns an object with the given fields besides its name.
func Object(apiVersion, kind, namespace, name string, fields map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	for field, value := range fields {
		obj.Object[field] = value
	}
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	obj.SetNamespace(namespace)
	obj.SetName(name)
	return obj
}

// ReadyPod returns a ready pod with the given labels and containers.
func ReadyPod(namespace, name string, podLabels map[string]string, containers ...string) *unstructured.Unstructured {
	pod := corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: podLabels},
	}
	for _, c := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: c})
	}
	return readyPod(pod)
}

func readyPod(pod corev1.Pod) *unstructured.Unstructured {
	pod.Status = corev1.PodStatus{
		Phase:      corev1.PodRunning,
		PodIP:      "10.244.1.10",
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}
	for _, c := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
	obj, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&pod)
	if err != nil {
		panic(err) // a Pod has nothing that cannot be converted
	}
	delete(obj["metadata"].(map[string]any), "creationTimestamp")
	return &unstructured.Unstructured{Object: obj}
}

// Put stores an object as it is, status and all, without recording a call. It panics if
// the fake has no such kind.
func (f *Fake) Put(obj *unstructured.Unstructured) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.place(cluster.RefOf(obj))
	if err != nil {
		panic(err)
	}
	f.store(p, obj.DeepCopy())
}

// Without removes the kinds of an API group, as in a cluster where they are not
// installed.
func (f *Fake) Without(group string) *Fake {
	f.kinds = slices.DeleteFunc(f.kinds, func(k *kind) bool { return k.group == group })
	return f
}

// Calls returns the calls so far.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// State returns every object, sorted, without the fields that change with each write
// (resource version, generation, UID, time) and without the pods of Deployments. A
// clean-up must restore this state.
func (f *Fake) State() []unstructured.Unstructured {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []unstructured.Unstructured
	for k, obj := range f.objects {
		if k.kind == "Pod" && len(obj.GetOwnerReferences()) > 0 {
			continue
		}
		obj = obj.DeepCopy()
		for _, field := range []string{"creationTimestamp", "generation", "resourceVersion", "uid"} {
			unstructured.RemoveNestedField(obj.Object, "metadata", field)
		}
		all = append(all, *obj)
	}
	sortObjects(all)
	return all
}

func sortObjects(all []unstructured.Unstructured) {
	slices.SortFunc(all, func(a, b unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(a.GetNamespace(), b.GetNamespace()),
			cmp.Compare(a.GetKind(), b.GetKind()), cmp.Compare(a.GetAPIVersion(), b.GetAPIVersion()))
	})
}

// A place is the place of an object in the fake.
type place struct {
	key
	kind    *kind
	version string
}

func (p *place) apiVersion() string {
	return schema.GroupVersion{Group: p.kind.group, Version: p.version}.String()
}

func (p *place) ref() cluster.Ref {
	return cluster.Ref{APIVersion: p.apiVersion(), Kind: p.kind.kind, Namespace: p.namespace, Name: p.name}
}

func (f *Fake) place(ref cluster.Ref) (*place, error) {
	k, version := f.find(ref.APIVersion, ref.Kind)
	if k == nil {
		return nil, &cluster.NoKindError{Kind: ref.Kind, APIVersion: ref.APIVersion, Served: f.served(ref.APIVersion, ref.Kind), Elsewhere: f.elsewhere(ref.APIVersion, ref.Kind)}
	}
	if !k.namespaced {
		ref.Namespace = ""
	} else if ref.Namespace == "" {
		return nil, fmt.Errorf("%s: no namespace is given", ref)
	}
	return &place{key{k.group, k.kind, ref.Namespace, ref.Name}, k, version}, nil
}

// begin records a call, and returns the error with which it ends at once.
func (f *Fake) begin(ctx context.Context, call Call) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if f.FailFunc != nil {
		if err := f.FailFunc(call); err != nil {
			return err
		}
	}
	if f.WarnFunc != nil {
		if text := f.WarnFunc(call); text != "" {
			cluster.Warn(ctx, text)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	return nil
}

// Get implements [cluster.Interface].
func (f *Fake) Get(ctx context.Context, ref cluster.Ref) (*unstructured.Unstructured, error) {
	if err := f.begin(ctx, Call{Verb: "get", Ref: ref}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.place(ref)
	if err != nil {
		return nil, err
	}
	return f.load(p)
}

// List implements [cluster.Interface].
func (f *Fake) List(ctx context.Context, kind, namespace, selector string) ([]unstructured.Unstructured, error) {
	if err := f.begin(ctx, Call{Verb: "list", Ref: cluster.Ref{Kind: kind, Namespace: namespace}}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list(kind, namespace, selector)
}

func (f *Fake) list(name, namespace, selector string) ([]unstructured.Unstructured, error) {
	k, version := f.find("", name)
	if k == nil {
		return nil, &cluster.NoKindError{Kind: name}
	}
	s, err := labels.Parse(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	var found []unstructured.Unstructured
	for at, obj := range f.objects {
		if at.group != k.group || at.kind != k.kind || !s.Matches(labels.Set(obj.GetLabels())) {
			continue
		}
		if !k.namespaced || namespace == "" || at.namespace == namespace {
			got, err := f.load(&place{at, k, version})
			if err != nil {
				return nil, err
			}
			found = append(found, *got)
		}
	}
	sortObjects(found)
	return found, nil
}

// Print implements [cluster.Interface]. The only column is that of the names.
func (f *Fake) Print(ctx context.Context, ref cluster.Ref, selector string) (*cluster.Table, error) {
	t := &cluster.Table{Columns: []cluster.Column{{Name: "Name"}}}
	if ref.Name != "" {
		obj, err := f.Get(ctx, ref)
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, cluster.Row{Namespace: obj.GetNamespace(), Cells: []string{obj.GetName()}})
		return t, nil
	}
	list, err := f.List(ctx, ref.Kind, ref.Namespace, selector)
	for i := range list {
		t.Rows = append(t.Rows, cluster.Row{Namespace: list[i].GetNamespace(), Cells: []string{list[i].GetName()}})
	}
	return t, err
}

// Apply implements [cluster.Interface].
func (f *Fake) Apply(ctx context.Context, obj *unstructured.Unstructured, o cluster.WriteOptions) (*unstructured.Unstructured, error) {
	if err := f.begin(ctx, Call{Verb: verb("apply", o), Ref: cluster.RefOf(obj), Object: obj.DeepCopy()}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.place(cluster.RefOf(obj))
	if err != nil {
		return nil, err
	}
	if err := f.meets(p, o); err != nil {
		return nil, err
	}
	given := writable(obj)
	result := &unstructured.Unstructured{Object: map[string]any{}}
	if now := f.objects[p.key]; now != nil {
		if o.Fresh && f.applied[p.key] == nil {
			return nil, apierrors.NewConflict(p.kind.resource(), p.name, errors.New("somebody else owns its fields"))
		}
		result = now.DeepCopy()
	}
	takeBack(result.Object, f.applied[p.key], given.Object)
	overlay(result.Object, given.DeepCopy().Object)
	if o.DryRun {
		return result, nil
	}
	if err := f.write(p, result); err != nil {
		return nil, err
	}
	f.applied[p.key] = given.Object
	return f.load(p)
}

// verb returns the verb under which a call is recorded.
func verb(name string, o cluster.WriteOptions) string {
	if o.DryRun {
		return name + " (dry run)"
	}
	return name
}

// meets returns an error if the object is not the one that a write is for.
func (f *Fake) meets(p *place, o cluster.WriteOptions) error {
	now := f.objects[p.key]
	if now == nil || (o.UID == "" || o.UID == now.GetUID()) && (o.Version == "" || o.Version == now.GetResourceVersion()) {
		return nil
	}
	return apierrors.NewConflict(p.kind.resource(), p.name, errors.New("the object has been modified"))
}

// Create implements [cluster.Interface].
func (f *Fake) Create(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if err := f.begin(ctx, Call{Verb: "create", Ref: cluster.RefOf(obj), Object: obj.DeepCopy()}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.place(cluster.RefOf(obj))
	if err != nil {
		return nil, err
	}
	if f.objects[p.key] != nil {
		return nil, apierrors.NewAlreadyExists(p.kind.resource(), p.name)
	}
	if err := f.write(p, writable(obj)); err != nil {
		return nil, err
	}
	return f.load(p)
}

// Update implements [cluster.Interface].
func (f *Fake) Update(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if err := f.begin(ctx, Call{Verb: "update", Ref: cluster.RefOf(obj), Object: obj.DeepCopy()}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.place(cluster.RefOf(obj))
	if err != nil {
		return nil, err
	}
	now, err := f.load(p)
	if err != nil {
		return nil, err
	}
	if err := f.meets(p, cluster.WriteOptions{UID: obj.GetUID(), Version: obj.GetResourceVersion()}); err != nil {
		return nil, err
	}
	result := writable(obj)
	if status, has := now.Object["status"]; has {
		result.Object["status"] = status
	}
	if err := f.write(p, result); err != nil {
		return nil, err
	}
	return f.load(p)
}

// MergePatch implements [cluster.Interface].
func (f *Fake) MergePatch(ctx context.Context, ref cluster.Ref, patch []byte, o cluster.WriteOptions) (*unstructured.Unstructured, error) {
	if err := f.begin(ctx, Call{Verb: verb("patch", o), Ref: ref}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.place(ref)
	if err != nil {
		return nil, err
	}
	var change map[string]any
	if err := json.Unmarshal(patch, &change); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	result, err := f.load(p)
	if err != nil {
		return nil, err
	}
	if err := f.meets(p, o); err != nil {
		return nil, err
	}
	version := result.GetResourceVersion()
	mergePatch(result.Object, change)
	if result.GetResourceVersion() != version {
		return nil, apierrors.NewConflict(p.kind.resource(), p.name, errors.New("the object has been modified"))
	}
	if o.DryRun {
		return result, nil
	}
	if err := f.write(p, result); err != nil {
		return nil, err
	}
	return f.load(p)
}

// Delete implements [cluster.Interface].
func (f *Fake) Delete(ctx context.Context, ref cluster.Ref, o cluster.WriteOptions) error {
	if err := f.begin(ctx, Call{Verb: verb("delete", o), Ref: ref}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.place(ref)
	if err != nil {
		return err
	}
	if _, err := f.load(p); err != nil {
		return err
	}
	if err := f.meets(p, o); err != nil || o.DryRun {
		return err
	}
	f.remove(p.key)
	return nil
}

// Remove deletes an object without recording a call.
func (f *Fake) Remove(ref cluster.Ref) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, err := f.place(ref); err == nil {
		f.remove(p.key)
	}
}

func (f *Fake) remove(k key) {
	obj := f.objects[k]
	if obj == nil {
		return
	}
	delete(f.objects, k)
	delete(f.applied, k)
	for other, dependent := range f.objects {
		if k.kind == "Namespace" && other.namespace == k.name || ownedBy(dependent, obj.GetUID()) {
			f.remove(other)
		}
	}
}

func ownedBy(obj *unstructured.Unstructured, owner types.UID) bool {
	return slices.ContainsFunc(obj.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == owner })
}

// Dependents implements [cluster.Interface].
func (f *Fake) Dependents(ctx context.Context, owner *unstructured.Unstructured) ([]cluster.Ref, error) {
	if err := f.begin(ctx, Call{Verb: "dependents", Ref: cluster.RefOf(owner)}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []unstructured.Unstructured
	for _, obj := range f.objects {
		if ownedBy(obj, owner.GetUID()) {
			found = append(found, *obj)
		}
	}
	sortObjects(found)
	var refs []cluster.Ref
	for i := range found {
		refs = append(refs, cluster.RefOf(&found[i]))
	}
	return refs, nil
}

// Contents implements [cluster.Interface].
func (f *Fake) Contents(ctx context.Context, namespace string) (found []unstructured.Unstructured, unseen []cluster.Ref, err error) {
	if err := f.begin(ctx, Call{Verb: "contents", Ref: cluster.Ref{Kind: "Namespace", Name: namespace}}); err != nil {
		return nil, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, obj := range f.objects {
		if obj.GetNamespace() == namespace && !slices.Contains(f.Unseen, obj.GetKind()) {
			found = append(found, *obj.DeepCopy())
		}
	}
	sortObjects(found)
	for _, k := range f.kinds {
		if slices.Contains(f.Unseen, k.kind) {
			unseen = append(unseen, cluster.Ref{APIVersion: schema.GroupVersion{Group: k.group, Version: k.versions[0]}.String(), Kind: k.kind, Namespace: namespace})
		}
	}
	return found, unseen, nil
}

// Resolve implements [cluster.Interface].
func (f *Fake) Resolve(ctx context.Context, ref cluster.Ref, namespace string) (cluster.Ref, error) {
	if err := f.begin(ctx, Call{Verb: "resolve", Ref: ref}); err != nil {
		return cluster.Ref{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	ref.Namespace = cmp.Or(ref.Namespace, namespace, "-")
	p, err := f.place(ref)
	if err != nil {
		return cluster.Ref{}, err
	}
	resolved := p.ref()
	resolved.Namespace = strings.TrimSuffix(resolved.Namespace, "-")
	return resolved, nil
}

// Pod implements [cluster.Interface].
func (f *Fake) Pod(ctx context.Context, q cluster.PodQuery) (*cluster.Pod, error) {
	pods, err := f.candidates(ctx, "pod", q)
	if err != nil {
		return nil, err
	}
	return cluster.PickPod(q, pods)
}

// PodsOf implements [cluster.Interface].
func (f *Fake) PodsOf(ctx context.Context, q cluster.PodQuery) ([]cluster.Pod, error) {
	pods, err := f.candidates(ctx, "podsof", q)
	if err != nil {
		return nil, err
	}
	return cluster.PickPods(q, pods)
}

// PodAt implements [cluster.Interface].
func (f *Fake) PodAt(ctx context.Context, ip string) (*cluster.Pod, error) {
	if err := f.begin(ctx, Call{Verb: "podat", Ref: cluster.Ref{Kind: "Pod", Name: ip}}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	all, err := f.list("Pod", "", "")
	if err != nil {
		return nil, err
	}
	pods, err := podsFrom(all)
	return cluster.PickAt(ip, pods), err
}

// Dial implements [cluster.Interface].
func (f *Fake) Dial(ctx context.Context, namespace, pod string, port int) (net.Conn, error) {
	if err := f.begin(ctx, Call{Verb: "dial", Ref: cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: pod}}); err != nil {
		return nil, err
	}
	if f.DialFunc == nil {
		return nil, errors.New("the fake has no DialFunc")
	}
	return f.DialFunc(ctx, namespace, pod, port)
}

// LogPod implements [cluster.Interface].
func (f *Fake) LogPod(ctx context.Context, q cluster.PodQuery) (*cluster.Pod, error) {
	pods, err := f.candidates(ctx, "logpod", q)
	if err != nil {
		return nil, err
	}
	return cluster.PickLogPod(q, pods)
}

// Ahead implements [cluster.Interface].
func (f *Fake) Ahead() (least, most time.Duration) { return f.ClockAhead, f.ClockAhead }

// candidates returns the pods that a query may mean.
func (f *Fake) candidates(ctx context.Context, verb string, q cluster.PodQuery) ([]corev1.Pod, error) {
	name := cmp.Or(q.Name, q.Owner, q.Selector)
	if err := f.begin(ctx, Call{Verb: verb, Ref: cluster.Ref{Kind: "Pod", Namespace: q.Namespace, Name: name}}); err != nil {
		return nil, err
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	owner := types.UID("")
	if kind, name, ok := strings.Cut(q.Owner, "/"); ok {
		p, err := f.place(cluster.Ref{Kind: kind, Namespace: q.Namespace, Name: name})
		if err != nil {
			return nil, err
		}
		obj := f.objects[p.key]
		if obj == nil {
			return nil, &cluster.NotReadyError{Namespace: q.Namespace, Query: q.String(), Reason: "it does not exist in namespace " + q.Namespace}
		}
		owner = obj.GetUID()
	}
	all, err := f.list("Pod", q.Namespace, q.Selector)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(obj unstructured.Unstructured) bool {
		return q.Name != "" && obj.GetName() != q.Name || owner != "" && !ownedBy(&obj, owner)
	})
	return podsFrom(all)
}

func podsFrom(all []unstructured.Unstructured) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	for _, obj := range all {
		var pod corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &pod); err != nil {
			return nil, err
		}
		pods = append(pods, pod)
	}
	return pods, nil
}

// Exec implements [cluster.Interface].
func (f *Fake) Exec(ctx context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
	call := Call{Verb: "exec", Ref: cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: r.Namespace, Name: r.Pod}, Exec: &r}
	if err := f.begin(ctx, call); err != nil {
		return cluster.ExecResult{}, err
	}
	if err := f.hasContainer(r.Namespace, r.Pod, r.Container); err != nil {
		return cluster.ExecResult{}, err
	}
	if f.ExecFunc == nil {
		return cluster.ExecResult{}, errors.New("the fake has no ExecFunc")
	}
	if r.Stdout == nil {
		r.Stdout = io.Discard
	}
	if r.Stderr == nil {
		r.Stderr = io.Discard
	}
	result, err := f.ExecFunc(ctx, r)
	if ctx.Err() != nil {
		return cluster.ExecResult{}, context.Cause(ctx)
	}
	return result, err
}

// Logs implements [cluster.Interface].
func (f *Fake) Logs(ctx context.Context, r cluster.LogRequest) (io.ReadCloser, error) {
	call := Call{Verb: "logs", Ref: cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: r.Namespace, Name: r.Pod}}
	if err := f.begin(ctx, call); err != nil {
		return nil, err
	}
	if err := f.hasContainer(r.Namespace, r.Pod, r.Container); err != nil {
		if _, ok := errors.AsType[*cluster.NotReadyError](err); ok {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return nil, err
	}
	if f.LogsFunc == nil {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return f.LogsFunc(ctx, r)
}

func (f *Fake) hasContainer(namespace, pod, container string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.place(cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: pod})
	if err != nil {
		return err
	}
	obj, err := f.load(p)
	if err != nil {
		return err
	}
	containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "containers")
	first, _, _ := unstructured.NestedSlice(obj.Object, "spec", "initContainers")
	for _, c := range append(containers, first...) {
		if m, ok := c.(map[string]any); ok && (container == "" || m["name"] == container) {
			return nil
		}
	}
	return &cluster.NotReadyError{Query: "pod " + pod, Reason: fmt.Sprintf("container %s is not valid for pod %s", container, pod), Final: true}
}

// load returns a copy of an object in the requested API version.
func (f *Fake) load(p *place) (*unstructured.Unstructured, error) {
	obj := f.objects[p.key]
	if obj == nil {
		return nil, apierrors.NewNotFound(p.kind.resource(), p.name)
	}
	obj = obj.DeepCopy()
	obj.SetAPIVersion(p.apiVersion())
	return obj, nil
}

// write stores an object that a caller gives.
func (f *Fake) write(p *place, obj *unstructured.Unstructured) error {
	namespace := key{kind: "Namespace", name: p.namespace}
	if p.kind.namespaced && f.objects[namespace] == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, p.namespace)
	}
	f.store(p, obj)
	return nil
}

// store stores an object, and sets the fields that only a server sets.
func (f *Fake) store(p *place, obj *unstructured.Unstructured) {
	f.serial++
	now := f.objects[p.key]
	obj.SetAPIVersion(p.apiVersion())
	obj.SetKind(p.kind.kind)
	obj.SetNamespace(p.namespace)
	obj.SetResourceVersion(strconv.FormatInt(f.serial, 10))
	if now != nil {
		obj.SetUID(now.GetUID())
		obj.SetCreationTimestamp(now.GetCreationTimestamp())
	} else {
		obj.SetUID(types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", f.serial)))
		obj.SetCreationTimestamp(metav1.NewTime(time.Unix(1767225600+f.serial, 0)))
	}
	f.objects[p.key] = obj
	if p.kind.kind == "Deployment" {
		f.roll(now, obj)
	}
}

// roll acts as a Deployment's controller and the kubelet: a new template gives a new
// pod.
func (f *Fake) roll(old, deployment *unstructured.Unstructured) {
	template, _, _ := unstructured.NestedMap(deployment.Object, "spec", "template")
	if old != nil {
		before, _, _ := unstructured.NestedMap(old.Object, "spec", "template")
		if reflect.DeepEqual(before, template) {
			return
		}
	}
	for k, obj := range f.objects {
		if k.kind == "Pod" && ownedBy(obj, deployment.GetUID()) {
			delete(f.objects, k)
		}
	}
	if n, set, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas"); set && n == 0 {
		return
	}
	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod); err != nil {
		return // a template that a real server would refuse
	}
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	pod.Namespace = deployment.GetNamespace()
	pod.Name = fmt.Sprintf("%s-%d", deployment.GetName(), f.serial)
	pod.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "apps/v1", Kind: "Deployment", Name: deployment.GetName(), UID: deployment.GetUID(),
	}}
	obj := readyPod(pod)
	p, err := f.place(cluster.RefOf(obj))
	if err != nil {
		return // the fake serves no pods
	}
	f.store(p, obj)
}
