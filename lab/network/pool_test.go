package network

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPoolReusesAnAddressOnlyAfterAllOthers(t *testing.T) {
	a, b, c := netip.MustParseAddr("10.244.1.254"), netip.MustParseAddr("10.244.1.255"), netip.MustParseAddr("10.244.2.0")
	p := newPool(a, c)
	take := func() netip.Addr {
		t.Helper()
		addr, err := p.take()
		require.NoError(t, err)
		return addr
	}

	assert.Equal(t, a, take())
	p.free(a)
	assert.Equal(t, b, take())
	assert.Equal(t, c, take())
	assert.Equal(t, a, take(), "free again, and the pool has wrapped around")

	_, err := p.take()
	require.ErrorContains(t, err, "all addresses from 10.244.1.254 to 10.244.2.0 are in use")

	p.free(c)
	assert.Equal(t, c, take(), "the only one left")
}
