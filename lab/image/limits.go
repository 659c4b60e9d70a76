package image

import (
	"context"
	"fmt"
	"io"
)

// Limits are the largest sizes and numbers that an archive may have. Anything above is
// refused.
type Limits struct {
	Archive  int64 // bytes of the archive, when it is uncompressed
	Unpacked int64 // bytes of an image's files, over all layers
	Entries  int   // of an image, over all layers
	Layers   int   // of an image
	Text     int64 // bytes of a manifest, a configuration, /etc/passwd or /etc/group
}

// DefaultLimits are the limits of a lab.
var DefaultLimits = Limits{Archive: 8 << 30, Unpacked: 4 << 30, Entries: 500_000, Layers: 256, Text: 4 << 20}

// capped is a reader that fails, instead of ending, if there is more than a limit.
type capped struct {
	ctx  context.Context
	r    io.Reader
	left int64
	what string // the name of what is too large
	most int64
}

func limited(ctx context.Context, r io.Reader, most int64, what string) *capped {
	return &capped{ctx: ctx, r: r, left: most, what: what, most: most}
}

func (c *capped) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	if c.left < 0 {
		return 0, c.tooLarge()
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	if c.left < 0 {
		return n, c.tooLarge()
	}
	return n, err
}

// read returns how many bytes have been read.
func (c *capped) read() int64 { return c.most - c.left }

func (c *capped) tooLarge() error {
	return fmt.Errorf("%s has more than %s, which is more than a lab takes", c.what, Size(c.most))
}

// Size returns a number of bytes in words.
func Size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
}
