// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"fairlead.dev/services/internal/codec"
)

// Objects that are only read are not decoded on their way: JSON is written from the bytes that the services send. The generated
// handlers want messages; they get some whose bytes are kept as they came, as unknown fields, for rewrite to find.

// unread is the codec of protobuf, but that answers are kept as bytes.
type unread struct{ encoding.CodecV2 }

// Unmarshal keeps the bytes of an answer.
func (u unread) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return u.CodecV2.Unmarshal(data, v) //nolint:wrapcheck // grpc wraps it
	}
	proto.Reset(m)
	m.ProtoReflect().SetUnknown(data.Materialize())
	return nil
}

// keepsUnread tells whether what a request reads can be answered from its bytes: objects of a kind as they are.
func (v *view) keepsUnread(t *target) bool {
	switch v.verb {
	case "get", "list", "watch":
		return t.kind != nil && v.form.as == "" && t.subresource == ""
	}
	return false
}

// unreadConn returns a connection that hands calls on, and leaves answers encoded where the request's view says so.
// grpc-gateway wants a connection: this one never dials.
func unreadConn(conn *grpc.ClientConn) (*grpc.ClientConn, error) {
	kept := grpc.ForceCodecV2(unread{encoding.GetCodecV2("proto")})
	options := func(ctx context.Context, opts []grpc.CallOption) []grpc.CallOption {
		if viewFrom(ctx).unread {
			return append(opts, kept)
		}
		return opts
	}
	out, err := grpc.NewClient("passthrough:///kinds", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return conn.Invoke(ctx, method, req, reply, options(ctx, opts)...) //nolint:wrapcheck // a pass-through
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, _ grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return conn.NewStream(ctx, desc, method, options(ctx, opts)...) //nolint:wrapcheck // a pass-through
		}))
	if err != nil {
		return nil, fmt.Errorf("gateway: connection: %w", err)
	}
	return out, nil
}

// writeUnread writes an answer that was kept as bytes.
func (v *view) writeUnread(m proto.Message) (json.RawMessage, error) {
	r := m.ProtoReflect()
	if v.verb == "list" {
		return codec.MarshalEncodedList(r.Descriptor(), r.GetUnknown())
	}
	return codec.AppendEncoded(nil, r.Descriptor(), r.GetUnknown())
}
