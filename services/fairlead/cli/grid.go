// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"strings"
	"unicode/utf8"
)

// grid lays cells out in columns. It remembers how wide they were, so that rows which come later fit under the others.
type grid struct {
	widths []int
	rows   [][]string
}

// columnGap is what stands between columns.
const columnGap = 3

func (g *grid) add(cells ...string) {
	for i, cell := range cells {
		cell = strings.ReplaceAll(strings.ReplaceAll(cell, "\n", `\n`), "\t", " ")
		cells[i] = plain(cell)
		if i == len(g.widths) {
			g.widths = append(g.widths, 0)
		}
		g.widths[i] = max(g.widths[i], utf8.RuneCountInString(cells[i]))
	}
	g.rows = append(g.rows, cells)
}

// flush writes the rows that were added, each line after indent. Lines have no blanks at their end.
func (g *grid) flush(w io.Writer, indent string) error {
	var b strings.Builder
	for _, row := range g.rows {
		var line strings.Builder
		line.WriteString(indent)
		for i, cell := range row {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", g.widths[i]-utf8.RuneCountInString(cell)+columnGap))
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	g.rows = nil
	_, err := io.WriteString(w, b.String())
	return err
}
