package transcript

import (
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
)

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                        "0ms",
		999 * time.Microsecond:   "0ms",
		999 * time.Millisecond:   "999ms",
		time.Second:              "1.0s",
		59940 * time.Millisecond: "59.9s",
		59960 * time.Millisecond: "1m00s",
		125 * time.Second:        "2m05s",
		3725 * time.Second:       "62m05s",
	} {
		assert.Equal(t, want, took(d), d.String())
	}
}

func TestBriefly(t *testing.T) {
	for _, tt := range []struct{ name, output, want string }{
		{"nothing", "", ""},
		{"few lines", "a\nb\nc\nd", "a\nb\nc\nd"},
		{"many lines", "a\nb\nc\nd\ne", "a\nb\nc\n… 2 more lines"},
		{"heads", "HTTP/1.1 301 Moved\nlocation: x\ndate: y\n\nHTTP/2 200\n", "HTTP/1.1 301 Moved\nlocation: x\n…\nHTTP/2 200"},
		{"a body that looks like a header", "HTTP/2 200\na: b\n\nlocation: c", "HTTP/2 200\n…"},
		{"one head", "HTTP/1.1 502 Bad Gateway\n", "HTTP/1.1 502 Bad Gateway"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, strings.Join(briefly(linesOf(tt.output), 3), "\n"))
		})
	}
}

func TestBounded(t *testing.T) {
	lines := strings.Split(strings.Repeat("x\n", 99)+"last", "\n")
	got := bounded(lines, 8)
	assert.Len(t, got, 9)
	assert.Equal(t, "… 92 lines …", got[2])
	assert.Equal(t, "last", got[8])
	assert.Len(t, lines, 100)
	assert.Equal(t, lines[:9], bounded(lines[:9], 8))
}

func TestShellWords(t *testing.T) {
	for s, want := range map[string][]string{
		`a  b`:                  {"a", "b"},
		`a 'b c' "d 'e f"`:      {"a", "'b c'", `"d 'e f"`},
		`a\ b c`:                {`a\ b`, "c"},
		`x='a \' b`:             {`x='a \'`, "b"},
		`$(kubectl get pod)`:    {"$(kubectl", "get", "pod)"},
		"a 'b\n c'\nd":          {"a", "'b\n c'", "\n", "d"},
		`a "$(b "c d" 'e)')" f`: {"a", `"$(b "c d" 'e)')"`, "f"},
		`a "it's" b`:            {"a", `"it's"`, "b"},
		``:                      nil,
	} {
		assert.Equal(t, want, shellWords(s), s)
	}
}

func TestWrapCommand(t *testing.T) {
	for _, tt := range []struct {
		command string
		want    []string
	}{
		{"short", []string{"short"}},
		{"export A=1\nexport B='a long value with spaces'", []string{"export A=1", `export \`, "    B='a long value with spaces'"}},
		{"sh -c 'a long script in one line' second", []string{`sh -c \`, "    'a long script in one line' \\", "    second"}},
		{"sh -c 'first line\n  second line' third and more", []string{`sh -c 'first line`, "  second line' \\", "    third and more"}},
		{"sh -c 'unclosed quote of some length", []string{`sh -c \`, "    'unclosed quote of some length"}},
		{"kubectl apply -f - <<EOF\na: a very long line of the document", []string{"kubectl apply -f - \\", "    <<EOF", "a: a very long line of the document"}},
	} {
		assert.Equal(t, tt.want, wrapCommand(tt.command, 20))
	}
}

// What is copied from a transcript of any width does what the command does, and
// gets the same words and the same input.
func TestCommandsCanBePastedFromATranscript(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("this machine has no sh")
	}
	for name, command := range map[string]string{
		"words":              `show "$HOME" -- 'a  b' "c  d" e\ f`,
		"a script":           "show sh -c 'for i in 1 2; do\n    echo \"$i  x\"\n    done' behind it",
		"a here-document":    "show -f - <<'EOF'\na:\n  b: \"a   value that is much longer than the terminal is wide\"\nEOF",
		"several commands":   "show one and two and three\nshow four 'five  six'",
		"a pipe":             "printf %s 'no end of line,\n   and more' | show -f -",
		"an indented script": "show sh -c '\n   a\n\n     b\n'",
	} {
		for _, columns := range []int{0, 20, 30, 60} {
			var b block
			term := New(io.Discard, Options{Width: func() int { return columns }})
			term.addCommand(&b, "       ", command, true, columns)
			pasted := strings.TrimPrefix(strings.TrimSpace(b.String()), "$ ")
			assert.Equal(t, shown(t, command), shown(t, pasted), "%s, %d columns:\n%s", name, columns, b.String())
		}
	}
}

// shown returns the words and the input that a shell gives to the command show.
func shown(t *testing.T, script string) string {
	t.Helper()
	const show = `show() { for w; do printf '[%s]' "$w"; done; case "$*" in *"-f -"*) cat;; esac; echo; }` + "\n"
	out, err := exec.CommandContext(t.Context(), "sh", "-c", show+script).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func TestProof(t *testing.T) {
	request := []evidence.Transfer{{Status: 200, Proto: "HTTP/2", Local: "10.244.1.7:40000", Remote: "203.0.113.10:443"}}
	way := []evidence.Way{{By: "log", Hops: []evidence.Hop{{Name: "sidecar"}}, Cluster: "outbound|443||a", Address: "203.0.113.10:443"}}
	line := evidence.Line{Proxy: evidence.Sidecar, By: evidence.ByConnection, Method: "GET", Path: "/", Status: 200, Cluster: "outbound|443||a"}
	tcp := evidence.Line{Proxy: evidence.Sidecar, By: evidence.ByConnection, SNI: "a", Flags: []string{"UF"}}
	for _, c := range []struct {
		name    string
		attempt evidence.Attempt
		want    []string
	}{
		{"no request", evidence.Attempt{}, nil},
		{"curl alone", evidence.Attempt{Transfers: request}, []string{"curl: HTTP/2 200 from 203.0.113.10:443"}},
		{"no connection", evidence.Attempt{Transfers: []evidence.Transfer{{}}}, []string{"curl: no connection"}},
		{"a way", evidence.Attempt{Transfers: request, Ways: way, Lines: []evidence.Line{line}}, []string{"way: sidecar → a:443", "logged: GET / 200, by outbound|443||a"}},
		{"a connection that is no HTTP", evidence.Attempt{Transfers: request, Ways: way, Lines: []evidence.Line{tcp}}, []string{"way: sidecar → a:443", "logged: a connection for a, flags UF"}},
		{"by counters", evidence.Attempt{Transfers: request, Ways: []evidence.Way{{By: "counters", Hops: way[0].Hops, Cluster: "PassthroughCluster"}}}, []string{"way: sidecar → passthrough, by counters"}},
		{"past the sidecar", evidence.Attempt{Transfers: request, Past: &evidence.Past{For: []string{"no line", "no counter"}}}, []string{"way: past the sidecar: no line; no counter"}},
		{"by one witness", evidence.Attempt{Transfers: request, Past: &evidence.Past{For: []string{"no line"}}}, []string{"curl: HTTP/2 200 from 203.0.113.10:443"}},
		{"what arrived", evidence.Attempt{Transfers: request, Ways: way, Lines: []evidence.Line{line}, Arrivals: &evidence.Arrivals{All: []evidence.Arrival{
			{Host: "other", Remote: "10.244.1.9:1"}, {Ours: true, Method: "GET", Path: "/", Host: "a", TLS: true, SNI: "b", ClientCertificate: "CN=c", Remote: "10.244.1.7:38742"},
		}}}, []string{"way: sidecar → a:443", "arrived: GET / at a, TLS for b, client certificate CN=c, from 10.244.1.7:38742"}},
	} {
		assert.Equal(t, c.want, proof(&c.attempt), c.name)
	}
}
