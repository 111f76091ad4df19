// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/proto"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/util/jsonpath"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/store"
)

// printer writes objects in one of the forms of `get -o`.
type printer interface {
	// list writes what was found; single tells that one object was asked for by name.
	list(w io.Writer, groups []group, single bool) error
	// event writes an object that a watch told of.
	event(w io.Writer, k kinds.Kind, obj store.Object) error
}

// Forms of -o.
const (
	formJSON    = "json"
	formYAML    = "yaml"
	formName    = "name"
	formWide    = "wide"
	formPath    = "jsonpath"
	formColumns = "custom-columns"
)

// outputForms are the values of -o, for completion and errors.
func outputForms() []string {
	return []string{formYAML, formJSON, formName, formWide, formPath + "=", formColumns + "="}
}

// layout says how tables look.
type layout struct {
	// namespaces adds the column NAMESPACE.
	namespaces bool
	noHeaders  bool
	wide       bool
	// typed puts the kind before each name, since there are several kinds.
	typed bool
}

// newPrinter reads the value of -o.
func newPrinter(form string, l layout) (printer, error) {
	name, arg, hasArg := strings.Cut(form, "=")
	switch {
	case form == "":
		return &tables{layout: l}, nil
	case form == formWide:
		l.wide = true
		return &tables{layout: l}, nil
	case form == formJSON, form == formYAML:
		return &documents{yaml: form == formYAML}, nil
	case form == formName:
		return names{}, nil
	case name == formPath && hasArg:
		return newTemplate(arg)
	case name == formColumns && hasArg:
		return newCustomColumns(arg, l.noHeaders)
	case form == formPath, form == formColumns:
		return nil, fmt.Errorf("-o %s needs a value, as in -o jsonpath='{.status.url}' or -o custom-columns=NAME:.metadata.name", form)
	}
	return nil, fmt.Errorf("-o %s is not a form of output; there are %s", form, strings.Join(outputForms(), ", "))
}

// names writes TYPE/NAME lines.
type names struct{}

func (p names) list(w io.Writer, groups []group, _ bool) error {
	for _, g := range groups {
		for _, obj := range g.objects {
			if err := p.event(w, g.kind, obj); err != nil {
				return err
			}
		}
	}
	return nil
}

func (names) event(w io.Writer, k kinds.Kind, obj store.Object) error {
	_, err := fmt.Fprintf(w, "%s/%s\n", typeName(k), obj.GetMetadata().GetName())
	return err
}

// documents writes YAML or JSON.
type documents struct {
	yaml bool
	// begun tells that a document was written.
	begun bool
}

func (p *documents) list(w io.Writer, groups []group, single bool) error {
	data, err := listJSON(groups, single)
	if err != nil || data == nil {
		return err
	}
	return p.write(w, data)
}

func (p *documents) event(w io.Writer, _ kinds.Kind, obj store.Object) error {
	data, err := objectJSON(obj)
	if err != nil {
		return err
	}
	return p.write(w, data)
}

func (p *documents) write(w io.Writer, data []byte) error {
	var out []byte
	if p.yaml {
		text, err := codec.JSONToYAML(data)
		if err != nil {
			return fmt.Errorf("write YAML: %w", err)
		}
		if p.begun {
			out = []byte("---\n")
		}
		out = append(out, text...)
	} else {
		var b bytes.Buffer
		if err := json.Indent(&b, data, "", "    "); err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		out = append(b.Bytes(), '\n')
	}
	p.begun = true
	_, err := w.Write(out)
	return err
}

// objectJSON is an object as people want to read it: without the records of who wrote which field.
func objectJSON(obj store.Object) ([]byte, error) {
	if len(obj.GetMetadata().GetManagedFields()) > 0 {
		obj = proto.CloneOf(obj)
		obj.GetMetadata().ManagedFields = nil
	}
	return codec.Marshal(obj)
}

// listJSON is an object, or a List of objects; nil when the one that was asked for is not there.
func listJSON(groups []group, single bool) ([]byte, error) {
	list := struct {
		APIVersion string            `json:"apiVersion"`
		Items      []json.RawMessage `json:"items"`
		Kind       string            `json:"kind"`
		Metadata   map[string]string `json:"metadata"`
	}{"v1", []json.RawMessage{}, "List", map[string]string{"resourceVersion": ""}}
	for _, g := range groups {
		for _, obj := range g.objects {
			data, err := objectJSON(obj)
			if err != nil {
				return nil, err
			}
			list.Items = append(list.Items, data)
		}
	}
	switch {
	case single && len(list.Items) == 0:
		return nil, nil
	case single:
		return list.Items[0], nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(list); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// template writes what a JSONPath template makes of an object, or of a List.
type template struct{ path *jsonpath.JSONPath }

func newTemplate(text string) (*template, error) {
	path, err := parsePath(text, true)
	if err != nil {
		return nil, fmt.Errorf("-o jsonpath: %w", err)
	}
	return &template{path}, nil
}

// parsePath reads a JSONPath. Braces may be left out of one that is a path alone.
func parsePath(text string, missingAllowed bool) (*jsonpath.JSONPath, error) {
	if !strings.Contains(text, "{") {
		text = "{." + strings.TrimPrefix(text, ".") + "}"
	}
	path := jsonpath.New("path").AllowMissingKeys(missingAllowed)
	if err := path.Parse(text); err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	return path, nil
}

func (p *template) list(w io.Writer, groups []group, single bool) error {
	data, err := listJSON(groups, single)
	if err != nil || data == nil {
		return err
	}
	return p.execute(w, data)
}

func (p *template) event(w io.Writer, _ kinds.Kind, obj store.Object) error {
	data, err := objectJSON(obj)
	if err != nil {
		return err
	}
	return p.execute(w, data)
}

func (p *template) execute(w io.Writer, data []byte) error {
	value, err := decodeJSON(data)
	if err != nil {
		return err
	}
	if err := p.path.Execute(w, value); err != nil {
		return fmt.Errorf("-o jsonpath: %w", err)
	}
	return nil
}

// decodeJSON reads JSON with integers as integers.
func decodeJSON(data []byte) (any, error) {
	var value any
	if err := kjson.Unmarshal(data, &value); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	return value, nil
}
