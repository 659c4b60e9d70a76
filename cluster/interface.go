package cluster

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Interface is the little of Kubernetes that steps need. [*Client] has it for
// a real API server, clustertest.Fake for unit tests; one suite,
// clustertest.Run, holds both to the same promises.
//
// Errors of the API server are passed on so that the functions of
// k8s.io/apimachinery/pkg/api/errors recognise them. A server that cannot be
// reached gives an [*UnreachableError], a kind that the server does not have a
// [*NoKindError].
type Interface interface {
	// Get returns one object. apierrors.IsNotFound holds for the error when
	// there is none.
	Get(ctx context.Context, ref Ref) (*unstructured.Unstructured, error)

	// List returns the objects of a kind in a namespace that a label selector
	// selects ("" selects all), sorted by name.
	List(ctx context.Context, kind, namespace, selector string) ([]unstructured.Unstructured, error)

	// Apply creates the object or changes it to what is given, by server-side
	// apply with the field manager "egressplay", taking over fields that
	// another manager owns. The object's namespace must be set where its kind
	// has namespaces; see Namespaced.
	Apply(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error)

	// Replace makes the object exactly what is given, save what only the
	// server sets; it creates it when there is none.
	Replace(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error)

	// MergePatch changes an object by a JSON merge patch (RFC 7386).
	MergePatch(ctx context.Context, ref Ref, patch []byte) (*unstructured.Unstructured, error)

	// Delete deletes an object and what it owns, and returns when they are
	// gone, or when ctx ends. An object that is not there is no error.
	Delete(ctx context.Context, ref Ref) error

	// Resolve completes a reference: Kind and APIVersion become those of the
	// server, and Namespace becomes namespace where it is empty and the kind
	// has namespaces, "" where it has none. Kind may be anything that kubectl
	// takes: "deploy", "serviceentries", "gateways.networking.istio.io".
	Resolve(ctx context.Context, ref Ref, namespace string) (Ref, error)

	// Pod returns the pod that a query means: the newest one that is ready and
	// not about to end. The error is a [*NotReadyError] where there is none
	// (yet).
	Pod(ctx context.Context, q PodQuery) (*Pod, error)

	// Exec runs a command in a container and returns how it ended. The exit
	// code is one that the server sent: where none came the error is a
	// [*LostError], whatever client-go says. Where the command could not be
	// started the error says why. When ctx ends first its cause is returned.
	Exec(ctx context.Context, r ExecRequest) (ExecResult, error)

	// Logs returns a container's log, oldest line first. Close it.
	Logs(ctx context.Context, r LogRequest) (io.ReadCloser, error)
}

// A Ref names an object. Kind is as kubectl takes it; APIVersion may be empty
// where Kind is clear without it.
type Ref struct {
	APIVersion string
	Kind       string
	Namespace  string
	Name       string
}

// String returns the reference as kubectl prints it, such as
// "serviceentry/httpbin-ext".
func (r Ref) String() string {
	return strings.ToLower(r.Kind) + "/" + r.Name
}

// RefOf returns the reference of an object.
func RefOf(obj *unstructured.Unstructured) Ref {
	return Ref{APIVersion: obj.GetAPIVersion(), Kind: obj.GetKind(), Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// A PodQuery says which pod is meant: exactly one of Name, Owner and Selector
// is set.
type PodQuery struct {
	Namespace string
	Name      string // a pod's name
	Owner     string // a workload, as in "deploy/sleep"
	Selector  string // a label selector
	Container string // a container that it must have; "" for its default one
}

// A Pod is one pod, as far as a step needs it.
type Pod struct {
	Namespace string
	Name      string
	IP        string
	// Container is the container that the query named, or the pod's default
	// one: that of the annotation kubectl.kubernetes.io/default-container, or
	// the first.
	Container string
	// Containers are the names of all, native sidecars included.
	Containers []string
}

// An ExecRequest is a command to run in a container. Neither a shell nor a
// terminal is involved.
type ExecRequest struct {
	Namespace, Pod, Container string
	Command                   []string
	Stdin                     io.Reader // nil for none
	Stdout, Stderr            io.Writer // nil discards
}

// An ExecResult says how a command ended.
type ExecResult struct {
	// ExitCode is 0 to 255; 128 + the signal for a command that a signal ended.
	ExitCode int
	// Trusted says that the exit code is certainly the command's own. It is
	// not where only WebSocket was to be had: what translates it may make up a
	// success when it loses the connection (kubernetes/kubernetes#137404).
	// Such an exit code counts only with another witness, such as curl's own
	// --write-out.
	Trusted bool
}

// A LogRequest says which lines of a container's log are wanted.
type LogRequest struct {
	Namespace, Pod, Container string
	Follow                    bool
	Previous                  bool      // of the container that ran before the current one
	Since                     time.Time // zero for all; the server rounds down to a second
	Tail                      int64     // the last lines only; 0 for all
}

// An UnreachableError says that the API server did not answer.
type UnreachableError struct {
	Server string // its URL
	Err    error
}

func (e *UnreachableError) Error() string { return fmt.Sprintf("reach %s: %v", e.Server, e.Err) }
func (e *UnreachableError) Unwrap() error { return e.Err }

// A NoKindError says that the server has no such kind of object.
type NoKindError struct {
	Kind string // as asked for, with its API version where one was named
}

func (e *NoKindError) Error() string { return fmt.Sprintf("the cluster has no kind %s", e.Kind) }

// A NotReadyError says that no pod is ready that a query means. Time may cure
// it, unless Final.
type NotReadyError struct {
	Query  string // the query in words: "pod sleep-1", "deploy/sleep", "pods with app=sleep"
	Reason string // what was seen instead, with container states and their messages
	// Final is set when waiting cannot help: the pod has no such container.
	Final bool
}

func (e *NotReadyError) Error() string { return fmt.Sprintf("no ready pod for %s: %s", e.Query, e.Reason) }

// A LostError says that a command's exit code never came, because a connection
// was lost while it ran or before.
type LostError struct {
	// Started is false when it is certain that the command did not start.
	Started bool
	Err     error // nil when the stream simply ended
}

func (e *LostError) Error() string {
	if e.Err == nil {
		return "the connection was lost: no exit code came"
	}
	return fmt.Sprintf("the connection was lost: no exit code came: %v", e.Err)
}
func (e *LostError) Unwrap() error { return e.Err }
