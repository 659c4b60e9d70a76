package changes_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster/clustertest"
)

// BenchmarkChange makes a change and puts it back, with notes in a Secret of a cluster
// in memory. It measures the journal's own cost.
func BenchmarkChange(b *testing.B) {
	c := clustertest.NewFake()
	j := changes.New(c)
	j.Store = &changes.Secrets{Cluster: c, Namespace: "default", Run: changes.Run{ID: j.Run, Started: time.Now()}}
	b.ReportAllocs()
	for b.Loop() {
		_, _, err := j.Apply(b.Context(), configMap(nil))
		require.NoError(b, err)
		require.NoError(b, j.Delete(b.Context(), ref, false))
	}
}
