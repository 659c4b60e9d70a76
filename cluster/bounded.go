package cluster

import "strings"

// A Bounded keeps the first Max bytes that are written to it, because the output of a
// pod is not to be trusted. Its zero value keeps nothing.
type Bounded struct {
	Max int // in bytes
	// Truncated reports whether more was written.
	Truncated bool

	text strings.Builder
}

// Write implements io.Writer. It never fails: a command that writes too much must not
// end by that.
func (b *Bounded) Write(p []byte) (int, error) {
	n := len(p)
	if room := b.Max - b.text.Len(); n > room {
		p, b.Truncated = p[:room], true
	}
	b.text.Write(p)
	return n, nil
}

// String returns what was kept.
func (b *Bounded) String() string { return b.text.String() }
