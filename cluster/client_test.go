package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const twoContexts = `
apiVersion: v1
kind: Config
clusters:
- {name: c, cluster: {server: "https://192.0.2.1:6443"}}
contexts:
- {name: prod, context: {cluster: c, user: u, namespace: shop}}
- {name: dev, context: {cluster: c, user: u}}
- {name: broken, context: {cluster: missing, user: u}}
users:
- {name: u, user: {token: t}}
`

func TestNewTakesOnlyAClusterThatIsNamed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	require.NoError(t, os.WriteFile(file, []byte(twoContexts), 0o600))
	current := filepath.Join(dir, "current")
	require.NoError(t, os.WriteFile(current, []byte(twoContexts+"current-context: dev\n"), 0o600))
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))

	for _, test := range []struct {
		name      string
		env       string // KUBECONFIG
		o         Options
		context   string
		namespace string
		err       string
	}{
		{name: "nothing is named, whatever is current", env: current, err: "no cluster is named"},
		{name: "a context", env: file, o: Options{Context: "prod"}, context: "prod", namespace: "shop"},
		{name: "a context wins over the current one", env: current, o: Options{Context: "prod"}, context: "prod", namespace: "shop"},
		{name: "a file that has a current one", env: file, o: Options{Kubeconfig: current}, context: "dev", namespace: "default"},
		{name: "a file and a context", env: empty, o: Options{Kubeconfig: current, Context: "prod"}, context: "prod", namespace: "shop"},
		{name: "a file without a current one", o: Options{Kubeconfig: file}, err: file + " has no current context: name one; it has: broken, dev, prod"},
		{name: "no such context", env: file, o: Options{Context: "pord"}, err: `no context "pord" in ` + file + "; it has: broken, dev, prod"},
		{name: "no context at all", env: empty, o: Options{Context: "prod"}, err: `no context "prod" in ` + empty + "; it has: none"},
		{name: "no such file", o: Options{Kubeconfig: filepath.Join(dir, "absent")}, err: "absent: no such file"},
		{name: "a context without its cluster", o: Options{Kubeconfig: file, Context: "broken"}, err: `context "broken" in ` + file},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", test.env)
			c, err := New(test.o)
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.context, c.Context())
			assert.Equal(t, test.namespace, c.Namespace())
			assert.Equal(t, "https://192.0.2.1:6443", c.Server())
		})
	}
}

func TestCheck(t *testing.T) {
	var agent string
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agent = r.UserAgent()
		assert.Equal(t, "/version", r.URL.Path)
		io.WriteString(w, `{"gitVersion":"v1.36.3"}`)
	}))
	version, err := c.Check(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "v1.36.3", version)
	assert.NotEmpty(t, agent)

	_, err = newTestClient(t, answer(200, "<html>")).Check(t.Context())
	assert.ErrorContains(t, err, "does not answer as a Kubernetes API server")

	_, err = newTestClient(t, answer(401, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: 401, Reason: metav1.StatusReasonUnauthorized,
	})).Check(t.Context())
	assert.True(t, apierrors.IsUnauthorized(err))
	assert.ErrorContains(t, err, "does not accept the credentials of test")
}

func TestLabName(t *testing.T) {
	lab := func(t *testing.T, code int, body string) (string, string, bool, error) {
		return newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "/api/v1/namespaces/kube-public/configmaps/egressplay-lab", r.URL.Path)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			io.WriteString(w, body)
		})).LabName(t.Context())
	}
	name, version, isLab, err := lab(t, 200, `{"apiVersion":"v1","kind":"ConfigMap","data":{"name":"default","version":"v1.0"}}`)
	require.NoError(t, err)
	assert.True(t, isLab)
	assert.Equal(t, "default", name)
	assert.Equal(t, "v1.0", version)

	for code, reason := range map[int]string{404: "NotFound", 403: "Forbidden"} {
		_, _, isLab, err = lab(t, code, `{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"`+reason+`"}`)
		require.NoError(t, err)
		assert.False(t, isLab)
	}
	_, _, _, err = lab(t, 500, `{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"InternalError"}`)
	assert.Error(t, err)
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)

	for _, test := range []struct{ name, host, reason string }{
		{"nothing listens", "https://" + closed.Addr().String(), "connection refused"},
		{"an unknown authority", secure.URL, "signed by an unknown authority"},
		{"no TLS", "https://" + plain.Listener.Addr().String(), "does not speak TLS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := newClient("test", "default", &rest.Config{Host: test.host})
			require.NoError(t, err)
			_, checkErr := c.Check(t.Context())
			_, getErr := c.Get(t.Context(), Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "a", Name: "b"})
			_, podErr := c.Pod(t.Context(), PodQuery{Namespace: "a", Name: "b"})
			_, logErr := c.Logs(t.Context(), LogRequest{Namespace: "a", Pod: "b"})
			for _, err := range []error{checkErr, getErr, podErr, logErr} {
				unreachable, ok := errors.AsType[*UnreachableError](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, "reach "+test.host+": "+unreachable.reason(), err.Error())
				assert.Contains(t, err.Error(), test.reason)
				assert.NotEmpty(t, unreachable.Hint())
			}
		})
	}
}

func (e *UnreachableError) reason() string {
	reason, _ := e.explain()
	return reason
}

func TestUnreachableErrorTellsReasonsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, err := range []error{
		x509.CertificateInvalidError{Cert: &x509.Certificate{NotAfter: time.Unix(0, 0)}, Reason: x509.Expired},
		x509.UnknownAuthorityError{},
		&net.DNSError{Err: "no such host", Name: "nope.invalid", IsNotFound: true},
		syscall.ECONNREFUSED,
		&net.OpError{Op: "remote error", Err: errors.New("tls: expired certificate")},
		os.ErrDeadlineExceeded,
	} {
		e := &UnreachableError{Server: "https://x", Err: &url.Error{Op: "Get", URL: "https://x/api", Err: err}}
		assert.NotContains(t, e.Error(), "https://x/api")
		assert.NotEmpty(t, e.Hint(), "%v", err)
		assert.False(t, seen[e.Hint()], "%s", e.Hint())
		seen[e.Hint()] = true
		assert.ErrorIs(t, e, err)
	}
	other := &UnreachableError{Server: "https://x", Err: io.ErrUnexpectedEOF}
	assert.Equal(t, "reach https://x: unexpected EOF", other.Error())
	assert.Empty(t, other.Hint())
}

func TestAHungServerHoldsNobodyUp(t *testing.T) {
	hung := make(chan struct{})
	c := newTestClient(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-hung }))
	t.Cleanup(func() { close(hung) }) // before the server is closed
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(stopped) })
	_, err := c.Get(ctx, Ref{Kind: "cm", Namespace: "a", Name: "b"})
	assert.ErrorIs(t, err, stopped)
	_, err = c.Check(ctx)
	assert.ErrorIs(t, err, stopped)
}
