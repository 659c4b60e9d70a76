package cri

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLogStream(t *testing.T) {
	x := strings.Repeat("x", maxLogLine)
	for _, tt := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"nothing", nil, ""},
		{"lines", []string{"a\nb\n"}, "F a|F b|"},
		{"empty lines", []string{"\n\n"}, "F |F |"},
		{"a line in pieces", []string{"a", "b", "c\nd", "\n"}, "F abc|F d|"},
		{"no end", []string{"a\nb"}, "F a|P b|"},
		{"just fits", []string{x + "\n"}, "F " + x + "|"},
		{"one too long", []string{x + "y\n"}, "P " + x + "|F y|"},
		{"too long in pieces", []string{x[:10], x, "\n"}, "P " + x + "|F " + x[:10] + "|"},
		{"very long without end", []string{x + x + "y"}, "P " + x + "|P " + x + "|P y|"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log, err := openLog(filepath.Join(t.TempDir(), "made/0.log"))
			require.NoError(t, err)
			s := &logStream{log: log, name: "stderr", now: func() time.Time { return time.Unix(1, 500) }}
			for _, w := range tt.writes {
				n, err := s.Write([]byte(w))
				require.NoError(t, err)
				require.Equal(t, len(w), n)
			}
			require.NoError(t, s.Close())
			require.NoError(t, log.close())
			b, err := os.ReadFile(log.path)
			require.NoError(t, err)
			got := strings.ReplaceAll(string(b), "1970-01-01T00:00:01.000000500Z stderr ", "")
			assert.Equal(t, tt.want, strings.ReplaceAll(got, "\n", "|"))
		})
	}
}

func TestLogThatNobodyWants(t *testing.T) {
	log, err := openLog("")
	require.NoError(t, err)
	require.NoError(t, log.write([]byte("x\n")))
	require.NoError(t, log.reopen())
	require.NoError(t, log.close())
}
