// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v2"
)

// chunk is a part of a YAML file that begins at a document marker.
type chunk struct {
	text []byte
	// line is that of the file at which text begins, content that of the first line that is no comment, or 0.
	line, content int
}

// split cuts a file at its document markers, `---` at the beginning of a line, which cannot be anything else in YAML.
// Comments and directives before the first marker belong to what follows it.
func split(data []byte) []chunk {
	var chunks []chunk
	current, marked := chunk{line: 1}, false
	for number, begin := 1, 0; begin < len(data); number++ {
		end := len(data)
		if i := bytes.IndexByte(data[begin:], '\n'); i >= 0 {
			end = begin + i + 1
		}
		line := data[begin:end]
		content, isMarker := cutMarker(line)
		if isMarker && (marked || current.content > 0) {
			chunks = append(chunks, current)
			current = chunk{line: number}
		}
		marked = marked || isMarker
		current.text = data[begin-len(current.text) : end]
		if current.content == 0 && hasContent(content, marked) {
			current.content = number
		}
		begin = end
	}
	return append(chunks, current)
}

// cutMarker cuts a document marker from the beginning of a line.
func cutMarker(line []byte) (rest []byte, found bool) {
	rest, found = bytes.CutPrefix(line, []byte("---"))
	if !found || len(rest) > 0 && strings.IndexByte(" \t\r\n", rest[0]) < 0 {
		return line, false
	}
	return rest, true
}

// hasContent tells whether a line is more than white space, a comment or, before the marker, a directive.
func hasContent(line []byte, marked bool) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && line[0] != '#' && (marked || line[0] != '%')
}

// mergeKey finds what may be a merge key, `<<`, which can be nothing else where it stands alone.
var mergeKey = regexp.MustCompile(`<<([\s:,}\]#]|$)`)

// yamlDocument is one document, as Go values. Mappings are yaml.MapSlice, which keeps the order of keys and those that
// occur twice, but knows no merge keys; with merge they are Go maps.
type yamlDocument struct {
	merge bool
	value any
}

// UnmarshalYAML is called by the YAML decoder for a document with content.
func (d *yamlDocument) UnmarshalYAML(unmarshal func(any) error) error {
	if d.merge {
		return unmarshal(&d.value)
	}
	if unmarshal(&[]ignored{}) == nil { // a list, which would fit into a MapSlice too
		return unmarshal(&d.value)
	}
	m := yaml.MapSlice{}
	err := unmarshal(&m)
	if _, ok := errors.AsType[*yaml.TypeError](err); ok { // no mapping
		return unmarshal(&d.value)
	}
	if m == nil {
		m = yaml.MapSlice{}
	}
	d.value = m
	return err
}

// ignored takes any YAML value and drops it.
type ignored struct{}

// UnmarshalYAML does nothing.
func (ignored) UnmarshalYAML(func(any) error) error { return nil }

// yamlLine finds the line in an error of the YAML reader.
var yamlLine = regexp.MustCompile(`^(?:line (\d+): )?((?s).*)$`)

// fromParser finds those errors of the YAML reader whose lines are counted from 0.
var fromParser = regexp.MustCompile(`^did not find expected (key|'-' indicator|node content|',' or '\]'|',' or '\}'|<document start>)$`)

// yamlProblem tells the line of the file and the nature of an error of the YAML reader.
func yamlProblem(c chunk, err error) (line int, text string) {
	found := yamlLine.FindStringSubmatch(strings.TrimPrefix(err.Error(), "yaml: "))
	text = found[2]
	n, convErr := strconv.Atoi(found[1])
	switch {
	case convErr != nil:
		return c.content, text
	case fromParser.MatchString(text):
		n++
	}
	last := bytes.Count(bytes.TrimSuffix(c.text, []byte("\n")), []byte("\n"))
	return c.line + min(n-1, last), text
}

// jsonWriter writes what the YAML reader read as JSON, up to a limit.
type jsonWriter struct {
	buf   []byte
	limit int
}

func (w *jsonWriter) value(v any, depth int) error {
	if len(w.buf) > w.limit {
		return fmt.Errorf("it is larger than %d bytes with its aliases replaced by what they stand for", w.limit)
	}
	if depth > MaxDepth {
		return fmt.Errorf("nested deeper than %d levels", MaxDepth)
	}
	switch v := v.(type) {
	case nil:
		w.buf = append(w.buf, "null"...)
	case yaml.MapSlice:
		return w.object(v, depth)
	case map[any]any:
		sorted := make(yaml.MapSlice, 0, len(v))
		for key, item := range v {
			sorted = append(sorted, yaml.MapItem{Key: key, Value: item})
		}
		sort.Slice(sorted, func(i, j int) bool { return fmt.Sprint(sorted[i].Key) < fmt.Sprint(sorted[j].Key) })
		return w.object(sorted, depth)
	case []any:
		w.buf = append(w.buf, '[')
		for i, item := range v {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			if err := w.value(item, depth+1); err != nil {
				return err
			}
		}
		w.buf = append(w.buf, ']')
	case string:
		return w.text(v)
	case bool:
		w.buf = strconv.AppendBool(w.buf, v)
	case int:
		w.buf = strconv.AppendInt(w.buf, int64(v), 10)
	case int64:
		w.buf = strconv.AppendInt(w.buf, v, 10)
	case uint64:
		w.buf = strconv.AppendUint(w.buf, v, 10)
	case float64:
		return w.float(v)
	default:
		return fmt.Errorf("a value of type %T cannot be written as JSON", v)
	}
	return nil
}

func (w *jsonWriter) object(m yaml.MapSlice, depth int) error {
	w.buf = append(w.buf, '{')
	for i, item := range m {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		name, err := keyText(item.Key)
		if err != nil {
			return err
		}
		if err := w.text(name); err != nil {
			return err
		}
		w.buf = append(w.buf, ':')
		if err := w.value(item.Value, depth+1); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, '}')
	return nil
}

func (w *jsonWriter) text(s string) error {
	buf, err := jsontext.AppendQuote(w.buf, s)
	if err != nil {
		return fmt.Errorf("a string is not valid UTF-8: %s", strconv.Quote(abridge(s)))
	}
	w.buf = buf
	return nil
}

func (w *jsonWriter) float(f float64) error {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return errors.New("infinity and .nan cannot be written as JSON")
	}
	b, err := json.Marshal(f)
	w.buf = append(w.buf, b...)
	return err
}

// keyText is the name that a key gets in JSON, the same as sigs.k8s.io/yaml gives it.
func keyText(key any) (string, error) {
	switch key := key.(type) {
	case string:
		return key, nil
	case int:
		return strconv.Itoa(key), nil
	case int64:
		return strconv.FormatInt(key, 10), nil
	case uint64:
		return strconv.FormatUint(key, 10), nil
	case float64:
		return strconv.FormatFloat(key, 'g', -1, 32), nil
	case bool:
		return strconv.FormatBool(key), nil
	case nil:
		return "", errors.New("a key is empty; put quotes around the name")
	default:
		return "", errors.New("a key is a list or a mapping; only names can be keys")
	}
}
