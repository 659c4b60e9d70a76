//go:build lab

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/deceive/worlds"
	"github.com/egressplay/egressplay/inlab"
)

// apart are the worlds that are left out, so that the test takes no more than some
// four minutes. The user as whom root has these tests run a second time
// (scripts/as-ordinary-user) runs them and none of the others, and `make deceive`
// runs all.
var apart = []string{"formats.yaml", "places.yaml", "rotated.yaml", "slow.yaml", "telemetry.yaml"}

// Who claims what is false is caught by what he claims, and who claims what is
// true passes.
func TestNobodyIsDeceived(t *testing.T) {
	withSample(t)
	files, err := worlds.Write(t.TempDir())
	require.NoError(t, err)
	files = slices.DeleteFunc(files, func(file string) bool { return slices.Contains(apart, filepath.Base(file)) != second() })
	report := filepath.Join(t.TempDir(), "report.json")
	e := begin(t, append([]string{"run", "--namespace", sample, "--report", "json=" + report}, files...)...).waitFor(20 * time.Minute)
	e.exits(t, 1) // the lies are claims that do not hold
	ran, err := inlab.ReadReport(report)
	require.NoError(t, err)
	result := worlds.Judge(ran)
	var said strings.Builder
	result.Print(&said)
	assert.True(t, result.Good(), "%s", said.String())
	_, _ = os.Stderr.WriteString(said.String())
}
