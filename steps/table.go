package steps

import (
	"strings"
	"text/tabwriter"

	"github.com/egressplay/egressplay/cluster"
)

// A printed table is one of objects of one kind, as kubectl get prints it.
type printed struct {
	wide       bool   // with the columns of -o wide
	namespaces bool   // with a column for them
	prefix     string // of the names, where there are several kinds
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
	write(head)
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
		write(cells)
	}
	w.Flush()
	return b.String()
}
