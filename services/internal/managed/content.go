// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Objects pass between messages and the maps that Kubernetes merges as JSON that the codec writes and reads. It is known to be
// valid, which makes reading it quick.

var errNotJSON = errors.New("managed: this is no JSON object")

// readContent reads a JSON object that is known to be valid. Integers are int64 and other numbers float64, as Kubernetes has
// them. Of a name that occurs again the last one counts.
func readContent(data []byte) (map[string]any, error) {
	r := &reader{data: data}
	v, err := r.value()
	if err != nil {
		return nil, err
	}
	content, ok := v.(map[string]any)
	if !ok {
		return nil, errNotJSON
	}
	return content, nil
}

// reader reads valid JSON.
type reader struct {
	data []byte
	at   int
}

// next returns the next byte that is no white space, without taking it; 0 at the end.
func (r *reader) next() byte {
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (r *reader) value() (any, error) {
	switch r.next() {
	case '{':
		return r.object()
	case '[':
		return r.list()
	case '"':
		return r.text()
	case 't':
		r.at += len("true")
		return true, nil
	case 'f':
		r.at += len("false")
		return false, nil
	case 'n':
		r.at += len("null")
		return nil, nil //nolint:nilnil // null is a value
	default:
		return r.number()
	}
}

func (r *reader) object() (map[string]any, error) {
	r.at++
	out := map[string]any{}
	for {
		switch r.next() {
		case '}':
			r.at++
			return out, nil
		case ',':
			r.at++
		case '"':
			name, err := r.text()
			if err != nil {
				return nil, err
			}
			if r.next() != ':' {
				return nil, errNotJSON
			}
			r.at++
			if out[name], err = r.value(); err != nil {
				return nil, err
			}
		default:
			return nil, errNotJSON
		}
	}
}

func (r *reader) list() ([]any, error) {
	r.at++
	out := []any{}
	for {
		switch r.next() {
		case ']':
			r.at++
			return out, nil
		case ',':
			r.at++
		case 0:
			return nil, errNotJSON
		default:
			v, err := r.value()
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
	}
}

func (r *reader) text() (string, error) {
	begin, escaped := r.at, false
	for r.at++; r.at < len(r.data); r.at++ {
		switch r.data[r.at] {
		case '\\':
			escaped = true
			r.at++
		case '"':
			r.at++
			if !escaped {
				return string(r.data[begin+1 : r.at-1]), nil
			}
			out, err := jsontext.AppendUnquote(nil, r.data[begin:r.at])
			if err != nil {
				return "", fmt.Errorf("managed: a string: %w", err)
			}
			return string(out), nil
		}
	}
	return "", errNotJSON
}

func (r *reader) number() (any, error) {
	begin := r.at
	for r.at < len(r.data) && strings.IndexByte("+-.0123456789eE", r.data[r.at]) >= 0 {
		r.at++
	}
	text := string(r.data[begin:r.at])
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, errNotJSON
	}
	return f, nil
}

// appendContent appends a value as JSON, in no order.
func appendContent(buf []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(buf, "null"...), nil
	case bool:
		return strconv.AppendBool(buf, v), nil
	case int64:
		return strconv.AppendInt(buf, v, 10), nil
	case string:
		buf, err := jsontext.AppendQuote(buf, v)
		if err != nil {
			return nil, fmt.Errorf("managed: a string: %w", err)
		}
		return buf, nil
	case map[string]any:
		return appendObject(buf, v)
	case []any:
		buf = append(buf, '[')
		for i, item := range v {
			if i > 0 {
				buf = append(buf, ',')
			}
			var err error
			if buf, err = appendContent(buf, item); err != nil {
				return nil, err
			}
		}
		return append(buf, ']'), nil
	default:
		data, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("managed: write a %T: %w", v, err)
		}
		return append(buf, data...), nil
	}
}

func appendObject(buf []byte, m map[string]any) ([]byte, error) {
	buf = append(buf, '{')
	first := true
	for name, item := range m {
		if !first {
			buf = append(buf, ',')
		}
		first = false
		var err error
		if buf, err = jsontext.AppendQuote(buf, name); err != nil {
			return nil, fmt.Errorf("managed: a name: %w", err)
		}
		buf = append(buf, ':')
		if buf, err = appendContent(buf, item); err != nil {
			return nil, err
		}
	}
	return append(buf, '}'), nil
}
