package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Table is what kubectl get prints for objects of one kind.
type Table struct {
	Columns []Column
	Rows    []Row
}

// A Column of a [Table]. Only -o wide prints a wide one.
type Column struct {
	Name string
	Wide bool
}

// A Row is one object, with a text for each column.
type Row struct {
	Namespace string
	Labels    map[string]string
	Cells     []string
}

// asTable asks for a table, as kubectl does.
const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io"

// Print implements [Interface].
func (c *Client) Print(ctx context.Context, ref Ref, selector string) (*Table, error) {
	m, err := c.find(ctx, ref.APIVersion, ref.Kind)
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() != meta.RESTScopeNameNamespace {
		ref.Namespace = ""
	}
	t := &target{ref: ref, mapping: m}
	request := c.rest.Get().AbsPath(t.path()...).SetHeader("Accept", asTable).Param("includeObject", string(metav1.IncludeMetadata))
	if selector != "" {
		request = request.Param("labelSelector", selector)
	}
	body, err := request.Do(ctx).Raw()
	if err != nil {
		return nil, c.explainKind(ctx, t, err)
	}
	var answer struct {
		Kind              string
		ColumnDefinitions []metav1.TableColumnDefinition
		Rows              []struct {
			Cells  []any
			Object metav1.PartialObjectMetadata
		}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // numbers are printed as they are
	if err := d.Decode(&answer); err != nil {
		return nil, fmt.Errorf("the table of %s: %w", ref, err)
	}
	if answer.Kind != "Table" {
		return nil, fmt.Errorf("the server prints no table of %s", ref)
	}
	table := new(Table)
	for _, c := range answer.ColumnDefinitions {
		table.Columns = append(table.Columns, Column{c.Name, c.Priority > 0})
	}
	for _, r := range answer.Rows {
		row := Row{Namespace: r.Object.Namespace, Labels: r.Object.Labels}
		for _, cell := range r.Cells {
			text := ""
			if cell != nil {
				text = fmt.Sprint(cell)
			}
			row.Cells = append(row.Cells, text)
		}
		table.Rows = append(table.Rows, row)
	}
	return table, nil
}
