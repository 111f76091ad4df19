// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package codec turns messages into Kubernetes JSON and YAML and back, guided by their descriptors and by the options in
// fairlead/meta/v1/options.proto.
//
// Kubernetes JSON differs from protojson: 64-bit integers are numbers, arbitrary JSON stands inline, an object names
// its apiVersion and kind, quantities and durations are checked strings, and a document's unknown fields are told apart
// from its faults.
package codec

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/services/internal/apierror"
)

const (
	// DefaultMaxBytes is the most that one request may hold.
	DefaultMaxBytes = 5 << 20
	// DefaultMaxDocuments is the most documents that one request may hold.
	DefaultMaxDocuments = 1000
	// MaxDepth is how deep objects and lists may be nested in each other.
	MaxDepth = 100
	// maxFaults bounds the faults that are told, and so the size of an answer.
	maxFaults = 100
)

// Names of what an object says about its own type.
const (
	nameAPIVersion = "apiVersion"
	nameKind       = "kind"
)

// Options say how a document is read.
type Options struct {
	// Strict makes errors of unknown and duplicate fields. Otherwise they are warnings.
	Strict bool
	// MaxBytes is the size above which a document is refused; 0 means DefaultMaxBytes, below 0 there is no limit.
	MaxBytes int
}

// Unmarshal reads one JSON document into m, whose former content is dropped.
//
// Faults are collected: the error is an *apierror.Error with a cause for each of them, at its field path. Unknown and
// duplicate fields come back as warnings, worded as kube-apiserver words them, or are errors if o.Strict is set. After
// an error the content of m is undefined.
func Unmarshal(data []byte, m proto.Message, o Options) (warnings []string, err error) {
	limit := o.MaxBytes
	if limit == 0 {
		limit = DefaultMaxBytes
	}
	if limit > 0 && len(data) > limit {
		return nil, tooLarge(limit)
	}
	proto.Reset(m)
	d := &decoder{in: newReader(data)}
	if err := d.document(m.ProtoReflect()); err != nil {
		return nil, syntaxError(data, err)
	}
	t := tableOf(m.ProtoReflect().Descriptor())
	if o.Strict {
		return nil, d.report(t, d.unexpected)
	}
	for _, u := range d.unexpected {
		warnings = append(warnings, u.Message)
	}
	return warnings, d.report(t, nil)
}

// Marshal writes m as one line of JSON. The same message gives the same bytes: fields stand in the order of their
// declaration, after apiVersion and kind, and map keys are sorted. Fields that are not set are left out.
func Marshal(m proto.Message) ([]byte, error) { return Append(nil, m) }

// Append is Marshal that appends to buf.
func Append(buf []byte, m proto.Message) ([]byte, error) {
	out, err := appendMessage(buf, m)
	if err != nil {
		return nil, apierror.Internal(err)
	}
	return out, nil
}

// AppendEncoded is Append for a message that is given in its protobuf encoding, which need not be the one that proto.Marshal
// makes of it.
func AppendEncoded(buf []byte, md protoreflect.MessageDescriptor, encoded []byte) ([]byte, error) {
	out, err := appendEncoded(buf, tableOf(md), encoded)
	if err != nil {
		return nil, apierror.Internal(err)
	}
	return out, nil
}

// MarshalYAML writes m as a YAML document with sorted keys, as kubectl does.
func MarshalYAML(m proto.Message) ([]byte, error) {
	data, err := Marshal(m)
	if err != nil {
		return nil, err
	}
	return JSONToYAML(data)
}

// Name is what an object is called, and where.
type Name struct {
	// Namespace is empty where the document names none.
	Namespace string
	// Name is empty where the server is to make one.
	Name string
	// GenerateName is the prefix for a name made by the server.
	GenerateName string
}

// TypeMeta tells what object a JSON document holds, without reading the rest of it. What the document leaves out is
// empty.
func TypeMeta(data []byte) (apiVersion, kind string, name Name, err error) {
	d := &decoder{in: newReader(data)}
	var strings [2]string
	err = d.object(func(key string) error {
		switch key {
		case nameAPIVersion:
			return d.text(&strings[0])
		case nameKind:
			return d.text(&strings[1])
		case "metadata":
			return d.objectName(&name)
		default:
			return d.in.SkipValue()
		}
	})
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return "", "", Name{}, syntaxError(data, err)
	}
	return strings[0], strings[1], name, d.report(&table{}, nil)
}

func (d *decoder) objectName(name *Name) error {
	if d.in.PeekKind() == 'n' {
		return d.in.SkipValue()
	}
	return d.object(func(key string) error {
		switch key {
		case "namespace":
			return d.text(&name.Namespace)
		case "name":
			return d.text(&name.Name)
		case "generateName":
			return d.text(&name.GenerateName)
		default:
			return d.in.SkipValue()
		}
	})
}

// newReader lets duplicate names through, since the decoder reports them with their paths.
func newReader(data []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
}

// syntaxError words an error of the JSON reader for the user.
func syntaxError(data []byte, err error) error {
	if known, ok := errors.AsType[*apierror.Error](err); ok {
		return known
	}
	line, text := jsonProblem(data, err)
	return apierror.BadRequest("invalid JSON: line %d: %s", line, text).Wrap(err)
}

// jsonProblem tells the line and the nature of an error of the JSON reader.
func jsonProblem(data []byte, err error) (line int, text string) {
	offset, text := len(data), "unexpected end of input"
	var syntax *jsontext.SyntacticError
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		text = "the document is empty"
	case errors.As(err, &syntax) && !errors.Is(err, io.ErrUnexpectedEOF):
		offset, text = min(int(syntax.ByteOffset), len(data)), syntax.Err.Error()
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		text = err.Error()
	}
	return 1 + bytes.Count(data[:offset], []byte{'\n'}), text
}

func tooLarge(limit int) *apierror.Error {
	return apierror.New(apierror.ReasonRequestEntityTooLarge, "the document is larger than %d bytes, the most that is accepted", limit)
}
