// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"slices"

	"connectrpc.com/connect"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// message is a request or an answer, in its encoding: it is looked into only where the caller speaks JSON.
type message struct {
	desc protoreflect.MessageDescriptor
	data []byte
}

// initialize tells a request what it is.
func initialize(spec connect.Spec, m any) error {
	method, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if msg, is := m.(*message); ok && is {
		msg.desc = method.Input()
		return nil
	}
	return fmt.Errorf("%s has no schema", spec.Procedure)
}

// decoded returns an empty message of the type.
func (m *message) empty() (proto.Message, error) {
	typ, err := protoregistry.GlobalTypes.FindMessageByName(m.desc.FullName())
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", m.desc.FullName(), err)
	}
	return typ.New().Interface(), nil
}

// binaryCodec hands encodings through. Other messages, which are those of the protocol, it encodes.
type binaryCodec struct{}

// Name implements connect.Codec.
func (binaryCodec) Name() string { return "proto" }

// Marshal implements connect.Codec.
func (binaryCodec) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case *message:
		return m.data, nil
	case proto.Message:
		return proto.Marshal(m) //nolint:wrapcheck // connect says what it is
	}
	return nil, fmt.Errorf("a %T is no message", v)
}

// Unmarshal implements connect.Codec. The data is the caller's again afterwards.
func (binaryCodec) Unmarshal(data []byte, v any) error {
	switch m := v.(type) {
	case *message:
		m.data = slices.Clone(data)
		return nil
	case proto.Message:
		return proto.Unmarshal(data, m) //nolint:wrapcheck // connect says what it is
	}
	return fmt.Errorf("a %T is no message", v)
}

// jsonCodec is the JSON of protobuf, which generated clients speak; it is not Kubernetes'. Fields that nobody knows are
// faults, as they are elsewhere over gRPC.
type jsonCodec struct{ name string }

// Name implements connect.Codec.
func (c jsonCodec) Name() string { return c.name }

// Marshal implements connect.Codec.
func (jsonCodec) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case *message:
		msg, err := m.empty()
		if err != nil {
			return nil, err
		}
		if err := proto.Unmarshal(m.data, msg); err != nil {
			return nil, err //nolint:wrapcheck // connect says what it is
		}
		return protojson.Marshal(msg) //nolint:wrapcheck // connect says what it is
	case proto.Message:
		return protojson.Marshal(m) //nolint:wrapcheck // connect says what it is
	}
	return nil, fmt.Errorf("a %T is no message", v)
}

// Unmarshal implements connect.Codec.
func (jsonCodec) Unmarshal(data []byte, v any) error {
	switch m := v.(type) {
	case *message:
		msg, err := m.empty()
		if err != nil {
			return err
		}
		if err := protojson.Unmarshal(data, msg); err != nil {
			return err //nolint:wrapcheck // connect says what it is
		}
		m.data, err = proto.Marshal(msg)
		return err //nolint:wrapcheck // connect says what it is
	case proto.Message:
		return protojson.Unmarshal(data, m) //nolint:wrapcheck // connect says what it is
	}
	return fmt.Errorf("a %T is no message", v)
}

// passCodec takes messages to services and back as they are.
type passCodec struct{}

var _ encoding.CodecV2 = passCodec{}

// Name implements encoding.CodecV2.
func (passCodec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (passCodec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*message); ok {
		return mem.BufferSlice{mem.SliceBuffer(m.data)}, nil
	}
	return nil, fmt.Errorf("a %T is no message of a caller", v)
}

// Unmarshal implements encoding.CodecV2.
func (passCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(*message); ok {
		m.data = data.Materialize()
		return nil
	}
	return fmt.Errorf("a %T is no message for a caller", v)
}
