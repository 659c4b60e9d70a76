package internet

import (
	"crypto/tls"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSilentClientIsGivenUp(t *testing.T) {
	for name, says := range map[string]string{"nothing": "", "half a hello": "\x16\x03\x01"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				defer client.Close()
				defer server.Close()
				go func() { _, _ = client.Write([]byte(says)) }()
				start := time.Now()
				c := &connection{Conn: server, time: start}
				_, err := c.secure(&tls.Config{})
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				assert.Equal(t, silence, time.Since(start))
			})
		})
	}
}
