package transcript

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
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
		`a  b`:               {"a", "b"},
		`a 'b c' "d 'e f"`:   {"a", "'b c'", `"d 'e f"`},
		`a\ b c`:             {`a\ b`, "c"},
		`x='a \' b`:          {`x='a \'`, "b"},
		`$(kubectl get pod)`: {"$(kubectl", "get", "pod)"},
		``:                   nil,
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
		{"kubectl apply -f - <<EOF\na: a very long line of the document", []string{"kubectl apply -f - \\", "    <<EOF", "a: a very long line of the document"}},
	} {
		assert.Equal(t, tt.want, wrapCommand(tt.command, 20))
	}
}
