package steps

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/runner"
)

func words(t *testing.T, text string) []string {
	t.Helper()
	var w Words
	require.NoError(t, w.UnmarshalText([]byte(text)))
	return w
}

func TestWhatIsACurlCommand(t *testing.T) {
	for _, c := range []struct {
		command string
		curl    bool
		heads   bool
		reports bool
	}{
		{"curl -s http://a", true, false, true},
		{"/usr/bin/curl -s http://a", true, false, true},
		{"env HTTPS_PROXY=a:1 curl http://a", true, false, true},
		{"curl -sI http://a", true, true, true},
		{"curl -sSI http://a", true, true, true},
		{"curl -si http://a", true, true, true},
		{"curl --head http://a", true, true, true},
		{"curl --include http://a", true, true, true},
		{"curl -sL -o /dev/null -D - http://a", true, true, true},
		{"curl -s -D- http://a", true, true, true},
		{"curl --dump-header - http://a", true, true, true},
		{"curl -D /tmp/heads http://a", true, false, true},
		{"curl -o -i http://a", true, false, true},
		{"curl -Hi:x http://a", true, false, true},
		{"curl -d i http://a", true, false, true},
		{"curl -K /tmp/config", true, false, false},
		{"curl http://a --next http://b", true, false, false},
		{"curl -w @/tmp/format http://a", true, false, false},
		{"sh -c 'curl http://a'", false, false, false},
		{"echo curl", false, false, false},
		{"env A=b", false, false, false},
		{"env", false, false, false},
	} {
		t.Run(c.command, func(t *testing.T) {
			argv := words(t, c.command)
			got, ok := parseCurl(argv)
			require.Equal(t, c.curl, ok)
			if !ok {
				return
			}
			assert.Equal(t, c.heads, got.heads, "prints the heads")
			assert.Equal(t, c.reports, got.mark != "", "reports on itself")
			if !c.reports {
				assert.Equal(t, argv, got.argv)
			}
		})
	}
}

// observe runs a curl command as an exec step runs it, on this machine.
func observe(t *testing.T, command string) (*runner.Observation, error) {
	t.Helper()
	c, ok := parseCurl(words(t, command))
	require.True(t, ok)
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), c.argv[0], c.argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		_, exited := errors.AsType[*exec.ExitError](err)
		require.True(t, exited, "%v", err)
	}
	o := &runner.Observation{Stdout: stdout.String(), Stderr: stderr.String()}
	return o, c.witness(o)
}

func site(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Method", r.Method)
		w.Write([]byte("HTTP/1.1 500 Not A Head\r\n\r\nthe page\n"))
	})
	mux.Handle("/moved", http.RedirectHandler("/page", http.StatusMovedPermanently))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestCurlIsAWitnessOfItself(t *testing.T) {
	url := site(t)

	t.Run("a page without heads", func(t *testing.T) {
		o, err := observe(t, "curl -s "+url+"/page")
		require.NoError(t, err)
		assert.Equal(t, []runner.Response{{Proto: "HTTP/1.1", Status: 200}}, o.Responses)
		assert.Contains(t, o.Body, "the page")
		assert.Contains(t, o.Body, "500 Not A Head", "a body is no head")
		assert.Empty(t, o.Stderr, "the report is cut out")
		assert.Equal(t, 0, *o.CurlExitCode)
		assert.Regexp(t, `^127\.0\.0\.1:\d+$`, o.LocalAddr)
		assert.Positive(t, o.Elapsed)
	})
	t.Run("a head", func(t *testing.T) {
		o, err := observe(t, "curl -sI "+url+"/page")
		require.NoError(t, err)
		require.Len(t, o.Responses, 1)
		assert.Equal(t, 200, o.Responses[0].Status)
		assert.Equal(t, "HEAD", o.Responses[0].Header.Get("x-method"))
		assert.Empty(t, o.Body)
	})
	t.Run("a redirect", func(t *testing.T) {
		o, err := observe(t, "curl -sL -o /dev/null -D - "+url+"/moved")
		require.NoError(t, err)
		require.Len(t, o.Responses, 2)
		assert.Equal(t, 301, o.Responses[0].Status)
		assert.Equal(t, "/page", o.Responses[0].Header.Get("Location"))
		assert.Equal(t, 200, o.Responses[1].Status)
		assert.Equal(t, 1, o.Redirects)
	})
	t.Run("the heads of a redirect are not shown", func(t *testing.T) {
		o, err := observe(t, "curl -sL "+url+"/moved")
		require.NoError(t, err)
		assert.Equal(t, 1, o.Redirects)
		assert.False(t, o.HeadsShown)
		assert.Equal(t, 200, o.Responses[0].Status)
	})
	t.Run("the author's own --write-out stays", func(t *testing.T) {
		for _, command := range []string{
			`curl -s -o /dev/null -w '%{http_code}\n' ` + url + "/page",
			`curl -so /dev/null -w'%{http_code}\n' ` + url + "/page",
			`curl -sw '%{http_code}\n' -o /dev/null ` + url + "/page",
			`curl -s -o /dev/null --write-out '%{http_code}\n' ` + url + "/page",
			`curl -s -o /dev/null ` + url + `/page -w '%{http_code}\n'`,
		} {
			o, err := observe(t, command)
			require.NoError(t, err, command)
			assert.Equal(t, "200\n", o.Stdout, command)
			require.NotNil(t, o.CurlExitCode, command)
			assert.Empty(t, o.Stderr, command)
		}
	})
	t.Run("no connection", func(t *testing.T) {
		o, err := observe(t, "curl -sS http://127.0.0.1:1/")
		require.NoError(t, err)
		assert.Equal(t, 7, *o.CurlExitCode)
		assert.Empty(t, o.Responses)
		assert.Contains(t, o.Stderr, "curl: (7)")
		assert.NotContains(t, o.Stderr, "egressplay-")
	})
	t.Run("two pages", func(t *testing.T) {
		o, err := observe(t, "curl -s "+url+"/page "+url+"/nowhere")
		require.NoError(t, err)
		assert.Empty(t, o.Stderr)
		assert.Equal(t, 404, o.Responses[0].Status, "the last one")
	})
}

func TestTwoStatusesThatDifferAreAnError(t *testing.T) {
	c, _ := parseCurl([]string{"curl", "-sI", "http://a"})
	o := &runner.Observation{
		Stdout: "HTTP/1.1 200 OK\r\n\r\n",
		Stderr: c.mark + "0,503,0,1.1,10.244.1.2,40000,0.1" + c.mark,
	}
	assert.ErrorContains(t, c.witness(o), "two statuses")
}

func TestAReportThatIsCutShortIsNone(t *testing.T) {
	c, _ := parseCurl([]string{"curl", "-s", "http://a"})
	for _, stderr := range []string{
		"", c.mark, c.mark + "0,200,0,1.1,,0,0.1", c.mark + "0,200,0,1.1,,0" + c.mark,
		c.mark + "curl: unknown --write-out variable: 'exitcode'\n,200,0,1.1,,0,0.1" + c.mark,
	} {
		o := &runner.Observation{Stderr: stderr}
		require.NoError(t, c.witness(o))
		assert.Nil(t, o.CurlExitCode)
	}
}

func TestParseHeads(t *testing.T) {
	for _, c := range []struct {
		name, out string
		statuses  []int
		body      string
	}{
		{"none", "hello", nil, "hello"},
		{"empty", "", nil, ""},
		{"HTTP/2 has no reason, and a blank", "HTTP/2 200 \r\nserver: x\r\n\r\nbody", []int{200}, "body"},
		{"no fields", "HTTP/1.1 204 No Content\r\n\r\n", []int{204}, ""},
		{"two", "HTTP/1.1 301 Moved Permanently\r\nlocation: x\r\n\r\nHTTP/2 200 \r\n\r\nbody", []int{301, 200}, "body"},
		{"a proxy's answer first", "HTTP/1.1 200 Connection established\r\n\r\nHTTP/2 200 \r\n\r\n", []int{200, 200}, ""},
		{"not ended", "HTTP/1.1 200 OK\r\nserver: x\r\n", nil, "HTTP/1.1 200 OK\r\nserver: x\r\n"},
		{"no status line", "HTTP/ok\r\n\r\n", nil, "HTTP/ok\r\n\r\n"},
		{"four digits", "HTTP/1.1 2000\r\n\r\n", nil, "HTTP/1.1 2000\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			responses, body := parseHeads(c.out)
			var statuses []int
			for _, r := range responses {
				statuses = append(statuses, r.Status)
			}
			assert.Equal(t, c.statuses, statuses)
			assert.Equal(t, c.body, body)
		})
	}
}

func FuzzParseHeads(f *testing.F) {
	f.Add("HTTP/1.1 301 Moved\r\nlocation: x\r\n\r\nHTTP/2 200 \r\n\r\nbody")
	f.Fuzz(func(t *testing.T, out string) {
		_, body := parseHeads(out)
		assert.True(t, strings.HasSuffix(out, body))
	})
}
