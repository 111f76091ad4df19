// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/services/internal/rpc/shape"
)

// Caller calls the verbs of a kind without a connection, in the caller's own context.
func Caller(t *testing.T, d Deps, h Handler) func(ctx context.Context, verb string, in proto.Message) proto.Message {
	t.Helper()
	checker, err := shape.New()
	if err != nil {
		t.Fatal(err)
	}
	servers, err := newServers(d, checker, []Handler{h})
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, verb string, in proto.Message) proto.Message {
		t.Helper()
		out, err := servers[0].unaryVerbs()[protoreflect.Name(verb)](ctx, in, h.Kind.New().ProtoReflect().Type())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}
