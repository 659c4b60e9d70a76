package expect

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestMend mends each mutant of a recorded page: what is shown then holds again, keeps
// its ellipses, and is not touched where it held.
func TestMend(t *testing.T) {
	n, same := 0, 0
	for _, r := range readRecorded(t) {
		assert.Equal(t, r.Shown, Mend(r.Shown, r.Real, r.codes(), r.Log), r.Command)
		for i, m := range r.mutants() {
			if i%6 != 0 { // a sample is enough
				continue
			}
			if m.real != r.Real || m.equivalent(r) != "" {
				continue
			}
			mended := Mend(m.shown, r.Real, r.codes(), r.Log)
			n++
			if strings.TrimSpace(mended) == strings.TrimSpace(r.Shown) {
				same++
			}
			assert.True(t, held(r.judged(mended, r.Real, r.Codes)), "%s: %s\n%s\n%s", r.Command, m.what, m.shown, mended)
		}
	}
	t.Logf("%d pages mended, %d of them to what they were", n, same)
}

func (r recorded) codes() []int {
	if len(r.Codes) == 0 {
		return []int{0}
	}
	return r.Codes
}

func TestMendKeepsEllipses(t *testing.T) {
	const real = "HTTP/1.1 200 OK\nserver: envoy\nlocation: https://b.example/\ndate: Mon, 01 Jan 2024 10:00:00 GMT\n"
	assert.Equal(t, "HTTP/1.1 200 OK\n...\nlocation: https://b.example/\n...\n", Mend("HTTP/1.1 301 Moved Permanently\n...\nlocation: https://a.example/\n...\n", real, []int{0}, false))
	assert.Equal(t, "a-5f7cbdff8f-x2abc is here\nnew\n", Mend("a-5f7cbdff8f-x2abc is here\nold\n", "a-64f76bc9b7-sklfs is here\nnew\n", []int{0}, false))
	assert.Equal(t, "command terminated with exit code 35\n", Mend("HTTP/2 200\n", "command terminated with exit code 35\n", []int{35}, false))
}
