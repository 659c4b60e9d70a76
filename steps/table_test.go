package steps

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/shell"
)

// TestPrintedTables has the columns that flags of kubectl get add and take away.
func TestPrintedTables(t *testing.T) {
	table := &cluster.Table{
		Columns: []cluster.Column{{Name: "Name"}, {Name: "Age"}, {Name: "Node", Wide: true}},
		Rows:    []cluster.Row{{Namespace: "x", Cells: []string{"a", "3s", "n"}, Labels: map[string]string{"b": "2", "a": "1", changes.RunLabel: "x", changes.ManagedBy: "egressplay"}}, {Namespace: "x", Cells: []string{"long-name", "3s", "n"}}},
	}
	for _, test := range []struct {
		how  printed
		want string
	}{
		{printed{}, "NAME        AGE\na           3s\nlong-name   3s\n"},
		{printed{labels: true}, "NAME        AGE   LABELS\na           3s    a=1,b=2\nlong-name   3s    <none>\n"},
		{printed{labelled: []string{"x.example/b"}}, "NAME        AGE   B\na           3s    \nlong-name   3s    \n"},
		{printed{labelled: []string{"b", "a"}}, "NAME        AGE   B     A\na           3s    2     1\nlong-name   3s          \n"},
		{printed{bare: true, prefix: "pod/"}, "pod/a           3s\npod/long-name   3s\n"},
	} {
		assert.Equal(t, test.want, test.how.table(table))
	}
}

func TestCustomColumns(t *testing.T) {
	items := []any{
		map[string]any{"metadata": map[string]any{"name": "a"}, "spec": map[string]any{"ports": []any{map[string]any{"port": int64(80)}, map[string]any{"port": int64(443)}}}},
		map[string]any{"metadata": map[string]any{"name": "b"}},
	}
	columns, err := readCustomColumns("NAME:.metadata.name,PORTS:{.spec.ports[*].port}")
	require.NoError(t, err)
	text, err := customTable(columns, items, false)
	require.NoError(t, err)
	assert.Equal(t, "NAME   PORTS\na      80,443\nb      <none>\n", text)
	text, err = customTable(columns[:1], items, true)
	require.NoError(t, err)
	assert.Equal(t, "a\nb\n", text)
	for _, bad := range []string{"NAME", "NAME:", "A:.a,B", "A:.a[?(@.b)]", "A:.a["} {
		_, err := readCustomColumns(bad)
		assert.Error(t, err, bad)
	}
}

// TestGetAll has what kubectl get takes for all kinds.
func TestGetAll(t *testing.T) {
	of := func(line string) (*get, error) {
		k, err := shell.ParseKubectl(strings.Fields(line))
		require.NoError(t, err)
		return getOf(k)
	}
	g, err := of("kubectl get all -n x")
	require.NoError(t, err)
	assert.Equal(t, ofAll, g.kinds)
	for _, line := range []string{"kubectl get all,ingress", "kubectl get all a", "kubectl get pod --sort-by=.a", "kubectl get pod -w"} {
		_, err := of(line)
		assert.Error(t, err, line)
	}
}
