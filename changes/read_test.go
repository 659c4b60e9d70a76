package changes

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/cluster"
)

// A record that somebody has changed is told, and nothing is done by it.
func TestARecordThatNamesNothing(t *testing.T) {
	for _, text := range []string{"null", "{}", `{"ref": {}}`, "[]", "x", ""} {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, err := z.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, z.Close())
		_, err = unpack(base64.StdEncoding.EncodeToString(packed.Bytes()))
		assert.Error(t, err, text)
	}
	want := &Change{Ref: cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "default", Name: "a"}}
	text, err := pack(want)
	require.NoError(t, err)
	got, err := unpack(text)
	require.NoError(t, err)
	assert.Equal(t, want.Ref, got.Ref)
}
