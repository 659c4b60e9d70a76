package internet

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const grpcFile = `
- names: [down.example.net]
  grpc: {status: 14, message: "no 100% chance\n– sorry"}
- names: [at-once.example.net]
  grpc: {status: 7, message: no, trailersOnly: true}
- names: [up.example.net]
  grpc: 0
  body: no gRPC
- names: [port.example.net]
  ports: {50051: {grpc: 5}, 50052: {grpc: 5, tls: true}, 8080: {body: x}}
`

// bytesAsTheyAre is a codec that leaves messages as they are on the wire.
type bytesAsTheyAre struct{}

func (bytesAsTheyAre) Name() string                  { return "proto" }
func (bytesAsTheyAre) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (bytesAsTheyAre) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

// A client of gRPC's own, with TLS and without.
func TestGRPC(t *testing.T) {
	l := start(t, parsed(t, grpcFile))
	call := func(addr string, secured bool) error {
		t.Helper()
		name, _, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		how := insecure.NewCredentials()
		if secured {
			how = credentials.NewClientTLSFromCert(l.ca.Pool(), name)
		}
		conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(how), grpc.WithAuthority(name),
			grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return l.dial(ctx, addr) }))
		require.NoError(t, err)
		defer conn.Close()
		message, reply := []byte(strings.Repeat("x", 100_000)), []byte("not empty")
		err = conn.Invoke(t.Context(), "/pkg.Service/Method", &message, &reply, grpc.ForceCodec(bytesAsTheyAre{}))
		assert.Equal(t, err != nil, len(reply) > 0, "an empty message comes with 0")
		return err
	}
	for i, tt := range []struct {
		addr    string
		tls     bool
		code    codes.Code
		message string
	}{
		{"down.example.net:443", true, codes.Unavailable, "no 100% chance\n– sorry"},
		{"down.example.net:80", false, codes.Unavailable, "no 100% chance\n– sorry"},
		{"at-once.example.net:443", true, codes.PermissionDenied, "no"},
		{"up.example.net:443", true, codes.OK, ""},
		{"up.example.net:80", false, codes.OK, ""},
		{"port.example.net:50051", false, codes.NotFound, ""},
		{"port.example.net:50052", true, codes.NotFound, ""},
	} {
		err := call(tt.addr, tt.tls)
		assert.Equal(t, tt.code, status.Code(err), "%s: %v", tt.addr, err)
		assert.Equal(t, tt.message, status.Convert(err).Message(), tt.addr)
		got := l.record.last(t, i+1)
		assert.Equal(t, "HTTP/2.0", got.Protocol)
		assert.Equal(t, "POST", got.Method)
		assert.Equal(t, "/pkg.Service/Method", got.Path)
		assert.Equal(t, 200, got.Status)
		require.NotNil(t, got.GRPCStatus)
		assert.EqualValues(t, tt.code, *got.GRPCStatus)
		assert.Equal(t, tt.tls, got.TLS)
	}
}

// The head of the answer and the trailers, as curl shows them.
func TestGRPCOnTheWire(t *testing.T) {
	l := start(t, parsed(t, grpcFile))
	post := func(url, kind string) (*http.Response, string) {
		t.Helper()
		resp, err := l.client(t, "h2").Post(url, kind, strings.NewReader("ab"))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp, string(body)
	}
	resp, body := post("https://down.example.net/", "application/grpc+proto")
	assert.Empty(t, resp.Header.Get("Grpc-Status"))
	assert.Equal(t, http.Header{"Grpc-Status": {"14"}, "Grpc-Message": {"no 100%25 chance%0A%E2%80%93 sorry"}}, resp.Trailer)
	assert.Empty(t, body)

	resp, _ = post("https://at-once.example.net/", "application/grpc")
	assert.Equal(t, "7", resp.Header.Get("Grpc-Status"))
	assert.Empty(t, resp.Trailer)

	resp, body = post("https://up.example.net/", "application/grpc")
	assert.Equal(t, "0", resp.Trailer.Get("Grpc-Status"))
	assert.Equal(t, "\x00\x00\x00\x00\x00", body)

	for _, kind := range []string{"application/json", "application/grpc-web", ""} {
		resp, body = post("https://up.example.net/", kind)
		assert.Equal(t, "no gRPC", body, "what is no call of gRPC is answered as usual")
		assert.Empty(t, resp.Trailer)
	}
	record := l.record.last(t, 6)
	assert.Nil(t, record.GRPCStatus)
}

// Only ports with gRPC speak HTTP/2 without TLS, because few sites do.
func TestHTTP2WithoutTLS(t *testing.T) {
	l := start(t, parsed(t, grpcFile))
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return l.dial(ctx, addr) },
		Protocols:   new(http.Protocols),
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	resp, err := (&http.Client{Transport: transport}).Get("http://up.example.net/")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "HTTP/2.0", resp.Proto)
	_, err = (&http.Client{Transport: transport}).Get("http://port.example.net:8080/") //nolint:bodyclose // there is none
	require.Error(t, err)
	_, err = (&http.Client{Transport: transport}).Get("http://www.google.com/") //nolint:bodyclose // there is none
	require.Error(t, err)
	resp, err = l.client(t).Get("http://up.example.net/")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "HTTP/1.1", resp.Proto, "as usual")
}
