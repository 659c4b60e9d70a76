package steps

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"k8s.io/client-go/util/jsonpath"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
)

// A printed table is one of objects of one kind, as kubectl get prints it.
type printed struct {
	wide       bool     // with the columns of -o wide
	namespaces bool     // with a column for them
	prefix     string   // of the names, where there are several kinds
	labels     bool     // with a column for them
	labelled   []string // labels with columns of their own
	bare       bool     // without the line of the columns' names
}

// table prints the server's table.
func (p printed) table(t *cluster.Table) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 6, 4, 3, ' ', 0)
	write := func(cells []string) {
		w.Write([]byte(strings.Join(cells, "\t") + "\n"))
	}
	var head []string
	if p.namespaces {
		head = append(head, "NAMESPACE")
	}
	for _, c := range t.Columns {
		if !c.Wide || p.wide {
			head = append(head, strings.ToUpper(c.Name))
		}
	}
	for _, label := range p.labelled {
		head = append(head, strings.ToUpper(label[strings.LastIndexByte(label, '/')+1:]))
	}
	if p.labels {
		head = append(head, "LABELS")
	}
	if !p.bare {
		write(head)
	}
	for _, r := range t.Rows {
		var cells []string
		if p.namespaces {
			cells = append(cells, r.Namespace)
		}
		for i, cell := range r.Cells {
			if i >= len(t.Columns) || t.Columns[i].Wide && !p.wide {
				continue
			}
			if i == 0 {
				cell = p.prefix + cell
			}
			cells = append(cells, strings.NewReplacer("\n", " ", "\t", " ").Replace(cell))
		}
		for _, label := range p.labelled {
			cells = append(cells, r.Labels[label])
		}
		if p.labels {
			cells = append(cells, labelsText(r.Labels))
		}
		write(cells)
	}
	w.Flush()
	return b.String()
}

// labelsText returns labels as kubectl get --show-labels prints them, without those by
// which a run marks what it made: who types the commands of a page makes none.
func labelsText(labels map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if labels[changes.RunLabel] != "" && (name == changes.RunLabel || name == changes.ManagedBy) {
			continue
		}
		all = append(all, name+"="+labels[name])
	}
	return cmp.Or(strings.Join(all, ","), "<none>")
}

// A customColumn is one of kubectl get -o custom-columns.
type customColumn struct {
	name string
	path *jsonpath.JSONPath
}

// readCustomColumns reads NAME:PATH,NAME:PATH.
func readCustomColumns(text string) (all []customColumn, err error) {
	for _, pair := range strings.Split(text, ",") {
		name, path, ok := strings.Cut(pair, ":")
		if !ok || path == "" || strings.ContainsAny(path, "()") {
			return nil, fmt.Errorf("-o custom-columns takes NAME:PATH,NAME:PATH, not %q", text)
		}
		path = strings.Trim(path, "{}")
		if !strings.HasPrefix(path, ".") && !strings.HasPrefix(path, "[") {
			path = "." + path
		}
		c := customColumn{name: name, path: jsonpath.New(name).AllowMissingKeys(true)}
		if err := c.path.Parse("{" + path + "}"); err != nil {
			return nil, fmt.Errorf("-o custom-columns: %w", err)
		}
		all = append(all, c)
	}
	return all, nil
}

// customTable prints objects in columns of the author's own.
func customTable(columns []customColumn, items []any, bare bool) (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 6, 4, 3, ' ', 0)
	var cells []string
	for _, c := range columns {
		cells = append(cells, c.name)
	}
	if !bare {
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	for _, item := range items {
		cells = cells[:0]
		for _, c := range columns {
			var values []string
			found, err := c.path.FindResults(item)
			if err != nil {
				return "", err
			}
			for _, list := range found {
				for _, v := range list {
					values = append(values, fmt.Sprint(v.Interface()))
				}
			}
			cells = append(cells, cmp.Or(strings.Join(values, ","), "<none>"))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	err := w.Flush()
	return b.String(), err
}
