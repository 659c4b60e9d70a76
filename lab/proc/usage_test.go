package proc

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	const stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 100 0 0 0 7 5 2 1 20 0 3 0 100 1000000 250 18446744073709551615 1 1 0 0\n"
	u, err := parseStat(stat)
	require.NoError(t, err)
	assert.Equal(t, Usage{150 * time.Millisecond, uint64(250 * os.Getpagesize())}, u)
	for _, bad := range []string{"", "42 (a) S 1", "42 a", strings.Replace(stat, " 7 ", " x ", 1), strings.Replace(stat, " 250 ", " x ", 1)} {
		_, err := parseStat(bad)
		assert.Error(t, err, bad)
	}
}

func TestOf(t *testing.T) {
	before, err := Of(os.Getpid())
	require.NoError(t, err)
	assert.Greater(t, before.RSS, uint64(1<<20))
	n := 0
	for {
		for range 1 << 20 {
			n++
		}
		now, err := Of(os.Getpid())
		require.NoError(t, err)
		if now.CPU > before.CPU {
			break
		}
	}

	_, err = Of(1 << 30)
	require.ErrorIs(t, err, os.ErrNotExist)
}
