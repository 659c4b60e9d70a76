package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// errNoSPDY reports that something in front of the API server did not let the upgrade
// through.
var errNoSPDY = errors.New("the connection cannot be upgraded to SPDY")

// Exec implements [Interface].
//
// client-go reports success when the stream on which the exit code travels
// closes empty (kubernetes/kubectl#1726, kubernetes/kubernetes#137404), so a
// lost connection reads as exit code 0. Here our own code reads the streams: in the
// protocols v4 and v5 a server always writes a Status before it closes that stream, so
// no Status means that the connection was lost.
//
//	POST .../exec ─ 101 ─ SPDY ─┬─ error   ── Status ── exit code
//	                            ├─ stdin  ←─
//	                            ├─ stdout ──→
//	                            └─ stderr ──→
func (c *Client) Exec(ctx context.Context, r ExecRequest) (ExecResult, error) {
	if len(r.Command) == 0 {
		return ExecResult{}, errors.New("exec: no command is given")
	}
	if c.webSocketOnly.Load() {
		return c.execWebSocket(ctx, r)
	}
	conn, err := c.upgradeExec(ctx, r)
	if errors.Is(err, errNoSPDY) {
		result, err := c.execWebSocket(ctx, r)
		c.webSocketOnly.Store(err == nil)
		return result, err
	}
	if err != nil {
		return ExecResult{}, err
	}
	status, err := stream(ctx, conn, r)
	if err != nil {
		return ExecResult{}, err
	}
	code, err := exitCode(status)
	if err != nil {
		return ExecResult{}, fmt.Errorf("run %s: %w", r.Command[0], err)
	}
	return ExecResult{ExitCode: code, Trusted: true}, nil
}

func (c *Client) execURL(r ExecRequest) *url.URL {
	req := c.rest.Post().AbsPath("/api/v1/namespaces", r.Namespace, "pods", r.Pod, "exec").
		Param("stdout", "true").Param("stderr", "true")
	if r.Container != "" {
		req.Param("container", r.Container)
	}
	if r.Stdin != nil {
		req.Param("stdin", "true")
	}
	for _, word := range r.Command {
		req.Param("command", word)
	}
	return req.URL()
}

// upgradeExec requests the command and returns the connection for SPDY. The command
// starts later, once all streams exist.
func (c *Client) upgradeExec(ctx context.Context, r ExecRequest) (io.ReadWriteCloser, error) {
	conn, resp, err := c.upgrade(ctx, c.execURL(r), remotecommand.StreamProtocolV5Name, remotecommand.StreamProtocolV4Name)
	if err != nil {
		return nil, err
	}
	if conn == nil {
		defer resp.Body.Close()
		return nil, c.refused(ctx, r, resp)
	}
	switch protocol := resp.Header.Get(httpstream.HeaderProtocolVersion); protocol {
	case remotecommand.StreamProtocolV5Name, remotecommand.StreamProtocolV4Name:
		return conn, nil
	default:
		conn.Close()
		return nil, fmt.Errorf("exec: the server speaks protocol %q only, in which an exit code may be lost unseen; %s is needed",
			protocol, remotecommand.StreamProtocolV4Name)
	}
}

// upgrade asks the server to speak SPDY and returns the connection; nil and the
// server's answer if it does not.
func (c *Client) upgrade(ctx context.Context, to *url.URL, protocols ...string) (io.ReadWriteCloser, *http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set(httpstream.HeaderConnection, httpstream.HeaderUpgrade)
	req.Header.Set(httpstream.HeaderUpgrade, spdy.HeaderSpdy31)
	req.Header[httpstream.HeaderProtocolVersion] = protocols
	resp, err := c.upgrader.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		return nil, nil, &LostError{Err: &UnreachableError{Server: c.Server(), Err: err}}
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, resp, nil
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !strings.EqualFold(resp.Header.Get(httpstream.HeaderUpgrade), spdy.HeaderSpdy31) {
		resp.Body.Close()
		return nil, nil, errNoSPDY
	}
	return conn, resp, nil
}

// refused returns why the server did not upgrade a connection.
func (c *Client) refused(ctx context.Context, r ExecRequest, resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &LostError{Err: err}
	}
	status, err := decode[metav1.Status](body)
	if err != nil || status.Kind != "Status" {
		if text := string(body); noSPDY(resp.StatusCode) && !strings.Contains(text, "negotiate protocol") {
			return errNoSPDY
		}
		status = metav1.Status{Status: metav1.StatusFailure, Message: strings.TrimSpace(string(body))}
	}
	status.Code = int32(resp.StatusCode)
	return c.cannotStart(ctx, r, status)
}

// cannotStart returns why the server does not run a command. The messages are from
// pkg/registry/core/pod/strategy.go, pkg/kubelet/kubelet_pods.go and
// staging/src/k8s.io/apimachinery/pkg/util/proxy/upgradeaware.go of
// kubernetes/kubernetes.
func (c *Client) cannotStart(ctx context.Context, r ExecRequest, status metav1.Status) error {
	switch message := status.Message; {
	case strings.Contains(message, "Upgrade request required"):
		return errNoSPDY
	case strings.Contains(message, "is not valid for pod"):
		return &NotReadyError{Namespace: r.Namespace, Query: "pod " + r.Pod, Reason: message, Final: true}
	case strings.Contains(message, "container not found"):
		return &NotReadyError{Namespace: r.Namespace, Query: "pod " + r.Pod, Reason: fmt.Sprintf("container %s is not running", r.Container)}
	case message == "":
		status.Message = "exec: the server answers " + http.StatusText(int(status.Code))
	}
	err := c.explain(ctx, &apierrors.StatusError{ErrStatus: status})
	if status.Code >= http.StatusInternalServerError {
		return &LostError{Err: err} // the API server did not reach the node
	}
	return err
}

// noSPDY reports whether an answer that is not from Kubernetes means that a proxy did
// not understand the upgrade.
func noSPDY(code int) bool {
	switch code {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusUpgradeRequired,
		http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return true
	}
	return code < http.StatusBadRequest
}

// exitCode returns the exit code in a Status, or why there is none.
func exitCode(status *metav1.Status) (int, error) {
	if status.Status == metav1.StatusSuccess {
		return 0, nil
	}
	if status.Reason == remotecommand.NonZeroExitCodeReason && status.Details != nil {
		for _, cause := range status.Details.Causes {
			if cause.Type != remotecommand.ExitCodeCauseType {
				continue
			}
			code, err := strconv.ParseUint(cause.Message, 10, 8)
			if err != nil {
				return 0, fmt.Errorf("the server sent the exit code %q", cause.Message)
			}
			return int(code), nil
		}
	}
	return 0, &apierrors.StatusError{ErrStatus: *status}
}

// parseStatus reads what came on the error stream.
func parseStatus(body []byte) (*metav1.Status, error) {
	if len(body) == 0 {
		return nil, &LostError{Started: true}
	}
	status := new(metav1.Status)
	if err := json.Unmarshal(body, status); err != nil {
		return nil, &LostError{Started: true, Err: fmt.Errorf("only a part of its status came: %w", err)}
	}
	if status.Status != metav1.StatusSuccess && status.Status != metav1.StatusFailure {
		return nil, &LostError{Started: true, Err: fmt.Errorf("it sent no status but %.200q", body)}
	}
	return status, nil
}

// The values of the header that identifies a stream.
const (
	errorStream  = corev1.StreamTypeError
	stdinStream  = corev1.StreamTypeStdin
	stdoutStream = corev1.StreamTypeStdout
	stderrStream = corev1.StreamTypeStderr
)
