package cluster

import (
	"cmp"
	"context"
	"io"
	"net"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Interface is the part of the Kubernetes API that steps need. [*Client] implements it
// for a real API server, clustertest.Fake for unit tests; one suite, clustertest.Run,
// tests both.
//
// Errors of the API server are passed on so that the functions of
// k8s.io/apimachinery/pkg/api/errors recognise them. A server that cannot be
// reached gives an [*UnreachableError], a kind that the server does not have a
// [*NoKindError].
type Interface interface {
	// Get returns one object. apierrors.IsNotFound holds for the error if it does not
	// exist.
	Get(ctx context.Context, ref Ref) (*unstructured.Unstructured, error)

	// List returns the objects of a kind in a namespace that a label selector
	// selects ("" selects all), sorted by name.
	List(ctx context.Context, kind, namespace, selector string) ([]unstructured.Unstructured, error)

	// Print returns what kubectl get prints for an object. If ref has no name, it is
	// for all objects of its kind in its namespace, "" for all namespaces, that a label
	// selector selects. The server itself makes the table.
	Print(ctx context.Context, ref Ref, selector string) (*Table, error)

	// Apply creates or changes the object by server-side apply with the field manager
	// [Manager], and takes over fields that another manager owns; with
	// [WriteOptions.Fresh] apierrors.IsConflict holds for the error instead. A field
	// that the object's kind does not have is an error. The object's namespace must be
	// set if its kind has namespaces; see Resolve.
	Apply(ctx context.Context, obj *unstructured.Unstructured, o WriteOptions) (*unstructured.Unstructured, error)

	// Create creates an object, without the fields that only the server sets.
	// apierrors.IsAlreadyExists holds for the error if it exists.
	Create(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error)

	// Update replaces the object by the given one, including managed fields, but not
	// its status. apierrors.IsConflict holds for the error if the server has another
	// version than the given one.
	Update(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error)

	// MergePatch changes an object by a JSON merge patch (RFC 7386).
	MergePatch(ctx context.Context, ref Ref, patch []byte, o WriteOptions) (*unstructured.Unstructured, error)

	// Delete deletes an object and returns when it is gone, with a workload's pods, or
	// when ctx ends: then the error says what keeps the object. For an object that does
	// not exist, apierrors.IsNotFound holds for the error.
	Delete(ctx context.Context, ref Ref, o WriteOptions) error

	// Dependents returns the objects that name this one as an owner, as far as we may
	// see them. The cluster deletes them after it.
	Dependents(ctx context.Context, owner *unstructured.Unstructured) ([]Ref, error)

	// Contents returns the metadata of the objects in a namespace, except events, of
	// every kind that we may list. unseen has the other kinds. It passes on no warning
	// of the API server.
	Contents(ctx context.Context, namespace string) (all []unstructured.Unstructured, unseen []Ref, err error)

	// Resolve completes a reference: Kind and APIVersion become those of the server. An
	// empty Namespace becomes namespace if the kind has namespaces; if it has none,
	// Namespace becomes "". Kind may be anything that kubectl accepts: "deploy",
	// "serviceentries", "gateways.networking.istio.io".
	Resolve(ctx context.Context, ref Ref, namespace string) (Ref, error)

	// Pod returns the pod that a query means: the newest one that is ready and
	// not about to end. The error is a [*NotReadyError] if there is none (yet).
	Pod(ctx context.Context, q PodQuery) (*Pod, error)

	// PodAt returns the pod that has an address, in any namespace; nil if no pod has
	// it, or if we may not look.
	PodAt(ctx context.Context, ip string) (*Pod, error)

	// PodsOf returns all the pods that a query means and that are ready and not
	// about to end, by name. If there is none, the error is a [*NotReadyError].
	PodsOf(ctx context.Context, q PodQuery) ([]Pod, error)

	// Dial connects to a port on the loopback interface of a pod, as kubectl
	// port-forward does. ctx bounds only the connecting. The caller closes the
	// connection.
	Dial(ctx context.Context, namespace, pod string, port int) (net.Conn, error)

	// LogPod returns the pod whose log a query means: the one that Pod returns; if
	// there is none, the newest one whose container has begun, even if the container
	// has ended since. The container may be an init container.
	LogPod(ctx context.Context, q PodQuery) (*Pod, error)

	// Exec runs a command in a container and returns how it ended. The exit code is
	// one that the server sent: if none came, the error is a [*LostError], whatever
	// client-go says. If the command could not be started, the error says why. If
	// ctx ends first, its cause is returned.
	Exec(ctx context.Context, r ExecRequest) (ExecResult, error)

	// Logs returns a container's log, oldest line first. The caller closes it.
	Logs(ctx context.Context, r LogRequest) (io.ReadCloser, error)

	// Ahead returns by how much the server's clock is ahead of this machine's,
	// at least and at most, as far as its answers have shown.
	Ahead() (least, most time.Duration)
}

// WriteOptions set how an object is written. The zero value writes it whatever it is
// now.
type WriteOptions struct {
	// DryRun has the server judge the request and answer as if it had been made,
	// without changing anything.
	DryRun bool
	// Version and UID are what the object must still have, "" for any.
	// apierrors.IsConflict holds for the error if it has others. Delete checks both,
	// the other methods only Version.
	Version string
	UID     types.UID
	// Fresh says that the object did not exist: Apply takes over no field of one that
	// somebody else has made since.
	Fresh bool
}

// A Ref names an object. Kind is anything that kubectl accepts; APIVersion may be empty
// if Kind is clear without it.
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

// Long returns the reference with the group of its API, as kubectl apply prints
// it, such as "serviceentry.networking.istio.io/httpbin-ext".
func (r Ref) Long() string {
	group, _, grouped := strings.Cut(r.APIVersion, "/")
	if !grouped {
		return r.String()
	}
	return strings.ToLower(r.Kind) + "." + group + "/" + r.Name
}

// Resource returns the reference's kind in the form of the API server's errors.
func (r Ref) Resource() schema.GroupResource {
	group, _, grouped := strings.Cut(r.APIVersion, "/")
	if !grouped {
		group = ""
	}
	return schema.GroupResource{Group: group, Resource: strings.ToLower(r.Kind)}
}

func compareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Long(), b.Long()), cmp.Compare(a.Namespace, b.Namespace))
}

// RefOf returns the reference of an object.
func RefOf(obj *unstructured.Unstructured) Ref {
	return Ref{APIVersion: obj.GetAPIVersion(), Kind: obj.GetKind(), Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// A PodQuery means a pod: exactly one of Name, Owner and Selector is set.
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
	// Container is the container that the query named, or the pod's default one: the
	// one in the annotation kubectl.kubernetes.io/default-container, or the first.
	Container string
	// Containers are the names of all containers, including native sidecars.
	Containers []string
	// Labels are the pod's, and Node is the name of the node that it runs on.
	Labels map[string]string
	Node   string
}

// An ExecRequest is a command to run in a container. Neither a shell nor a
// terminal is involved.
type ExecRequest struct {
	Namespace, Pod, Container string
	Command                   []string
	Stdin                     io.Reader // nil for none; an error of Read counts as the end
	Stdout, Stderr            io.Writer // nil discards
}

// An ExecResult says how a command ended.
type ExecResult struct {
	// ExitCode is 0 to 255; 128 + the signal for a command that a signal ended.
	ExitCode int
	// Trusted reports whether the exit code is certainly the command's own. It is not
	// if only WebSocket was available: the translator to SPDY may make up a success
	// when it loses the connection (kubernetes/kubernetes#137404). Such an exit code
	// counts only with another witness, such as curl's own --write-out.
	Trusted bool
}

// A LogRequest selects lines of a container's log.
type LogRequest struct {
	Namespace, Pod, Container string
	Follow                    bool
	Previous                  bool      // of the container that ran before the current one
	Since                     time.Time // zero: all lines; the server rounds down to a second
	Tail                      int64     // only the last lines; 0: all
	Timestamps                bool      // each line begins with the time at which it was written (RFC 3339)
}
