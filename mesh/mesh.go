package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/egressplay/egressplay/cluster"
)

// A Mesh is a cluster's service mesh, as configured by one revision of istiod. It may
// be used by several goroutines. Call Close at the end.
type Mesh struct {
	Cluster cluster.Interface
	// Namespace is the namespace of istiod and its ConfigMap, "istio-system" by
	// default.
	Namespace string
	// Revision is the name of istiod's revision; "" for the default one.
	Revision string
	// Workloads is the namespace of workloads that name none.
	Workloads string
	// Istioctl reports whether Istio's own istioctl is there.
	Istioctl bool

	mu      sync.Mutex
	admins  map[string]*http.Client // by pod and port
	byExec  bool                    // port-forward was refused once
	refused error                   // the reason
}

// configMap returns the ConfigMap with the mesh's configuration.
func (m *Mesh) configMap() cluster.Ref {
	return cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: m.Namespace, Name: ConfigMapName(m.Revision)}
}

// Close closes the connections that are kept open.
func (m *Mesh) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.admins {
		c.CloseIdleConnections()
	}
	m.admins = nil
}

// The ports on the loopback interface for information about a proxy and about istiod.
// Source: istio.io "Application Requirements", "Ports used by Istio".
const (
	envoyAdmin  = 15000
	istiodDebug = 15014
)

// maxAnswer is how much of an answer is read, in bytes: a mesh of ten thousand
// services has about 100 lines for each.
const maxAnswer = 64 << 20

// Ask requests a path such as "clusters" from the administration interface of a pod's
// proxy. It uses a port-forward, which costs a few milliseconds, or if that is not
// allowed, pilot-agent in the pod.
func (m *Mesh) Ask(ctx context.Context, namespace, pod, path string) (string, error) {
	return m.ask(ctx, namespace, pod, envoyAdmin, path, Sidecar, "pilot-agent")
}

// askIstiod requests a path from the debug interface of a pod of istiod.
func (m *Mesh) askIstiod(ctx context.Context, pod, path string) (string, error) {
	return m.ask(ctx, m.Namespace, pod, istiodDebug, path, "discovery", "pilot-discovery")
}

func (m *Mesh) ask(ctx context.Context, namespace, pod string, port int, path, container, program string) (string, error) {
	m.mu.Lock()
	byExec := m.byExec
	m.mu.Unlock()
	if !byExec {
		text, err := m.get(ctx, namespace, pod, port, path)
		if err == nil || ctx.Err() != nil {
			return text, err
		}
		// If something is wrong with the pod, exec reports it as well.
		m.mu.Lock()
		if answered := (*answerError)(nil); !errors.As(err, &answered) {
			m.byExec, m.refused = true, err
		}
		m.mu.Unlock()
	}
	out, errs := cluster.Bounded{Max: maxAnswer}, cluster.Bounded{Max: 4 << 10}
	result, err := m.Cluster.Exec(ctx, cluster.ExecRequest{
		Namespace: namespace, Pod: pod, Container: container,
		Command: []string{program, "request", "GET", path}, Stdout: &out, Stderr: &errs,
	})
	switch {
	case err != nil:
	case result.ExitCode != 0 || !result.Trusted:
		err = fmt.Errorf("%s request ended with exit code %d: %s", program, result.ExitCode, strings.TrimSpace(errs.String()))
	case out.Truncated:
		err = fmt.Errorf("the answer has more than %d MiB", maxAnswer>>20)
	}
	if err != nil {
		return "", fmt.Errorf("ask %s for %s: %w", pod, path, err)
	}
	return out.String(), nil
}

// An answerError reports an answer with another status than 200.
type answerError struct{ status string }

func (e *answerError) Error() string { return "it answers " + e.status }

// get makes an HTTP request over a connection that is kept for the next one.
func (m *Mesh) get(ctx context.Context, namespace, pod string, port int, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/"+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := m.client(namespace, pod, port).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode != http.StatusOK:
		return "", &answerError{resp.Status}
	case len(body) > maxAnswer:
		return "", fmt.Errorf("the answer has more than %d MiB", maxAnswer>>20)
	}
	return string(body), nil
}

// askTimeout bounds one request.
const askTimeout = 15 * time.Second

func (m *Mesh) client(namespace, pod string, port int) *http.Client {
	key := fmt.Sprintf("%s/%s:%d", namespace, pod, port)
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.admins[key]; c != nil {
		return c
	}
	c := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return m.Cluster.Dial(ctx, namespace, pod, port)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 1,
		IdleConnTimeout:     time.Minute,
	}}
	if m.admins == nil {
		m.admins = map[string]*http.Client{}
	}
	m.admins[key] = c
	return c
}
