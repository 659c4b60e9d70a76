package curltest_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/curl"
	"github.com/egressplay/egressplay/curl/curltest"
)

func TestWhatIsPrintedCanBeRead(t *testing.T) {
	c, ok := curl.Parse([]string{"curl", "-s", "http://a/b"})
	require.True(t, ok)
	out := c.Output(1 << 10)
	io.WriteString(out, curltest.Print(c.Argv, "the page", map[string]string{"response_code": "404", "local_port": "40001"}))
	transfers, err := out.Transfers()
	require.NoError(t, err)
	require.Len(t, transfers, 1)
	assert.Equal(t, "http://a/b", transfers[0].URL)
	assert.Equal(t, 404, transfers[0].Status)
	assert.Equal(t, "10.244.1.6:40001", transfers[0].LocalAddr)
	assert.Equal(t, "the page", transfers[0].Body)
	assert.Equal(t, "the page", out.Stdout())
}
