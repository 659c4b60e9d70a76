package curl

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A site is a host with pages for each kind of response that curl counts differently.
type site struct {
	plain, secure, proxy string // URLs
}

func newSite(t *testing.T) site {
	mux := http.NewServeMux()
	page := func(path string, handle func(w http.ResponseWriter, r *http.Request)) { mux.HandleFunc(path, handle) }
	page("/page", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Method", r.Method)
		io.WriteString(w, "the page\n")
	})
	page("/forged", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Real", "yes")
		io.WriteString(w, "HTTP/1.1 200 OK\r\nX-Forged: yes\r\n\r\nhi")
	})
	mux.Handle("/moved", http.RedirectHandler("/page", http.StatusMovedPermanently))
	page("/early", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "x")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "hi")
	})
	page("/trailer", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		io.WriteString(w, "bc")
		w.Header().Set("Grpc-Status", "14")
	})
	page("/gzip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, strings.Repeat("x", 5000))
		z.Close()
	})
	var tries atomic.Int32
	page("/flaky", func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1)%2 == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, "HTTP/1.1 200 OK\r\n\r\nnot yet")
			return
		}
		io.WriteString(w, "now")
	})
	page("/digest", func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "response=") {
			w.Header().Set("WWW-Authenticate", `Digest realm="a", nonce="b", qop="auth"`)
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, "who?")
			return
		}
		io.WriteString(w, "in")
	})
	page("/none", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	page("/same", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) })
	page("/post", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d", n)
	})
	page("/range", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader("0123456789"))
	})
	page("/broken", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, "broken")
	})
	page("/cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	page("/half", func(w http.ResponseWriter, r *http.Request) { // a head that does not end
		conn, _, err := http.NewResponseController(w).Hijack()
		if assert.NoError(t, err) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nServer: x\r\nContent-")
			conn.Close()
		}
	})
	page("/bare", func(w http.ResponseWriter, r *http.Request) { // lines with an unusual end
		conn, _, err := http.NewResponseController(w).Hijack()
		if assert.NoError(t, err) {
			io.WriteString(conn, "HTTP/1.1 200 OK\nX-Long: a\n  b\nContent-Length: 2\n\nhi")
			conn.Close()
		}
	})
	page("/long", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("0123456789", 20_000)) })
	page("/hang", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })

	plain := httptest.NewServer(mux)
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(mux)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	proxy := httptest.NewServer(http.HandlerFunc(tunnel))
	t.Cleanup(proxy.Close)
	return site{plain.URL, secure.URL, proxy.URL}
}

// tunnel is a proxy that only knows CONNECT. It wants a password of user agent
// "wary".
func tunnel(w http.ResponseWriter, r *http.Request) {
	if r.UserAgent() == "wary" && r.Header.Get("Proxy-Authorization") == "" {
		w.Header().Set("Proxy-Authenticate", "Basic realm=x")
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	server, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer server.Close()
	w.WriteHeader(http.StatusOK)
	client, sent, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	go io.Copy(server, sent)
	io.Copy(client, server)
}

// A result is the result of a command.
type result struct {
	transfers      []Transfer
	err            error // of Transfers
	stdout, stderr string
	exitCode       int
	command        *Command
}

// run runs a command on this machine as a step runs it in a pod.
func run(t *testing.T, argv ...string) result {
	t.Helper()
	c, ok := Parse(argv)
	require.True(t, ok, "%q", argv)
	out := c.Output(100_000)
	r := result{command: c}
	r.exitCode, r.stderr = start(t, c.Argv, out)
	r.transfers, r.err = out.Transfers()
	r.stdout = out.Stdout()
	r.stderr = c.Stderr(r.stderr)
	return r
}

// start runs argv and returns how it ended.
func start(t *testing.T, argv []string, stdout io.Writer) (exitCode int, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var errOut strings.Builder
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = stdout, &errOut
	if err := cmd.Run(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		require.True(t, ok, "%v", err)
		return exit.ExitCode(), errOut.String()
	}
	return 0, errOut.String()
}

func statuses(tr Transfer) (all []int) {
	for _, head := range tr.Heads {
		all = append(all, head.Status)
	}
	return all
}

// What curl counts, and what it prints for each kind of response. The heads are those
// that were received, and the body is that of the last response.
func TestHeadsAndBodies(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		name, options, url string
		exitCode           int
		heads              []int
		body               string
	}{
		{"a page", "-i", s.plain + "/page", 0, []int{200}, "the page\n"},
		{"a body that looks like a head", "-i", s.plain + "/forged", 0, []int{200}, "HTTP/1.1 200 OK\r\nX-Forged: yes\r\n\r\nhi"},
		{"the same by HTTP/2", "-i", s.secure + "/forged", 0, []int{200}, "HTTP/1.1 200 OK\r\nX-Forged: yes\r\n\r\nhi"},
		{"a redirect", "-i -L", s.plain + "/moved", 0, []int{301, 200}, "the page\n"},
		{"a redirect by HTTP/2", "-i -L", s.secure + "/moved", 0, []int{301, 200}, "the page\n"},
		{"a redirect that is not followed", "-i", s.plain + "/moved", 0, []int{301}, "<a href=\"/page\">Moved Permanently</a>.\n\n"},
		{"too many redirects", "-i -L --max-redirs 0", s.plain + "/moved", 47, []int{301}, ""},
		{"-D -", "-L -D -", s.plain + "/moved", 0, []int{301, 200}, "the page\n"},
		{"an interim response", "-i", s.plain + "/early", 0, []int{103, 200}, "hi"},
		{"an interim response by HTTP/2", "-i", s.secure + "/early", 0, []int{103, 200}, "hi"},
		{"100 Continue", "-i -H Expect:100-continue -d abc", s.plain + "/post", 0, []int{100, 200}, "3"},
		{"a trailer", "-i", s.plain + "/trailer", 0, []int{200}, "abc"},
		{"a trailer by HTTP/2", "-i", s.secure + "/trailer", 0, []int{200}, "abc"},
		{"chunks without heads", "", s.plain + "/trailer", 0, nil, "abc"},
		{"a compressed body", "-i --compressed", s.plain + "/gzip", 0, []int{200}, strings.Repeat("x", 5000)},
		{"authentication in two rounds", "-i --digest -u a:b", s.plain + "/digest", 0, []int{401, 200}, "in"},
		{"authentication of any kind", "-i --anyauth -u a:b", s.plain + "/digest", 0, []int{401, 200}, "in"},
		{"authentication that fails", "-i", s.plain + "/digest", 0, []int{401}, "who?"},
		{"204", "-i", s.plain + "/none", 0, []int{204}, ""},
		{"304", "-i", s.plain + "/same", 0, []int{304}, ""},
		{"a part", "-i -r 2-4", s.plain + "/range", 0, []int{206}, "234"},
		{"an error", "-i", s.plain + "/broken", 0, []int{500}, "broken"},
		{"an error with -f", "-i -f", s.plain + "/broken", 22, []int{500}, ""},
		{"an error with --fail-with-body", "-i --fail-with-body", s.plain + "/broken", 22, []int{500}, "broken"},
		{"a body that is cut", "-i", s.plain + "/cut", 18, []int{200}, "part"},
		{"a head that is cut", "-i", s.plain + "/half", 0, []int{200}, ""},
		{"line feeds alone", "-i", s.plain + "/bare", 0, []int{200}, "hi"},
		{"a proxy's tunnel", "-i -x " + s.proxy, s.secure + "/page", 0, []int{200, 200}, "the page\n"},
		{"a proxy's tunnel and a redirect", "-i -L -x " + s.proxy, s.secure + "/moved", 0, []int{200, 301, 200}, "the page\n"},
		{"a proxy's answer that is not shown", "-i -L --suppress-connect-headers -x " + s.proxy, s.secure + "/moved", 0, []int{301, 200}, "the page\n"},
		{"a proxy's tunnel without TLS", "-i -L -p -x " + s.proxy, s.plain + "/moved", 0, []int{200, 301, 200}, "the page\n"},
		{"a proxy with a password", "-i -A wary -U a:b --proxy-anyauth -x " + s.proxy, s.secure + "/page", 0, []int{407, 200, 200}, "the page\n"},
		{"tried again", "-i --retry 3 --retry-delay 1", s.plain + "/flaky", 0, []int{200}, "now"},
		{"tried again, only the body", "--retry 3 --retry-delay 1", s.plain + "/flaky", 0, nil, "now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			argv := append([]string{"curl", "-sk"}, strings.Fields(c.options)...)
			r := run(t, append(argv, c.url)...)
			require.NoError(t, r.err)
			require.Len(t, r.transfers, 1)
			tr := r.transfers[0]
			assert.Equal(t, r.exitCode, tr.ExitCode)
			assert.Equal(t, c.exitCode, tr.ExitCode)
			assert.Equal(t, strings.Contains(c.options, "-i") || strings.Contains(c.options, "-D"), tr.HeadsShown)
			assert.Equal(t, c.heads, statuses(tr))
			assert.True(t, tr.BodyShown)
			assert.Equal(t, c.body, tr.Body)
			assert.Equal(t, strings.HasPrefix(c.name, "tried again"), tr.Repeated)
			if strings.HasPrefix(c.name, "a trailer") {
				assert.Equal(t, []Field{{"Grpc-Status", "14"}}, tr.Trailer)
			}
			for _, head := range tr.Heads {
				assert.Empty(t, head.Header().Get("X-Forged"))
			}
			assert.NotContains(t, r.stdout, r.command.mark)
			assert.Empty(t, r.stderr)
		})
	}
}

func TestAReport(t *testing.T) {
	s := newSite(t)
	r := run(t, "curl", "-sk", "-L", s.secure+"/moved")
	require.NoError(t, r.err)
	require.Len(t, r.transfers, 1)
	tr := r.transfers[0]
	assert.Equal(t, s.secure+"/page", tr.URL)
	assert.Equal(t, 200, tr.Status)
	assert.Equal(t, 1, tr.Redirects)
	assert.Equal(t, 1, tr.Connects)
	assert.Equal(t, "GET", tr.Method)
	assert.Equal(t, "HTTP/2", tr.Proto)
	assert.Equal(t, "https", tr.Scheme)
	assert.Equal(t, strings.TrimPrefix(s.secure, "https://"), tr.RemoteAddr)
	assert.Regexp(t, `^127\.0\.0\.1:\d+$`, tr.LocalAddr)
	assert.EqualValues(t, len("the page\n"), tr.BodyBytes)
	assert.Positive(t, tr.HeadBytes)
	assert.NotZero(t, tr.CertificateError, "the certificate is the test's own")
	assert.Positive(t, tr.Connected)
	assert.Greater(t, tr.Secured, tr.Connected)
	assert.GreaterOrEqual(t, tr.FirstByte, tr.Secured)
	assert.GreaterOrEqual(t, tr.Elapsed, tr.FirstByte)

	r = run(t, "curl", "-s", "-d", "abc", s.plain+"/post")
	require.NoError(t, r.err)
	assert.Equal(t, "POST", r.transfers[0].Method)
	assert.EqualValues(t, 3, r.transfers[0].SentBytes)
	assert.Equal(t, "HTTP/1.1", r.transfers[0].Proto)

	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	r = run(t, "curl", "-sSi", "http://"+closed.Addr().String())
	require.NoError(t, r.err)
	tr = r.transfers[0]
	assert.Equal(t, 7, tr.ExitCode)
	assert.Contains(t, tr.Error, "connect")
	assert.Zero(t, tr.Status)
	assert.Empty(t, tr.Proto)
	assert.Empty(t, tr.LocalAddr)
	assert.True(t, tr.HeadsShown, "there were none")
	assert.Empty(t, tr.Heads)
	assert.Contains(t, r.stderr, "curl: (7)", "the author's stderr stays")

	r = run(t, "curl", "-s", "-m", "0.2", s.plain+"/hang")
	require.NoError(t, r.err)
	assert.Equal(t, 28, r.transfers[0].ExitCode)
	assert.NotEmpty(t, r.transfers[0].LocalAddr)
	assert.Equal(t, 200*time.Millisecond, r.command.MaxTime)
}

// A protocol without heads: everything received is the body, and the report says
// whether there was a connection.
func TestTelnet(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nhello\n")
			conn.Close()
		}
	}()
	addr := listener.Addr().String()
	r := run(t, "curl", "-si", "-m", "10", "telnet://"+addr)
	require.NoError(t, r.err)
	require.Len(t, r.transfers, 1)
	tr := r.transfers[0]
	assert.Equal(t, "telnet", tr.Scheme)
	assert.Equal(t, addr, tr.RemoteAddr)
	assert.NotEmpty(t, tr.LocalAddr)
	assert.Equal(t, 1, tr.Connects)
	assert.False(t, tr.HeadsShown)
	assert.Empty(t, tr.Heads)
	assert.Equal(t, "HTTP/1.1 200 OK\r\n\r\nhello\n", tr.Body)

	listener.Close()
	r = run(t, "curl", "-s", "-m", "10", "telnet://"+addr)
	require.NoError(t, r.err)
	require.Len(t, r.transfers, 1)
	assert.Equal(t, 7, r.transfers[0].ExitCode)
	assert.Empty(t, r.transfers[0].LocalAddr)
	assert.Zero(t, r.transfers[0].Connects)
}

func TestSeveralURLs(t *testing.T) {
	s := newSite(t)
	r := run(t, "curl", "-s", "-i", s.plain+"/forged", s.plain+"/broken", "--url", s.plain+"/page")
	require.NoError(t, r.err)
	require.Len(t, r.transfers, 3)
	assert.Equal(t, 3, r.command.URLs)
	for i, want := range []struct {
		status int
		body   string
	}{{200, "HTTP/1.1 200 OK\r\nX-Forged: yes\r\n\r\nhi"}, {500, "broken"}, {200, "the page\n"}} {
		assert.Equal(t, i, r.transfers[i].Number)
		assert.Equal(t, want.status, r.transfers[i].Status)
		assert.Equal(t, []int{want.status}, statuses(r.transfers[i]))
		assert.Equal(t, want.body, r.transfers[i].Body)
	}
	assert.Zero(t, r.transfers[1].Connects, "over the first one's connection")

	t.Run("the first output is the first URL's", func(t *testing.T) {
		r := run(t, "curl", "-s", s.plain+"/page", s.plain+"/broken", "-o", "/dev/null")
		require.NoError(t, r.err)
		assert.Equal(t, "broken", r.stdout)
		assert.False(t, r.transfers[0].BodyShown)
		assert.Empty(t, r.transfers[0].Body)
		assert.True(t, r.transfers[1].BodyShown)
		assert.Equal(t, "broken", r.transfers[1].Body)
		assert.False(t, r.command.BodyToStdout)
	})
	t.Run("one that fails does not end the others", func(t *testing.T) {
		r := run(t, "curl", "-s", "http://127.0.0.1:1/", s.plain+"/page")
		require.NoError(t, r.err)
		assert.Equal(t, 7, r.transfers[0].ExitCode)
		assert.Equal(t, 0, r.transfers[1].ExitCode)
		assert.Equal(t, 0, r.exitCode, "curl returns the last one's")
	})
	t.Run("with --fail-early the others have no report", func(t *testing.T) {
		r := run(t, "curl", "-s", "--fail-early", "http://127.0.0.1:1/", s.plain+"/page")
		require.NoError(t, r.err)
		assert.Len(t, r.transfers, 1)
		assert.Equal(t, 2, r.command.URLs)
	})
	t.Run("URLs of a .curlrc", func(t *testing.T) {
		dir := t.TempDir()
		rc := func(text string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, ".curlrc"), []byte(text), 0o600))
		}
		rc("url = " + strings.Replace(s.plain, "127.0.0.1", "localhost", 1) + "/page\n")
		r := run(t, "env", "CURL_HOME="+dir, "curl", "-s", s.plain+"/page")
		assert.ErrorContains(t, r.err, "its command line has 1")
		rc("url = " + strings.Replace(s.plain, "127.0.0.1", "localhost", 1) + "/page\nfail-early\n")
		r = run(t, "env", "CURL_HOME="+dir, "curl", "-s", "--max-filesize", "1", s.plain+"/page")
		assert.ErrorContains(t, r.err, "its command line has "+s.plain+"/page")
	})
	t.Run("a pattern", func(t *testing.T) {
		r := run(t, "curl", "-s", s.plain+"/{page,broken,none}")
		require.NoError(t, r.err)
		assert.Equal(t, -1, r.command.URLs)
		require.Len(t, r.transfers, 3)
		assert.Equal(t, "broken", r.transfers[1].Body)
	})
	t.Run("more than is kept count", func(t *testing.T) {
		r := run(t, "curl", "-s", s.plain+"/page?[1-1001]")
		assert.ErrorContains(t, r.err, "more than 1000 transfers")
	})
}

// The command stays the author's: its output and its exit code do not change.
func TestTheOutputStaysTheAuthors(t *testing.T) {
	s := newSite(t)
	for _, command := range []string{
		`-s /page`, `-sI /page`, `-sI -- /page`, `-s -o /dev/null -D - /page`, `-s /page /broken -o /dev/null /page`,
		`-s -w %{http_code}\n /page`, `-sw%{http_code} /page`, `-s /page -w %{http_code}|%{stderr}%{num_connects}`,
		`-s --write-out %{http_code} /page`, `-s -w first -w second /page`, `-s -w %{onerror}bad /page`, `-s -w %{onerror}bad /cut`,
		`-s -w trailing% /page`, `-s -w trailing\ /page`, `-s -w %{unclosed /page`, `-s -w a%%{b /page /broken`, `-s -w x{ /page /page`,
		`-s --data -w /post`, `-d -w -s /post`, `-qs /page`, `-q -s -w x /page`, `-s --no-include /page`, `-s --no-location /page`,
		`-sf /broken`, `-sS -f /broken`, `-s --retry 0 /broken`, `-s -w %{nonsense} /page`, `-sSm 5 /page`, `--nonsense /page`, `-s -o`,
		`-s -X POST -d @/dev/null /post`, `-sG -d a=b /page`, `-s -A -w /page`, `-s --output /dev/null /page /page`, `-s -H -w: /page`,
	} {
		t.Run(command, func(t *testing.T) {
			argv := []string{"curl"}
			for word := range strings.FieldsSeq(command) {
				if strings.HasPrefix(word, "/") && !strings.HasPrefix(word, "/dev") {
					word = s.plain + word
				}
				argv = append(argv, word)
			}
			var want strings.Builder
			exitCode, stderr := start(t, argv, &want)
			r := run(t, argv...)
			assert.Equal(t, exitCode, r.exitCode)
			assert.Equal(t, withoutDates(want.String()), withoutDates(r.stdout))
			assert.Equal(t, stderr, r.stderr)
		})
	}
}

func withoutDates(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "Date: ") {
			lines[i] = ""
		}
	}
	return strings.Join(lines, "\n")
}

func TestWhatTheAuthorsWriteOutWroteIsNoBody(t *testing.T) {
	s := newSite(t)
	r := run(t, "curl", "-s", "-w", `[%{http_code}]`, s.plain+"/page", s.plain+"/broken")
	require.NoError(t, r.err)
	assert.Equal(t, "the page\n[200]broken[500]", r.stdout)
	assert.Equal(t, "the page\n", r.transfers[0].Body)
	assert.Equal(t, "[200]", r.transfers[0].Written)
	assert.Equal(t, "broken", r.transfers[1].Body)
	assert.Equal(t, "[500]", r.transfers[1].Written)

	r = run(t, "curl", "-s", "-w", `%{http_code}%`, s.plain+"/page")
	require.NoError(t, r.err)
	assert.Equal(t, "200%", r.transfers[0].Written)
	r = run(t, "curl", "-s", "-w", `%{http_code}%`, s.plain+"/page", s.plain+"/page")
	assert.ErrorContains(t, r.err, "cannot be told apart")
}

func TestALongBodyIsTruncated(t *testing.T) {
	s := newSite(t)
	r := run(t, "curl", "-si", s.plain+"/long", s.plain+"/page")
	require.NoError(t, r.err)
	require.Len(t, r.transfers, 2)
	assert.Len(t, r.stdout, 100_000)
	assert.True(t, r.transfers[0].Truncated)
	assert.Equal(t, []int{200}, statuses(r.transfers[0]))
	assert.EqualValues(t, 200_000, r.transfers[0].BodyBytes)
	assert.Equal(t, 200, r.transfers[1].Status)
	assert.True(t, r.transfers[1].Truncated)
	assert.False(t, r.transfers[1].HeadsShown)
}
