//go:build lab

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// allTakes bounds a run of all playbooks. It is expected to take two minutes.
const allTakes = 15 * time.Minute

// Every playbook that list shows passes, one after the other in one lab, and
// leaves nothing to the next.
func TestAllBuiltinPlaybooksPass(t *testing.T) {
	names := egressplay(t, "list", "-o", "name")
	names.exits(t, 0)
	want := strings.Fields(names.stdout)

	before := settledWorld(t)
	flag, read := reportFlag(t)
	e := begin(t, "run", "--all", flag, "--slowest", "10").waitFor(allTakes)
	e.exits(t, 0)
	_, slowest, listed := strings.Cut(e.stdout, "The slowest steps\n")
	require.True(t, listed)
	t.Log(slowest)
	assert.NotContains(t, e.stdout, "not checked", "in a lab all is recorded")

	r := read()
	require.Len(t, r.Playbooks, len(want))
	for i, p := range r.Playbooks {
		assert.Equal(t, want[i], p.Name)
		assert.Equal(t, "passed", p.Status, p.Name)
		for _, s := range p.Steps {
			assert.Equal(t, "passed", s.Status, "%s, step %d", p.Name, s.Index)
		}
	}
	assert.Equal(t, len(want), r.Summary.Passed)
	assert.Empty(t, r.Cleanup.Left)
	before.leavesNothing(t)
}
