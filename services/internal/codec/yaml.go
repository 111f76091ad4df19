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
	// line is that of the file at which text begins, content that of the first line that is no comment.
	line, content int
}

// split cuts a file at its document markers, `---` at the beginning of a line, which cannot be anything else in YAML.
// Parts that hold but comments are joined to the next one, since directives stand before the marker.
func split(data []byte) []chunk {
	var chunks []chunk
	current := chunk{line: 1}
	empty := true
	for number, line := 1, 0; line < len(data); number++ {
		end := len(data)
		if i := bytes.IndexByte(data[line:], '\n'); i >= 0 {
			end = line + i + 1
		}
		text := data[line:end]
		if isMarker(text) && !empty {
			chunks = append(chunks, current)
			current, empty = chunk{line: number}, true
		}
		current.text = data[line-len(current.text) : end]
		if empty && !isComment(text) {
			current.content = number
			empty = isMarker(text) && isComment(text[len("---"):])
		}
		line = end
	}
	if current.content == 0 {
		current.content = current.line
	}
	return append(chunks, current)
}

func isMarker(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// isComment tells lines that hold no content: blank ones, comments and directives.
func isComment(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) == 0 || line[0] == '#' || line[0] == '%'
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
	var m yaml.MapSlice
	err := unmarshal(&m)
	var noMapping *yaml.TypeError
	switch {
	case errors.As(err, &noMapping):
		return unmarshal(&d.value)
	case err != nil:
		return err
	case m == nil:
		m = yaml.MapSlice{}
	}
	d.value = m
	return nil
}

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
