package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// An UnreachableError reports that the API server did not answer.
type UnreachableError struct {
	Server string // its URL
	Err    error
}

func (e *UnreachableError) Error() string {
	reason, _ := e.explain()
	return fmt.Sprintf("reach %s: %s", e.Server, reason)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Hint returns what to do next; "" if nothing useful can be said.
func (e *UnreachableError) Hint() string {
	_, hint := e.explain()
	return hint
}

// explain returns the reason in words, and a hint for reasons that need different
// actions.
func (e *UnreachableError) explain() (reason, hint string) {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](e.Err)
	if isInvalid && invalid.Reason == x509.Expired {
		return "its certificate is out of date: " + invalid.Error(),
			"check this machine's clock, then renew the cluster's certificates"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](e.Err); ok {
		return "its certificate is signed by an unknown authority",
			"the kubeconfig may be of an earlier cluster at the same address: get the cluster's current one"
	}
	if hostname, ok := errors.AsType[x509.HostnameError](e.Err); ok {
		return hostname.Error(), "use an address that the certificate names, or set tls-server-name in the kubeconfig"
	}
	if op, ok := errors.AsType[*net.OpError](e.Err); ok && op.Op == "remote error" { // crypto/tls: an alert that the server sent
		return op.Err.Error(), "the server refused the kubeconfig's client certificate: get the cluster's current kubeconfig"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](e.Err); ok || errors.Is(e.Err, http.ErrSchemeMismatch) {
		return "it does not speak TLS", "check the address and port of the cluster in the kubeconfig"
	}
	if dns, ok := errors.AsType[*net.DNSError](e.Err); ok {
		return dns.Error(), "check the name of the cluster's server in the kubeconfig, and this machine's DNS"
	}
	if errors.Is(e.Err, syscall.ECONNREFUSED) {
		return "connection refused", "nothing listens there: start the cluster, or name another one"
	}
	if netErr, ok := errors.AsType[net.Error](e.Err); ok && netErr.Timeout() {
		return "no answer in time", "check that the cluster runs and that no firewall is in the way"
	}
	return innermost(e.Err).Error(), ""
}

// innermost returns the underlying error, without the method and URL that net/http
// adds.
func innermost(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// A NoKindError reports that the server has no such kind of object.
type NoKindError struct {
	Kind       string // as asked for
	APIVersion string // as asked for; may be empty
	// Served are the versions of the API group in which the server has the kind
	// instead, and Elsewhere its versions in other groups, such as "apps/v1"; the
	// preferred one comes first.
	Served, Elsewhere []string
}

func (e *NoKindError) Error() string {
	text := "the cluster has no kind " + e.Kind
	if e.APIVersion != "" {
		text += " in " + e.APIVersion
	}
	if all := append(e.inGroup(), e.Elsewhere...); len(all) > 0 {
		text += ", only in " + strings.Join(all, ", ")
	}
	return text
}

// inGroup returns Served as API versions.
func (e *NoKindError) inGroup() (all []string) {
	group, _, grouped := strings.Cut(e.APIVersion, "/")
	for _, version := range e.Served {
		if grouped {
			version = group + "/" + version
		}
		all = append(all, version)
	}
	return all
}

// Hint returns what to do next.
func (e *NoKindError) Hint() string {
	group, _, _ := strings.Cut(e.APIVersion, "/")
	switch isOwn := strings.Contains(group, "."); {
	case len(e.Served) > 0:
		return "write apiVersion: " + e.inGroup()[0]
	case len(e.Elsewhere) > 0 && !isOwn: // such as extensions, which Kubernetes had once
		return "write apiVersion: " + e.Elsewhere[0]
	case isOwn: // a kind of that name in another group is another kind
		return fmt.Sprintf("install the definitions (CRDs) of %s, then run the same command again", group)
	default:
		return "check the spelling, or install the definition (CRD) of the kind: kubectl api-resources lists those that there are"
	}
}

// A NotReadyError reports that no pod that a query means is ready. Waiting may help,
// unless Final is set.
type NotReadyError struct {
	Namespace string // where it was looked for; "" if that is not known
	Query     string // the query in words: "pod sleep-1", "deploy/sleep", "pods with app=sleep"
	Reason    string // what was found instead, with container states and their messages
	// Final is set if waiting cannot help: the pod has no such container.
	Final bool
}

func (e *NotReadyError) Error() string {
	return fmt.Sprintf("no ready pod for %s: %s", e.Query, e.Reason)
}

// Hint returns what to do next; "" if waiting may help.
func (e *NotReadyError) Hint() string {
	if e.Final {
		return "name a container that the pod has"
	}
	return ""
}

// A ForbiddenError reports that the user of the kubeconfig may not do something, with
// the verb and the resource.
type ForbiddenError struct{ Err error } // the API server's own

func (e *ForbiddenError) Error() string { return e.Err.Error() }

func (e *ForbiddenError) Unwrap() error { return e.Err }

// Hint returns what to do next.
func (e *ForbiddenError) Hint() string {
	return "have that user bound to a role with this permission, or name a context whose user has it"
}

// A LostError reports that a command's exit code never came, because a connection was
// lost before or during the command.
type LostError struct {
	// Started is false if it is certain that the command did not start.
	Started bool
	Err     error // nil if the stream simply ended
}

func (e *LostError) Error() string {
	if e.Err == nil {
		return "the connection was lost: no exit code came"
	}
	return fmt.Sprintf("the connection was lost: no exit code came: %v", e.Err)
}

func (e *LostError) Unwrap() error { return e.Err }

// explain turns the error of a request into the one that [Interface] promises: the API
// server's own, the cause of ctx if that has ended, or an [*UnreachableError].
func (c *Client) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		if apierrors.IsUnauthorized(err) {
			return fmt.Errorf("%s does not accept the credentials of %s: %w", c.Server(), c.name, err)
		}
		// A quota, for example, is Forbidden as well, without this word.
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), " cannot ") {
			return &ForbiddenError{Err: err}
		}
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return &UnreachableError{Server: c.Server(), Err: err}
	}
	return err
}
