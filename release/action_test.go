package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// An action is what we need to know of GitHub's description of an Action.
type action struct {
	Name, Description string
	Inputs            map[string]struct {
		Description string
		Required    bool
		Default     *string
	}
	Runs struct {
		Using string
		Steps []struct {
			Name, Shell, Run string
			Env              map[string]string
		}
	}
}

// The Action's inputs are described, documented and used, and its scripts are Bash.
func TestAction(t *testing.T) {
	data, err := os.ReadFile("../action/action.yml")
	require.NoError(t, err)
	var a action
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	require.NoError(t, d.Decode(&a))
	assert.Equal(t, "composite", a.Runs.Using)
	docs, err := os.ReadFile("../docs/install.md")
	require.NoError(t, err)

	used := ""
	for _, step := range a.Runs.Steps {
		assert.Equal(t, "bash", step.Shell)
		name, ok := strings.CutPrefix(step.Run, `"$GITHUB_ACTION_PATH/`)
		require.True(t, ok, "an input within a command could be a command: %s", step.Run)
		script := filepath.Join("..", "action", strings.TrimSuffix(name, `"`))
		out, err := exec.Command("bash", "-n", script).CombinedOutput()
		require.NoError(t, err, "%s", out)
		text, err := os.ReadFile(script)
		require.NoError(t, err)
		for variable, value := range step.Env {
			used += value
			assert.Contains(t, string(text), "$"+variable)
		}
	}
	for name, input := range a.Inputs {
		assert.NotEmpty(t, input.Description, name)
		assert.True(t, input.Required != (input.Default != nil), "%s is either required or has a default", name)
		assert.Contains(t, string(docs), "| `"+name+"` |", "docs/install.md")
		assert.Contains(t, used, "${{ inputs."+name+" }}")
	}
}

// The Action gets this release, and refuses an archive with another checksum.
func TestActionRuns(t *testing.T) {
	scripts, err := filepath.Abs("../action")
	require.NoError(t, err)
	version := strings.Split(filepath.Base(one(t, "egressplay-lab_*_"+host()+".tar.gz")), "_")[1]
	releases, temp := t.TempDir(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(releases, version), 0o755))
	for _, name := range []string{checksumsFile, filepath.Base(one(t, "egressplay-lab_*_"+host()+".tar.gz"))} {
		require.NoError(t, os.Symlink(filepath.Join(dist, name), filepath.Join(releases, version, name)))
	}
	env := []string{"RUNNER_TEMP=" + temp, "GITHUB_PATH=" + filepath.Join(temp, "path"), "VERSION=" + version, "RELEASES=" + releases}
	offline(t, "", env, filepath.Join(scripts, "get"))
	path, err := os.ReadFile(filepath.Join(temp, "path"))
	require.NoError(t, err)

	summary := filepath.Join(temp, "summary.md")
	said := offline(t, "", []string{
		"PATH=" + strings.TrimSpace(string(path)) + ":/usr/bin:/bin", "GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY=" + summary,
		"PLAYBOOKS=tls-origination\n", "ARGS=--dry-run\nclient\n",
	}, filepath.Join(scripts, "run"))
	assert.Contains(t, said, "Egress TLS Origination")

	sums := filepath.Join(releases, version, checksumsFile)
	require.NoError(t, os.Remove(sums))
	require.NoError(t, os.WriteFile(sums, []byte(strings.Repeat("0", 64)+"  "+filepath.Base(one(t, "egressplay-lab_*_"+host()+".tar.gz"))+"\n"), 0o600))
	cmd := exec.Command(filepath.Join(scripts, "get"))
	cmd.Env = append([]string{"PATH=/usr/bin:/bin"}, env...)
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "::error::the checksum of")
}
