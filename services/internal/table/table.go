// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package table lays objects out as the rows that `kubectl get` shows: the name, the columns that a kind's option lists,
// and the age.
package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/util/jsonpath"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/codec"
)

// typeDate is the type of columns that show ages.
const typeDate = "date"

// Object is what a row is made of.
type Object interface {
	proto.Message
	GetMetadata() *metav1.ObjectMeta
}

// unknown stands where a time is missing or in no known form, as kubectl has it.
const unknown = "<unknown>"

// Render returns the table of objects of a kind: column definitions, and one row an object, in the same order, with the
// object's metadata (a PartialObjectMetadata) beside the cells. Columns with a priority above 0 are for wide output. A
// cell without a value is nil. Ages are those at now. The table's own metadata is left to the caller.
func Render[T Object](k kinds.Kind, objs []T, now time.Time) (*kmetav1.Table, error) {
	columns, err := columnsOf(k)
	if err != nil {
		return nil, err
	}
	t := &kmetav1.Table{Rows: make([]kmetav1.TableRow, 0, len(objs))}
	for _, c := range columns {
		t.ColumnDefinitions = append(t.ColumnDefinitions, c.definition)
	}
	for _, obj := range objs {
		row, err := rowOf(columns, obj, now)
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// column is one column and where its values are. A nil path is that of the name.
type column struct {
	definition kmetav1.TableColumnDefinition
	path       *jsonpath.JSONPath
}

func columnsOf(k kinds.Kind) ([]column, error) {
	columns := []column{{definition: kmetav1.TableColumnDefinition{
		Name: "Name", Type: "string", Format: "name",
		Description: "Name of the object, unique within its namespace and kind.",
	}}}
	for _, c := range k.Columns {
		path, err := parse(c.Name, c.JSONPath)
		if err != nil {
			return nil, fmt.Errorf("column %s of %s: %w", c.Name, k.Kind, err)
		}
		kind := c.Type
		if kind == "" {
			kind = "string"
		}
		columns = append(columns, column{path: path, definition: kmetav1.TableColumnDefinition{
			Name: c.Name, Type: kind, Priority: c.Priority, Description: "The value at " + c.JSONPath + ".",
		}})
	}
	path, err := parse("Age", ".metadata.creationTimestamp")
	if err != nil {
		return nil, err
	}
	return append(columns, column{path: path, definition: kmetav1.TableColumnDefinition{
		Name: "Age", Type: typeDate, Description: "How long ago the object was created.",
	}}), nil
}

func parse(name, path string) (*jsonpath.JSONPath, error) {
	p := jsonpath.New(name).AllowMissingKeys(true)
	return p, p.Parse("{" + path + "}")
}

func rowOf(columns []column, obj Object, now time.Time) (kmetav1.TableRow, error) {
	data, err := codec.Marshal(obj)
	if err != nil {
		return kmetav1.TableRow{}, err
	}
	var content map[string]any
	in := json.NewDecoder(bytes.NewReader(data))
	in.UseNumber() // large integers stay what they are
	if err := in.Decode(&content); err != nil {
		return kmetav1.TableRow{}, err
	}
	row := kmetav1.TableRow{Cells: make([]any, len(columns))}
	for i, c := range columns {
		if c.path == nil {
			row.Cells[i] = obj.GetMetadata().GetName()
			continue
		}
		row.Cells[i] = c.cell(content, now)
	}
	row.Object.Raw, err = Partial("meta.k8s.io/v1", obj.GetMetadata())
	return row, err
}

// Partial is the metadata of an object as a Kubernetes object of its own, a PartialObjectMetadata of the version given, in JSON.
func Partial(apiVersion string, m *metav1.ObjectMeta) ([]byte, error) {
	data, err := codec.Marshal(m)
	if err != nil {
		return nil, err
	}
	raw := append([]byte(`{"kind":"PartialObjectMetadata","apiVersion":`+strconv.Quote(apiVersion)+`,"metadata":`), data...)
	return append(raw, '}'), nil
}

// cell is the first value that the path leads to, in the form of the column's type.
func (c column) cell(content map[string]any, now time.Time) any {
	results, err := c.path.FindResults(content)
	if err != nil || len(results) == 0 || len(results[0]) == 0 {
		if c.definition.Type == typeDate {
			return unknown
		}
		return nil
	}
	value := results[0][0].Interface()
	switch c.definition.Type {
	case "integer", "number":
		return number(value)
	case "boolean":
		if b, ok := value.(bool); ok {
			return b
		}
		return nil
	case typeDate:
		return age(value, now)
	default:
		var b strings.Builder
		if err := c.path.PrintResults(&b, []reflect.Value{reflect.ValueOf(value)}); err != nil {
			return nil
		}
		return b.String()
	}
}

func number(value any) any {
	n, ok := value.(json.Number)
	if !ok {
		return nil
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	if f, err := n.Float64(); err == nil && !math.IsInf(f, 0) {
		return f
	}
	return nil
}

// age tells how long ago a time was, such as 5m or 3d.
func age(value any, now time.Time) string {
	text, ok := value.(string)
	if !ok {
		return unknown
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return unknown
	}
	return duration.HumanDuration(now.Sub(t))
}
