// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Column is one of the things that are measured.
type Column int

// The columns of the table.
const (
	RawEtcd Column = iota
	KubeAPIServer
	KubeCached
	Store
	GRPC
	REST
	columns
)

// String is the column's heading.
func (c Column) String() string {
	switch c {
	case RawEtcd:
		return "raw etcd"
	case KubeAPIServer:
		return "kube-apiserver"
	case KubeCached:
		return "its cache (rv=0)"
	case Store:
		return "store"
	case GRPC:
		return "Fairlead gRPC"
	case REST:
		return "Fairlead REST"
	}
	return "?"
}

// Row is one piece of work.
type Row struct {
	// Work says what was done.
	Work string
	// Cells are the figures by column; those that make no sense are empty.
	Cells [columns]string
	// Aims says how the figures stand to what is aimed at.
	Aims string
}

// Table is what a run has measured.
type Table struct{ Rows []Row }

// aim is a ratio that is to be reached.
type aim struct {
	text        string
	ratio, want float64
}

func (a aim) String() string {
	return fmt.Sprintf("%s: %s **%.2f**", a.text, mark(a.ratio >= a.want), a.ratio)
}

// limit is a time that is not to be exceeded.
type limit struct {
	text      string
	took, max time.Duration
}

func (l limit) String() string {
	return fmt.Sprintf("%s: %s **%s**", l.text, mark(l.took <= l.max), milliseconds(l.took))
}

func mark(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

func joined[T fmt.Stringer](aims []T) string {
	texts := make([]string, len(aims))
	for i, a := range aims {
		texts[i] = a.String()
	}
	return strings.Join(texts, "; ")
}

func (t *Table) addRates(work string, rates map[Column]float64, aims ...aim) {
	row := Row{Work: work, Aims: joined(aims)}
	for c, rate := range rates {
		row.Cells[c] = thousands(rate) + "/s"
	}
	t.Rows = append(t.Rows, row)
}

func (t *Table) addTimes(work string, times map[Column]time.Duration, limits ...limit) {
	row := Row{Work: work, Aims: joined(limits)}
	for c, took := range times {
		row.Cells[c] = milliseconds(took)
	}
	t.Rows = append(t.Rows, row)
}

func (t *Table) addDeliveries(work string, got map[Column]delivery, limits ...limit) {
	row := Row{Work: work + ": p50/p99 (writes)", Aims: joined(limits)}
	for c, d := range got {
		row.Cells[c] = fmt.Sprintf("%s / %s (%s/s)", milliseconds(d.p50), milliseconds(d.p99), thousands(d.rate))
		if d.lost > 0 {
			row.Cells[c] += fmt.Sprintf("; %d watchers lost: %v", d.lost, d.why)
		}
	}
	t.Rows = append(t.Rows, row)
}

func (t *Table) addWeights(objects int, kube, fairlead weighed) {
	work := thousands(float64(objects)) + " objects"
	add := func(what, k, f string, aims ...aim) {
		row := Row{Work: what, Aims: joined(aims)}
		row.Cells[KubeAPIServer], row.Cells[GRPC] = k, f
		t.Rows = append(t.Rows, row)
	}
	memory := func(w weighed) string {
		text := megabytes(w.memory)
		if w.heap > 0 {
			text += " (heap " + megabytes(w.heap) + ")"
		}
		return text + "; etcd " + megabytes(w.etcdMemory)
	}
	idle := func(w weighed) string { return fmt.Sprintf("%.1f %%; etcd %.1f %%", 100*w.idle, 100*w.etcdIdle) }
	add("memory for "+work, memory(kube), memory(fairlead), aim{"half: kube-apiserver ≥ 2 × Fairlead", float64(kube.memory) / float64(fairlead.memory), 2})
	add("CPU idle, "+work, idle(kube), idle(fairlead))
	add("restart with "+work+" until they are answered for", seconds(kube.restart), seconds(fairlead.restart),
		aim{"under 5 s: 5 s ÷ Fairlead", (5 * time.Second).Seconds() / fairlead.restart.Seconds(), 1})
}

// Markdown writes the table.
func (t *Table) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| work |")
	for c := range columns {
		b.WriteString(" " + c.String() + " |")
	}
	b.WriteString(" aims |\n|---|" + strings.Repeat("---|", int(columns)) + "---|\n")
	for _, r := range t.Rows {
		b.WriteString("| " + r.Work + " |")
		for _, cell := range r.Cells {
			if cell == "" {
				cell = "–"
			}
			b.WriteString(" " + cell + " |")
		}
		b.WriteString(" " + r.Aims + " |\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms >= 10 {
		return thousands(ms) + " ms"
	}
	return fmt.Sprintf("%.1f ms", ms)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func megabytes(n int64) string { return thousands(float64(n)/1e6) + " MB" }

// thousands writes a number with separators, without a fraction.
func thousands(f float64) string {
	text := fmt.Sprintf("%.0f", f)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
