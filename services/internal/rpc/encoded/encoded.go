// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package encoded has answers that are encoded already: the store keeps objects as bytes, and one that is only passed on need
// not become a message and bytes again.
package encoded

import (
	"sync"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec of all other messages
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// fewParts is up to how many parts are handed on as they are. More of them are copied together: many small buffers cost
	// more than their bytes.
	fewParts = 4
	// chunkBytes is the size of the buffers of an answer of many parts.
	chunkBytes = 1 << 20
)

// Answer is a message that is given by its encoding. It is a proto.Message too: who looks into it has it decoded.
type Answer struct {
	typ   protoreflect.MessageType
	parts [][]byte
	size  int

	once    sync.Once
	decoded protoreflect.Message
}

// New makes an answer of a type, whose encoding is in parts. They must be a valid encoding together, and must not be changed
// any more.
func New(typ protoreflect.MessageType, parts ...[]byte) *Answer {
	a := &Answer{typ: typ, parts: parts}
	for _, p := range parts {
		a.size += len(p)
	}
	return a
}

// ProtoReflect decodes the answer, when it is first asked for.
func (a *Answer) ProtoReflect() protoreflect.Message {
	a.once.Do(func() {
		m := a.typ.New()
		_ = proto.Unmarshal(a.Bytes(), m.Interface()) // it is valid
		a.decoded = m
	})
	return a.decoded
}

// Bytes is the encoding in one piece, which is the caller's.
func (a *Answer) Bytes() []byte {
	out := make([]byte, 0, a.size)
	for _, p := range a.parts {
		out = append(out, p...)
	}
	return out
}

// buffers is the encoding as gRPC takes it.
func (a *Answer) buffers() mem.BufferSlice {
	if len(a.parts) <= fewParts {
		out := make(mem.BufferSlice, len(a.parts))
		for i, p := range a.parts {
			out[i] = mem.SliceBuffer(p)
		}
		return out
	}
	pool := mem.DefaultBufferPool()
	var out mem.BufferSlice
	left := a.size
	var chunk *[]byte
	room := 0
	for _, p := range a.parts {
		for len(p) > 0 {
			if room == 0 {
				room = min(left, chunkBytes)
				chunk = pool.Get(room)
				*chunk = (*chunk)[:0]
			}
			n := min(len(p), room)
			*chunk = append(*chunk, p[:n]...)
			p, room, left = p[n:], room-n, left-n
			if room == 0 {
				out = append(out, mem.NewBuffer(chunk, pool))
			}
		}
	}
	return out
}

// AppendField returns the encoding of what comes before a field of size bytes: appended to it, the bytes are a text, a
// message or one more item of a list.
func AppendField(b []byte, number protoreflect.FieldNumber, size int) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(size))
}

// codec is that of protobuf, which takes answers as they are.
type codec struct{ encoding.CodecV2 }

// Codec returns the codec for servers that give answers.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2("proto")} }

// Marshal encodes a message.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if a, ok := v.(*Answer); ok {
		return a.buffers(), nil
	}
	return c.CodecV2.Marshal(v)
}
