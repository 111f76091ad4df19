// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/jsonpath"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/table"
)

// nothing stands in cells that have no value.
const nothing = "<none>"

// tables writes a table a kind.
type tables struct {
	layout

	grid grid
	// begun tells that a table was written.
	begun bool
}

func (p *tables) list(w io.Writer, groups []group, _ bool) error {
	for _, g := range groups {
		if len(g.objects) == 0 {
			continue
		}
		if p.begun && !p.noHeaders {
			fmt.Fprintln(w)
		}
		p.grid = grid{}
		if err := p.write(w, g.kind, g.objects, !p.noHeaders); err != nil {
			return err
		}
		p.begun = true
	}
	return nil
}

func (p *tables) event(w io.Writer, k kinds.Kind, obj store.Object) error {
	err := p.write(w, k, []store.Object{obj}, !p.noHeaders && !p.begun)
	p.begun = true
	return err
}

// write adds rows, below the headers of their kind.
func (p *tables) write(w io.Writer, k kinds.Kind, objects []store.Object, headers bool) error {
	t, err := table.Render(k, objects, time.Now())
	if err != nil {
		return fmt.Errorf("table of %s: %w", k.Plural, err)
	}
	if headers {
		p.grid.add(p.cells(t.ColumnDefinitions, "NAMESPACE", func(i int) string {
			return strings.ToUpper(t.ColumnDefinitions[i].Name)
		})...)
	}
	for n, obj := range objects {
		row := t.Rows[n]
		p.grid.add(p.cells(t.ColumnDefinitions, obj.GetMetadata().GetNamespace(), func(i int) string {
			text := ""
			if i < len(row.Cells) && row.Cells[i] != nil {
				text = fmt.Sprint(row.Cells[i])
			}
			if i == 0 && p.typed {
				text = typeName(k) + "/" + text
			}
			return text
		})...)
	}
	return p.grid.flush(w, "")
}

// cells are those of one line, without the columns that are for wide tables only.
func (p *tables) cells(columns []kmetav1.TableColumnDefinition, namespace string, cell func(int) string) []string {
	var out []string
	if p.namespaces {
		out = append(out, namespace)
	}
	for i, c := range columns {
		if c.Priority == 0 || p.wide {
			out = append(out, cell(i))
		}
	}
	return out
}

// customColumns writes a table whose columns the user chose.
type customColumns struct {
	headers   []string
	paths     []*jsonpath.JSONPath
	noHeaders bool

	grid  grid
	begun bool
}

func newCustomColumns(spec string, noHeaders bool) (*customColumns, error) {
	p := &customColumns{noHeaders: noHeaders}
	for column := range strings.SplitSeq(spec, ",") {
		header, text, ok := strings.Cut(column, ":")
		if !ok || header == "" || text == "" {
			return nil, fmt.Errorf("-o custom-columns: %q is not of the form HEADER:PATH, such as NAME:.metadata.name", column)
		}
		path, err := parsePath(text, true)
		if err != nil {
			return nil, fmt.Errorf("-o custom-columns: %w", err)
		}
		p.headers, p.paths = append(p.headers, header), append(p.paths, path)
	}
	return p, nil
}

func (p *customColumns) list(w io.Writer, groups []group, _ bool) error {
	for _, g := range groups {
		for _, obj := range g.objects {
			if err := p.add(obj); err != nil {
				return err
			}
		}
	}
	return p.grid.flush(w, "")
}

func (p *customColumns) event(w io.Writer, _ kinds.Kind, obj store.Object) error {
	if err := p.add(obj); err != nil {
		return err
	}
	return p.grid.flush(w, "")
}

func (p *customColumns) add(obj store.Object) error {
	if !p.begun && !p.noHeaders {
		p.grid.add(append([]string(nil), p.headers...)...)
	}
	p.begun = true
	data, err := objectJSON(obj)
	if err != nil {
		return err
	}
	value, err := decodeJSON(data)
	if err != nil {
		return err
	}
	cells := make([]string, len(p.paths))
	for i, path := range p.paths {
		if cells[i], err = cellOf(path, value); err != nil {
			return err
		}
	}
	p.grid.add(cells...)
	return nil
}

// cellOf is what a path leads to; several values stand beside each other with commas.
func cellOf(path *jsonpath.JSONPath, value any) (string, error) {
	texts, err := pathValues(path, value)
	if err != nil {
		return "", fmt.Errorf("-o custom-columns: %w", err)
	}
	if len(texts) == 0 {
		return nothing, nil
	}
	return strings.Join(texts, ","), nil
}

// pathValues are the values that a path leads to, as text.
func pathValues(path *jsonpath.JSONPath, value any) ([]string, error) {
	found, err := path.FindResults(value)
	if err != nil {
		return nil, err //nolint:wrapcheck // names the path
	}
	var texts []string
	for _, results := range found {
		for i := range results {
			var b bytes.Buffer
			if err := path.PrintResults(&b, results[i:i+1]); err != nil {
				return nil, err //nolint:wrapcheck // names the path
			}
			texts = append(texts, b.String())
		}
	}
	return texts, nil
}
