// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v2"

	"fairlead.dev/services/internal/apierror"
)

// Limits bound what is read from outside.
type Limits struct {
	// Bytes is the size of the input; 0 means DefaultMaxBytes. The JSON made of it may take twice as much, so that
	// aliases cannot blow it up.
	Bytes int
	// Documents is how many there may be, items of lists included; 0 means DefaultMaxDocuments.
	Documents int
}

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = DefaultMaxBytes
	}
	if l.Documents <= 0 {
		l.Documents = DefaultMaxDocuments
	}
	return l
}

// Documents reads a file of YAML or JSON documents, as `kubectl apply -f` does, and returns each as JSON in one line.
// Documents without content are skipped, and lists stand for their items. An error names the document, counted from 1
// with those that are skipped, and the line of the file.
//
// Keys that occur twice occur twice in the JSON too, for Unmarshal to tell with their paths.
func Documents(data []byte, limits Limits) ([]json.RawMessage, error) {
	limits = limits.withDefaults()
	if len(data) > limits.Bytes {
		return nil, tooLarge(limits.Bytes)
	}
	c := &collector{limits: limits}
	if err := c.read(data); err != nil {
		return nil, err
	}
	return c.documents, nil
}

// YAMLToJSON turns one document of YAML or JSON into one line of JSON.
func YAMLToJSON(data []byte, limits Limits) ([]byte, error) {
	limits = limits.withDefaults()
	if len(data) > limits.Bytes {
		return nil, tooLarge(limits.Bytes)
	}
	limits.Documents = 1
	c := &collector{limits: limits, keepLists: true}
	if err := c.read(data); err != nil {
		return nil, err
	}
	if len(c.documents) == 0 {
		return nil, apierror.BadRequest("the document is empty")
	}
	return c.documents[0], nil
}

// collector gathers documents within limits.
type collector struct {
	limits    Limits
	documents []json.RawMessage
	// keepLists leaves lists as they are.
	keepLists bool
	// size is that of the JSON made so far.
	size int
}

func (c *collector) read(data []byte) error {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		done, err := c.readJSON(data)
		if done {
			return err
		}
		*c = collector{limits: c.limits, keepLists: c.keepLists}
	}
	return c.readYAML(data)
}

// readJSON reads JSON values one after another. It is not done if the input may be YAML, which JSON is a part of.
func (c *collector) readJSON(data []byte) (done bool, err error) {
	in := newReader(data)
	for n := 1; ; n++ {
		v, err := in.ReadValue()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			if n > 1 || !looksLikeJSON(data) {
				return false, nil
			}
			line, text := jsonProblem(data, err)
			return true, documentError(n, line, text)
		}
		line := 1 + bytes.Count(data[:int(in.InputOffset())-len(v)], []byte{'\n'})
		compact, err := compactJSON(v)
		if err == nil {
			err = c.add(json.RawMessage(compact))
		}
		if err != nil {
			return true, documentError(n, line, err.Error())
		}
	}
}

// looksLikeJSON tells JSON from YAML in braces by the quotes around the first name.
func looksLikeJSON(data []byte) bool {
	rest := bytes.TrimLeft(data, " \t\r\n")
	rest = bytes.TrimLeft(bytes.TrimPrefix(rest, []byte("{")), " \t\r\n")
	return len(rest) == 0 || rest[0] == '"' || rest[0] == '}'
}

// readYAML reads documents that are separated as YAML says.
func (c *collector) readYAML(data []byte) error {
	n, read := 0, 0
	for _, part := range split(data) {
		if part.content == 0 {
			n++
			continue
		}
		in := yaml.NewDecoder(bytes.NewReader(part.text))
		for { // more than one only if a document ends with `...`
			doc := &yamlDocument{merge: mergeKey.Match(part.text)}
			err := in.Decode(doc)
			if errors.Is(err, io.EOF) {
				break
			}
			n++
			if err != nil {
				line, text := yamlProblem(part, err)
				return documentError(n, line, text)
			}
			if read++; read > c.limits.Documents {
				return documentError(n, part.content, c.tooMany().Error())
			}
			if doc.value == nil {
				continue
			}
			w := &jsonWriter{limit: 2*c.limits.Bytes - c.size}
			if err = w.value(doc.value, 0); err == nil {
				err = c.add(w.buf)
			}
			if err != nil {
				return documentError(n, part.content, err.Error())
			}
		}
	}
	return nil
}

func documentError(number, line int, text string) error {
	return apierror.BadRequest("document %d, line %d: %s", number, line, text)
}

// add takes a document, or the items of a list.
func (c *collector) add(doc json.RawMessage) error {
	c.size += len(doc)
	if doc[0] != '{' {
		return fmt.Errorf("expected an object, got %s", describe(jsontext.Value(doc)))
	}
	if !c.keepLists {
		items, isList, err := listItems(doc)
		if err != nil {
			return err
		}
		if isList {
			for i, item := range items {
				if err := c.add(item); err != nil {
					return fmt.Errorf("item %d: %w", i, err)
				}
			}
			return nil
		}
	}
	if len(c.documents) == c.limits.Documents {
		return c.tooMany()
	}
	c.documents = append(c.documents, doc)
	return nil
}

func (c *collector) tooMany() error {
	if c.limits.Documents == 1 {
		return errors.New("expected one document, got more")
	}
	return fmt.Errorf("there are more than %d documents, the most that are accepted", c.limits.Documents)
}

// listItems returns the items of a document whose kind is List or ends so, and that has items. Items that do not say
// what they are get it from a list that does, such as a ServiceList.
func listItems(doc json.RawMessage) (items []json.RawMessage, isList bool, err error) {
	var head struct {
		APIVersion, Kind string
		Items            jsontext.Value
	}
	d := &decoder{in: newReader(doc)}
	err = d.object(func(name string) error {
		switch name {
		case nameAPIVersion:
			return d.text(&head.APIVersion)
		case nameKind:
			return d.text(&head.Kind)
		case "items":
			v, err := d.in.ReadValue()
			head.Items = v.Clone()
			return err
		default:
			return d.in.SkipValue()
		}
	})
	if err != nil {
		return nil, false, err
	}
	itemKind, isList := strings.CutSuffix(head.Kind, "List")
	switch {
	case !isList:
		return nil, false, nil
	case head.Items == nil: // a List without items is one all the same; a PriceList is a kind of its own
		return nil, itemKind == "", nil
	case head.Items.Kind() != '[':
		return nil, false, nil
	}
	if err := json.Unmarshal(head.Items, &items); err != nil {
		return nil, false, err
	}
	for i, item := range items {
		if itemKind != "" && item[0] == '{' {
			if items[i], err = withType(item, head.APIVersion, itemKind); err != nil {
				return nil, false, err
			}
		}
	}
	return items, true, nil
}

// withType puts apiVersion and kind into an object that has neither.
func withType(item json.RawMessage, apiVersion, kind string) (json.RawMessage, error) {
	itemVersion, itemKind, _, err := TypeMeta(item)
	if err != nil || itemVersion != "" || itemKind != "" {
		return item, nil //nolint:nilerr // what is wrong with the item is told when the item is read
	}
	v, err := jsontext.AppendQuote([]byte(`{"apiVersion":`), apiVersion)
	if err != nil {
		return nil, err
	}
	if v, err = jsontext.AppendQuote(append(v, `,"kind":`...), kind); err != nil {
		return nil, err
	}
	if len(item) > len("{}") {
		v = append(v, ',')
	}
	return append(v, item[1:]...), nil
}
