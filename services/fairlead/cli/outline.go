// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// outline is text of labels and values, indented as their fields are nested. The values of lines that follow each other
// stand below each other.
type outline struct{ lines []outlineLine }

type outlineLine struct {
	level        int
	label, value string
	// item tells that the line begins an item of a list.
	item bool
}

func (o *outline) line(level int, label, value string) {
	o.lines = append(o.lines, outlineLine{level: level, label: label, value: value})
}

// pairs writes a map with one pair on a line.
func (o *outline) pairs(label, between string, pairs map[string]string) {
	if len(pairs) == 0 {
		o.line(0, label, nothing)
	}
	for i, key := range sortedKeys(pairs) {
		if i > 0 {
			label = ""
		}
		o.line(0, label, key+between+pairs[key])
	}
}

// fields adds the fields of an object but for what the head and the table of conditions tell.
func (o *outline) fields(object []byte) error {
	top, err := members(object)
	if err != nil {
		return err
	}
	for _, m := range top {
		switch m.name {
		case "apiVersion", "kind", "metadata":
			continue
		case "status":
			status, err := members(m.value)
			if err != nil {
				return err
			}
			status = slices.DeleteFunc(status, func(m member) bool { return m.name == "conditions" })
			if len(status) == 0 {
				continue
			}
			o.line(0, "Status", "")
			if err := o.members(1, status); err != nil {
				return err
			}
		default:
			if err := o.value(0, labelOf(m.name), m.value); err != nil {
				return err
			}
		}
	}
	return nil
}

// member is a member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members returns those of a JSON object, in their order.
func members(data []byte) ([]member, error) {
	in := json.NewDecoder(bytes.NewReader(data))
	if _, err := in.Token(); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	var out []member
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return nil, fmt.Errorf("read JSON: %w", err)
		}
		m := member{name: fmt.Sprint(name)}
		if err := in.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("read JSON: %w", err)
		}
		out = append(out, m)
	}
	return out, nil
}

func (o *outline) members(level int, list []member) error {
	for _, m := range list {
		if err := o.value(level, labelOf(m.name), m.value); err != nil {
			return err
		}
	}
	return nil
}

func (o *outline) value(level int, label string, data json.RawMessage) error {
	switch data[0] {
	case '{':
		nested, err := members(data)
		if err != nil {
			return err
		}
		if len(nested) == 0 {
			o.line(level, label, "{}")
			return nil
		}
		o.line(level, label, "")
		return o.members(level+1, nested)
	case '[':
		return o.list(level, label, data)
	case '"':
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("read JSON: %w", err)
		}
		if text != "" {
			o.line(level, label, text)
		}
	default:
		o.line(level, label, string(data))
	}
	return nil
}

func (o *outline) list(level int, label string, data json.RawMessage) error {
	var items []json.RawMessage
	if err := json.Unmarshal(data, &items); err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	if len(items) == 0 {
		o.line(level, label, "[]")
		return nil
	}
	o.line(level, label, "")
	for _, item := range items {
		begin := len(o.lines)
		if err := o.item(level, item); err != nil {
			return err
		}
		if begin == len(o.lines) {
			o.line(level+2, "", "{}")
		}
		o.lines[begin].item = true
	}
	return nil
}

func (o *outline) item(level int, data json.RawMessage) error {
	if data[0] != '{' {
		return o.value(level+2, "", data)
	}
	nested, err := members(data)
	if err != nil {
		return err
	}
	return o.members(level+2, nested)
}

// write aligns the values of each run of lines that have one, on the same level.
func (o *outline) write(w *strings.Builder) {
	for start := 0; start < len(o.lines); {
		end, width := start, 0
		for end < len(o.lines) && o.lines[end].value != "" && o.lines[end].level == o.lines[start].level {
			width = max(width, o.lines[end].width())
			end++
		}
		for _, l := range o.lines[start:end] {
			l.write(w, width)
		}
		if end == start { // a label alone
			o.lines[end].write(w, 0)
			end++
		}
		start = end
	}
}

func (l outlineLine) lead() string {
	indent := strings.Repeat("  ", l.level)
	if l.item {
		indent = indent[2:] + "- "
	}
	if l.label == "" {
		return indent
	}
	return indent + l.label + ":"
}

func (l outlineLine) width() int { return utf8.RuneCountInString(l.lead()) }

func (l outlineLine) write(w *strings.Builder, width int) {
	if l.value == "" {
		w.WriteString(strings.TrimRight(l.lead(), " ") + "\n")
		return
	}
	gap := strings.Repeat(" ", width-l.width()+2)
	if l.item && l.label == "" {
		gap = ""
	}
	below := "\n" + strings.Repeat(" ", l.width()+len(gap))
	w.WriteString(l.lead() + gap + strings.ReplaceAll(strings.TrimRight(l.value, "\n"), "\n", below) + "\n")
}

// labelOf makes words of a field's name: containerConcurrency becomes Container Concurrency. Names that are the user's
// own, with dots and slashes, stay.
func labelOf(name string) string {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return name
		}
	}
	var b strings.Builder
	previous := rune(0)
	for i, r := range name {
		switch {
		case i == 0:
			r = unicode.ToUpper(r)
		case unicode.IsUpper(r) && unicode.IsLower(previous):
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		previous = r
	}
	return b.String()
}
