package curl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/shell"
)

// words splits a command line as a shell splits it.
func words(t *testing.T, text string) []string {
	t.Helper()
	argv, err := shell.Fields(text, nil)
	require.NoError(t, err)
	return argv
}

func TestWhatACommandLineSays(t *testing.T) {
	type says struct {
		urls                 int
		heads, body          bool
		follow, retry, mixed bool
		rerouted             bool
		maxTime              time.Duration
		proxy                string
	}
	for command, want := range map[string]says{
		"curl -s http://a":                                   {urls: 1, body: true},
		"/usr/bin/curl -s http://a":                          {urls: 1, body: true},
		"curl -sI http://a":                                  {urls: 1, heads: true},
		"curl -sSi http://a":                                 {urls: 1, heads: true, body: true},
		"curl -sI -- -a":                                     {urls: 1, heads: true},
		"curl http://a -i":                                   {urls: 1, heads: true, body: true},
		"curl --head http://a":                               {urls: 1, heads: true},
		"curl --HEAD http://a":                               {urls: 1, heads: true},
		"curl --inc http://a":                                {urls: 1, heads: true, body: true},
		"curl --show-headers http://a":                       {urls: 1, heads: true, body: true},
		"curl -i --no-include http://a":                      {urls: 1, body: true},
		"curl -I --no-head http://a":                         {urls: 1, body: true},
		"curl -o -i http://a":                                {urls: 1},
		"curl -Hi:x http://a":                                {urls: 1, body: true},
		"curl -d i http://a":                                 {urls: 1, body: true},
		"curl --data --head http://a":                        {urls: 1, body: true},
		"curl --data=x http://a":                             {urls: 1, body: true},
		"curl --output=x http://a":                           {urls: 1},
		"curl --expand-output x http://a":                    {urls: 1},
		"curl -sL -o /dev/null -D - http://a":                {urls: 1, heads: true, follow: true},
		"curl -s -D- http://a":                               {urls: 1, heads: true, body: true},
		"curl -s -D /dev/stdout http://a":                    {urls: 1, heads: true, body: true},
		"curl -D /tmp/heads http://a":                        {urls: 1, body: true},
		"curl -I -o /dev/null http://a":                      {urls: 1},
		"curl -i -o - http://a":                              {urls: 1, heads: true, body: true},
		"curl -i -O http://a/b":                              {urls: 1},
		"curl -i --remote-name-all http://a/b http://c/d":    {urls: 2},
		"curl --remote-name-all http://a/b -o - http://c/d":  {urls: 2},
		"curl --remote-name-all --no-remote-name http://a":   {urls: 1, body: true},
		"curl --out-null http://a":                           {urls: 1},
		"curl -o x --output-dir /tmp http://a http://b":      {urls: 2},
		"curl -o x -o y http://a http://b":                   {urls: 2},
		"curl http://a -o - http://b":                        {urls: 2, body: true},
		"curl --url http://a http://b":                       {urls: 2, body: true},
		"curl -G -d a=b http://a":                            {urls: 1, body: true},
		"curl 'http://a/[1-3]'":                              {urls: -1, body: true},
		"curl 'http://{a,b}/'":                               {urls: -1, body: true},
		"curl -g 'http://a/[1-3]'":                           {urls: 1, body: true},
		"curl 'http://[::1]:80/' 'http://[fd00::2]/'":        {urls: 2, body: true},
		"curl 'http://[::1]:80/[1-3]'":                       {urls: -1, body: true},
		"curl -T '{a,b}' http://a/":                          {urls: -1, body: true},
		"curl --url @file":                                   {urls: -1, body: true},
		"curl -L http://a":                                   {urls: 1, body: true, follow: true},
		"curl --location-trusted http://a":                   {urls: 1, body: true, follow: true},
		"curl -L --no-location http://a":                     {urls: 1, body: true},
		"curl --retry 3 http://a":                            {urls: 1, body: true, retry: true},
		"curl --retry 0 http://a":                            {urls: 1, body: true},
		"curl -m 1.5 http://a":                               {urls: 1, body: true, maxTime: 1500 * time.Millisecond},
		"curl -sSm2 http://a":                                {urls: 1, body: true, maxTime: 2 * time.Second},
		"curl -x proxy:3128 http://a":                        {urls: 1, body: true, rerouted: true, proxy: "proxy:3128"},
		"curl --socks5-hostname p:1 http://a":                {urls: 1, body: true, rerouted: true, proxy: "p:1"},
		"curl --resolve a:80:10.0.0.1 http://a":              {urls: 1, body: true, rerouted: true},
		"curl --connect-to=a:80:b:80 http://a":               {urls: 1, body: true, rerouted: true},
		"sh -c 'curl --connect-to a:80:b:80 http://a'":       {urls: 1, body: true, rerouted: true},
		"curl -i -D - http://a":                              {urls: 1, mixed: true},
		"curl -i -D - -o x http://a":                         {urls: 1, heads: true},
		"curl --trace - http://a":                            {urls: 1, mixed: true},
		"curl --stderr - http://a":                           {urls: 1, mixed: true},
		"curl -c - http://a":                                 {urls: 1, mixed: true},
		"curl --retry 3 --compressed http://a":               {urls: 1, retry: true, mixed: true},
		"curl --retry 3 --suppress-connect-headers http://a": {urls: 1, retry: true, mixed: true},
		"curl --compressed http://a":                         {urls: 1, body: true},
		"curl -v http://a":                                   {urls: 1, body: true},
		"curl":                                               {body: true},
		"env HTTPS_PROXY=a:1 curl http://a":                  {urls: 1, body: true, rerouted: true, proxy: "a:1"},
		"env -i -u HOME PATH=/usr/bin curl http://a":         {urls: 1, body: true},
		"env - curl http://a":                                {urls: 1, body: true},
		"timeout 5 curl -i http://a":                         {urls: 1, heads: true, body: true},
		"timeout -s KILL --kill-after=1 5 curl http://a":     {urls: 1, body: true},
		"timeout --signal KILL --foreground 5 curl -I a":     {urls: 1, heads: true},
		"nice -n 5 nohup stdbuf -oL curl -i http://a":        {urls: 1, heads: true, body: true},
		"nice -5 /usr/bin/curl http://a":                     {urls: 1, body: true},
		"time -p curl http://a":                              {urls: 1, body: true},
		"sh -c 'curl -si http://a'":                          {urls: 1, heads: true, body: true},
		"sh -ec 'curl -si http://a'":                         {urls: 1, heads: true, body: true},
		"bash -eo pipefail -c 'curl -si http://a'":           {urls: 1, heads: true, body: true},
		"bash --norc -c 'exec curl http://a/?b=c' name":      {urls: 1, body: true},
		"sh -c 'https_proxy=p:1 curl http://a'":              {urls: 1, body: true, rerouted: true, proxy: "p:1"},
		"sh -c 'curl http://a 2>/dev/null </dev/null'":       {urls: 1, body: true},
		"timeout 5 sh -c 'timeout 3 curl -I \"http://a\"'":   {urls: 1, heads: true},
		`sh -c "sh -c 'curl -I http://a'"`:                   {urls: 1, heads: true},
	} {
		t.Run(command, func(t *testing.T) {
			argv := words(t, command)
			c, ok := Parse(argv)
			require.True(t, ok)
			assert.Empty(t, c.Unreported)
			assert.NotEqual(t, argv, c.Argv)
			assert.Equal(t, want, says{c.URLs, c.HeadsToStdout, c.BodyToStdout, c.FollowsRedirects, c.Retries, c.Mixed != "", c.Rerouted, c.MaxTime, c.Proxy})
		})
	}
}

func TestWhyCurlDoesNotReport(t *testing.T) {
	for command, why := range map[string]string{
		"curl -K /tmp/config":                        "--config",
		"curl -sKfile http://a":                      "--config",
		"curl http://a --next http://b":              "--next",
		"curl http://a -: http://b":                  "--next",
		"curl -Z http://a http://b":                  "--parallel",
		"curl -w @/tmp/format http://a":              "--write-out is in a file",
		"curl --brand-new x http://a":                "the option --brand-new of curl is not known here",
		"curl --pro x http://a":                      "the option --pro of curl is ambiguous",
		"curl -= http://a":                           "the option -= of curl is not known here",
		"curl --no-output http://a":                  "curl has no option --no-output",
		"curl - http://a":                            "curl has no option -",
		"curl http://a -o":                           "the option --output of curl has no value",
		"env -S 'curl -s' curl":                      "the options of env in front of it are not known here",
		"timeout -t 5 curl http://a":                 "the options of timeout in front of it are not known here",
		"sh -c 'curl http://a | head -1'":            "its output goes through a pipe",
		"sh -c 'curl http://a; echo'":                "its shell runs other commands, too",
		"sh -c 'curl http://a && curl http://b'":     "its shell runs other commands, too",
		"sh -c 'for i in 1 2; do curl a; done'":      "its shell runs other commands, too",
		"sh -c 'echo $(curl http://a); timeout 1 b'": "its shell runs other commands, too",
		"sh -c 'curl http://$HOST'":                  "its shell puts in a variable or the output of a command",
		"sh -c 'curl \"$0\"' http://a":               "its shell puts in a variable or the output of a command",
		"sh -c 'curl -d @~/x http://{a,b}'":          "its shell may make other words of http://{a,b}",
		"sh -c 'curl -T *.txt http://a'":             "its shell may make other words of *.txt",
		"sh -c 'curl http://a > /dev/null'":          "its shell redirects its output",
		"sh -c 'curl http://a 2>&1'":                 "its shell redirects its output",
		"sh -c '! curl http://a'":                    "its shell hides its exit code",
		"sh -c '! time curl http://a'":               "its shell runs other commands, too",
		"sh -c 'time { curl http://a; echo; }'":      "its shell runs other commands, too",
		"bash -c 'time curl http://a | cat'":         "its output goes through a pipe",
		"sh -c 'curl http://a &'":                    "its shell hides its exit code",
		"sh -xc 'curl http://a'":                     "its shell prints each command that it runs",
		"sh -c 'timeout 5 sh -c \"curl a | cat\"'":   "its output goes through a pipe",
	} {
		t.Run(command, func(t *testing.T) {
			argv := words(t, command)
			c, ok := Parse(argv)
			require.True(t, ok)
			assert.Contains(t, c.Unreported, why)
			assert.Equal(t, argv, c.Argv)
			assert.Equal(t, -1, c.URLs)

			out := c.Output(10)
			out.Write([]byte("what it prints"))
			transfers, err := out.Transfers()
			require.NoError(t, err)
			assert.Empty(t, transfers)
			assert.Equal(t, "what it pr", out.Stdout())
			assert.True(t, out.Truncated())
		})
	}
}

func TestWhatIsNoCurl(t *testing.T) {
	for _, command := range []string{
		"wget http://a", "echo curl", "env A=b", "env", "python -c 'curl()'", "sh script.sh curl", "sh", "sh -c", "timeout 5",
		"sh -c 'echo curl'", "sh -c 'wget http://a'", "sh -c 'apk add curl && ls'", "sh -c 'curl'\"'\"", "xargs curl", "curl-config",
	} {
		_, ok := Parse(words(t, command))
		assert.False(t, ok, command)
	}
	_, ok := Parse(nil)
	assert.False(t, ok)
}

func TestTheWordsThatDecideWhetherItIsCurl(t *testing.T) {
	for command, want := range map[string]string{
		"curl -s http://a":                      "curl",
		"wget -q http://a":                      "wget",
		"env A=b timeout -k 1 5 /bin/wget -q x": "env A=b timeout -k 1 5 /bin/wget",
		"nice sh -ec 'wget http://a' b":         "nice sh -ec 'wget http://a' b",
		"timeout --what 5 wget http://a":        "timeout --what 5 wget http://a",
		"env A=b":                               "env A=b",
	} {
		assert.Equal(t, words(t, want), Program(words(t, command)), command)
	}
	assert.Empty(t, Program(nil))
}

// Words in front of curl, and a script around it, pass its output and its exit
// code on.
func TestCurlBehindOtherWordsReports(t *testing.T) {
	s := newSite(t)
	for _, command := range []string{
		"env -i PATH=" + os.Getenv("PATH") + " A=b curl -si URL",
		"timeout -s KILL 50 curl -si URL",
		"nice -n 1 nohup stdbuf -oL curl -si URL",
		"stdbuf -o0 curl -si URL",
		"sh -c 'curl -si URL'",
		"sh -ec 'A=b exec curl -si \"URL\" 2>/dev/null'",
		`bash -c 'curl -si -A "it'"'"'s" -w "a'"'"'%{http_code}\n" URL'`,
		`sh -c "timeout 5 sh -c 'curl -si -w x URL'"`,
		"bash -c 'time curl -si URL'",
	} {
		t.Run(command, func(t *testing.T) {
			r := run(t, words(t, strings.ReplaceAll(command, "URL", s.plain+"/page"))...)
			require.NoError(t, r.err)
			require.Len(t, r.transfers, 1)
			assert.Equal(t, []int{200}, statuses(r.transfers[0]))
			assert.Equal(t, "the page\n", r.transfers[0].Body)
			assert.Zero(t, r.exitCode)
		})
	}
	t.Run("what is ended before reports nothing", func(t *testing.T) {
		r := run(t, words(t, "timeout 0.2 curl -si "+s.plain+"/hang")...)
		require.NoError(t, r.err)
		assert.Empty(t, r.transfers)
		assert.Equal(t, 124, r.exitCode)
	})
}

// Options in a .curlrc are not seen. What they add to the output is noticed.
func TestACurlrcIsNoticed(t *testing.T) {
	s := newSite(t)
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, ".curlrc"), []byte("include\n"), 0o600))
	t.Setenv("HOME", home)
	t.Setenv("CURL_HOME", "")
	r := run(t, "curl", "-s", s.plain+"/page")
	assert.ErrorContains(t, r.err, "more than it counts")
	r = run(t, "curl", "-qs", s.plain+"/page")
	assert.NoError(t, r.err, "-q stays the first word")
	assert.Equal(t, "the page\n", r.stdout)
}

func TestAReportThatCannotBeReadIsAnError(t *testing.T) {
	const fine = "0,0,200,000,0,1,0,10,2,0,0.1,0,0,0,10.244.1.2,40000,10.0.0.1,80,1.1,HTTP,GET,http://a/,b"
	for name, test := range map[string]struct {
		stdout func(mark string) string
		err    string
	}{
		"fine":                   {func(m string) string { return "hi" + m + fine + m + m }, ""},
		"none":                   {func(m string) string { return "hi" }, ""},
		"half a mark":            {func(m string) string { return "hi" + m[:5] }, ""},
		"cut short":              {func(m string) string { return "hi" + m + fine }, "cut short"},
		"cut shorter":            {func(m string) string { return "hi" + m }, "cut short"},
		"too few fields":         {func(m string) string { return "hi" + m + "0,0,200" + m + m }, "3 of"},
		"no number":              {func(m string) string { return "hi" + m + strings.Replace(fine, "200", "x", 1) + m + m }, "response_code"},
		"too old":                {func(m string) string { return "hi" + m + strings.Replace(fine, "0,0", ",", 1) + m + m }, "older than 7.75"},
		"another URL":            {func(m string) string { return "hi" + m + strings.Replace(fine, "0,0", "0,1", 1) + m + m }, "URL 2, of 1"},
		"a body that is missing": {func(m string) string { return "h" + m + fine + m + m }, "counts 2 bytes of the body, and printed 1"},
		"more than a body":       {func(m string) string { return "high" + m + fine + m + m }, "2 bytes more than it counts"},
		"endless":                {func(m string) string { return "hi" + m + strings.Repeat("x", 2<<20) }, "does not end"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := Parse([]string{"curl", "-s", "http://a"})
			out := c.Output(1 << 10)
			for _, b := range []byte(test.stdout(c.mark))[:min(100, len(test.stdout(c.mark)))] { // byte by byte
				out.Write([]byte{b})
			}
			out.Write([]byte(test.stdout(c.mark))[min(100, len(test.stdout(c.mark))):])
			transfers, err := out.Transfers()
			if test.err != "" {
				assert.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			if name == "fine" {
				require.Len(t, transfers, 1)
				assert.Equal(t, "http://a/,b", transfers[0].URL)
				assert.Equal(t, "10.244.1.2:40000", transfers[0].LocalAddr)
				assert.Equal(t, "hi", out.Stdout())
			}
		})
	}
}

func TestHeadsThatDoNotAgreeWithTheReportAreAnError(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n\r\n"
	for name, test := range map[string]struct {
		printed string
		t       Transfer
		err     string
	}{
		"fine":                {head, Transfer{Status: 200, HeadBytes: 19}, ""},
		"two statuses":        {head, Transfer{Status: 503, HeadBytes: 19}, "the last head that was printed says 200, curl itself 503"},
		"a redirect too many": {head + head, Transfer{Status: 200, HeadBytes: 38}, "2 heads, and says that it followed 0 redirects"},
		"one too few":         {head, Transfer{Status: 200, HeadBytes: 19, Redirects: 1}, "1 heads, and says that it followed 1 redirects"},
		"too short":           {head, Transfer{Status: 200, HeadBytes: 38}, "counts 38 bytes of heads, and printed 19"},
		"within a head":       {head, Transfer{Status: 200, HeadBytes: 10}, "is no status line"},
		"no status line":      {"HTTP/ok\r\n\r\n", Transfer{Status: 200, HeadBytes: 11}, "is no status line"},
		"no field":            {"HTTP/1.1 200 OK\r\nserver\r\n\r\n", Transfer{Status: 200, HeadBytes: 27}, "is no header field"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := Parse([]string{"curl", "-sI", "http://a"})
			test.t.Scheme = "http"
			err := c.split(&test.t, test.printed)
			if test.err != "" {
				assert.ErrorContains(t, err, test.err)
			} else {
				assert.NoError(t, err)
			}
		})
	}
}

func FuzzOutput(f *testing.F) {
	f.Add("HTTP/1.1 301 Moved\r\nlocation: x\r\n\r\nHTTP/2 200 \r\n\r\nbody", 20, uint8(3))
	f.Fuzz(func(t *testing.T, printed string, headBytes int, chunk uint8) {
		c, _ := Parse([]string{"curl", "-si", "http://a"})
		if strings.Contains(printed, c.mark) {
			return
		}
		out := c.Output(len(printed))
		for rest := printed; rest != ""; {
			n := min(len(rest), int(chunk)+1)
			out.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		assert.Equal(t, printed, out.Stdout())
		c.split(&Transfer{Scheme: "http", HeadBytes: int64(headBytes & 0xffff)}, printed)
	})
}
