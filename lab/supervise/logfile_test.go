package supervise

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLogFileBeginsAnewWhenFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := openLog(path, 10)
	require.NoError(t, err)
	for _, text := range []string{"12345", "67890", "a piece that is longer than the file may be", "b", "c"} {
		n, err := l.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
	}
	require.NoError(t, l.Close())
	assert.Equal(t, "bc", read(t, path))
	assert.Equal(t, "a piece that is longer than the file may be", read(t, path+".1"))

	l, err = openLog(path, 10) // what an earlier lab wrote counts
	require.NoError(t, err)
	_, err = l.Write([]byte("123456789"))
	require.NoError(t, err)
	require.NoError(t, l.Close())
	assert.Equal(t, "123456789", read(t, path))
	assert.Equal(t, "bc", read(t, path+".1"))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestLastLines(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"empty":                {"", nil},
		"only a newline":       {"\n", nil},
		"fewer":                {"a\nb\n", []string{"a", "b"}},
		"no newline at end":    {"a\nb", []string{"a", "b"}},
		"more":                 {"a\nb\nc\nd\n", []string{"b", "c", "d"}},
		"a cut line goes":      {long + "\n" + long + "\nend\n", []string{long, "end"}},
		"one line, all of it":  {long + long, []string{(long + long)[10000-8192:]}},
		"empty lines are kept": {"a\n\nb\n", []string{"a", "", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
			assert.Equal(t, c.want, lastLines(path, 3))
		})
	}
	assert.Nil(t, lastLines(filepath.Join(t.TempDir(), "none"), 3))
}
