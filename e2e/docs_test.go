//go:build lab

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wholePlaybook matches an example that is a playbook. Others are parts of one.
var wholePlaybook = regexp.MustCompile("(?ms)^```yaml\n(apiVersion: egressplay/v1\nkind: Playbook\n.*?)^```$")

// Each playbook in the README and in docs passes in a lab: with the sample `sleep`, or
// in an empty namespace where it deploys a sample itself.
func TestDocumentedPlaybooksPass(t *testing.T) {
	once(t)
	withSample(t)
	files, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	examples := 0
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, example := range wholePlaybook.FindAllStringSubmatch(string(text), -1) {
			examples++
			t.Run(fmt.Sprintf("%s %d", filepath.Base(file), i+1), func(t *testing.T) {
				namespace := sample
				if strings.Contains(example[1], "samples/") {
					namespace = "documented"
					create(t, "v1", "namespaces", "", `{kind: Namespace, metadata: {name: documented}}`)
				}
				path := filepath.Join(t.TempDir(), "example.yaml")
				require.NoError(t, os.WriteFile(path, []byte(example[1]), 0o600))
				egressplay(t, "run", path, "--namespace", namespace).exits(t, 0)
			})
		}
	}
	require.GreaterOrEqual(t, examples, 4)
}
