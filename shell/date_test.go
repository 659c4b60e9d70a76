package shell

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDate compares date with GNU's, at one time.
func TestDate(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8009, time.UTC)
	clock = func() time.Time { return at }
	t.Cleanup(func() { clock = time.Now })
	for _, format := range []string{"+%Y-%m-%d", "+%F %T", "+%s", "+%a %A %b %B %e %j %y", "+%H:%M:%S.%N %Z %z", "+100%%", "+"} {
		filter, err := Tools["date"]([]string{"-u", format})
		require.NoError(t, err, format)
		got, _, code := filter("")
		assert.Zero(t, code)
		want, err := exec.Command("date", "-u", "-d", "2026-03-04 05:06:07.000008009 UTC", format).Output()
		require.NoError(t, err)
		assert.Equal(t, string(want), got, format)
	}
	for shift, want := range map[string]string{"now": "05:06:07", "+3600 seconds": "06:06:07", "1 day": "05:06:07", "2 hours ago": "03:06:07", "+5minutes": "05:11:07"} {
		filter, err := Tools["date"]([]string{"+%T", "-d", shift})
		require.NoError(t, err, shift)
		got, _, _ := filter("")
		assert.Equal(t, want+"\n", got, shift)
	}
	for _, args := range [][]string{{"-d", "next friday"}, {"+%Q"}, {"+%"}, {"-s", "now"}, {"x"}, {"+%F", "+%T"}} {
		_, err := Tools["date"](args)
		assert.Error(t, err, "%v", args)
	}
}
