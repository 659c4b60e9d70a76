package cri

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	const stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 100 0 0 0 7 5 2 1 20 0 3 0 100 1000000 250 18446744073709551615 1 1 0 0\n"
	u, err := parseStat(stat)
	require.NoError(t, err)
	assert.Equal(t, 150*time.Millisecond, u.cpu)
	assert.EqualValues(t, 250*os.Getpagesize(), u.rss)
	for _, bad := range []string{"", "42 (a) S 1", "42 a"} {
		_, err := parseStat(bad)
		assert.Error(t, err, bad)
	}
}
