package cluster

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClock(t *testing.T) {
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	// answers shows a clock the answers of a server that is ahead by so much, one every
	// 130 ms of this machine's time.
	answers := func(c *clock, ahead time.Duration) {
		for i := range 20 {
			sent := start.Add(time.Duration(i) * 130 * time.Millisecond)
			made := sent.Add(5 * time.Millisecond).Add(ahead)
			c.see(made.Format(http.TimeFormat), sent, sent.Add(10*time.Millisecond))
		}
	}
	for _, ahead := range []time.Duration{0, 300 * time.Millisecond, -40 * time.Millisecond, 90 * time.Second, -time.Hour} {
		var c clock
		answers(&c, ahead)
		least, most := c.ahead()
		assert.LessOrEqual(t, least, ahead)
		assert.GreaterOrEqual(t, most, ahead)
		assert.Less(t, most-least, 300*time.Millisecond, "they narrow it down")
	}
	var c clock
	least, most := c.ahead()
	assert.Zero(t, least)
	assert.Zero(t, most)
	c.see("", start, start)
	c.see("yesterday", start, start)
	assert.False(t, c.known)
	answers(&c, time.Hour)
	answers(&c, 0) // the clock was set
	least, most = c.ahead()
	assert.LessOrEqual(t, least, time.Duration(0))
	assert.GreaterOrEqual(t, most, time.Duration(0))
}

func TestAhead(t *testing.T) {
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		io.WriteString(w, `{"gitVersion":"v1.36.3"}`)
	}))
	_, err := c.Check(t.Context())
	require.NoError(t, err)
	least, most := c.Ahead()
	assert.Greater(t, least, 50*time.Minute)
	assert.Greater(t, most, least)
}
