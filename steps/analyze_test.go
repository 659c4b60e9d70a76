package steps

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/runner"
)

func TestParseAnalyze(t *testing.T) {
	for _, c := range []struct {
		argv []string
		want analyzing
	}{
		{[]string{"istioctl", "analyze"}, analyzing{}},
		{[]string{"istioctl", "-n", "a", "analyze", "--color=false"}, analyzing{namespace: "a"}},
		{[]string{"istioctl", "analyze", "--namespace=a"}, analyzing{namespace: "a"}},
		{[]string{"istioctl", "analyze", "-A"}, analyzing{all: true}},
	} {
		got, is, err := parseAnalyze(c.argv)
		require.NoError(t, err)
		assert.True(t, is)
		assert.Equal(t, &c.want, got)
	}
	for _, argv := range [][]string{
		{"istioctl", "analyze", "a.yaml"}, {"istioctl", "analyze", "--use-kube=false"}, {"istioctl", "analyze", "-n"},
		{"istioctl", "analyze", "--kubeconfig", "x"},
	} {
		_, _, err := parseAnalyze(argv)
		assert.Error(t, err, "%v", argv)
	}
	_, is, err := parseAnalyze([]string{"istioctl", "pc", "secret", "analyze"})
	require.NoError(t, err)
	assert.False(t, is)
}

// Istio's program looks at the run's namespace where the script names none, and its
// exit code is the script's.
func TestAnalyze(t *testing.T) {
	var asked []string
	scope := runner.NewScope(nil, nil)
	scope.Namespace = "default"
	p := &istioctlProgram{scope}

	_, err := p.run(t.Context(), []string{"istioctl", "analyze"}, "")
	require.ErrorContains(t, err, "only in a lab of this machine")

	scope.Analyze = func(_ context.Context, args []string) (*runner.Analysis, error) {
		asked = args
		return &runner.Analysis{Stdout: "Error [IST0101]\n", Stderr: "Error: Analyzers found issues\n", Found: true}, nil
	}
	r, err := p.run(t.Context(), []string{"istioctl", "analyze"}, "")
	require.NoError(t, err)
	assert.Equal(t, []string{"--namespace", "default"}, asked)
	assert.Equal(t, 79, r.Code)
	assert.Equal(t, "Error [IST0101]\n", r.Stdout)
	assert.Equal(t, "Error: Analyzers found issues\n", r.Last, "it comes last, as in a terminal")
	_, err = p.run(t.Context(), []string{"istioctl", "analyze", "-A"}, "")
	require.NoError(t, err)
	assert.Equal(t, []string{"--all-namespaces"}, asked)
}
