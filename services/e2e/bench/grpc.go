// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/wire"
)

// maxAnswer is the largest answer that is taken.
const maxAnswer = 1 << 30

// answer is an answer that is not decoded.
type answer struct {
	size int
	// data is kept only if keep is set.
	keep bool
	data []byte
}

// rawCodec encodes requests and takes answers as they come, or decodes them into messages.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

// Name is that of the codec of protobuf: the server sees no other client.
func (rawCodec) Name() string { return "proto" }

// Marshal encodes a message.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("a %T is no message", v)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

// Unmarshal takes an answer.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	switch v := v.(type) {
	case *answer:
		v.size = data.Len()
		if v.keep {
			v.data = data.Materialize()
		}
		return nil
	case proto.Message:
		return proto.Unmarshal(data.Materialize(), v) //nolint:wrapcheck // grpc wraps it
	}
	return fmt.Errorf("a %T is no answer", v)
}

// overGRPC is Fairlead through its gRPC, with authentication, authorisation and validation.
type overGRPC struct {
	token string
	conns []*grpc.ClientConn
}

func newGRPC(address, token string, clients int) (*overGRPC, error) {
	g := &overGRPC{token: token}
	for range clients {
		conn, err := grpc.NewClient("passthrough:///"+address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{}), grpc.MaxCallRecvMsgSize(maxAnswer)))
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		g.conns = append(g.conns, conn)
	}
	return g, nil
}

func (g *overGRPC) close() error {
	var errs []error
	for _, c := range g.conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (g *overGRPC) conn(client int) *grpc.ClientConn { return g.conns[client%len(g.conns)] }

func (g *overGRPC) with(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+g.token)
}

func (g *overGRPC) create(ctx context.Context, client int, namespace, name string, sent int64) error {
	return g.conn(client).Invoke(g.with(ctx), authv1.RoleService_Create_FullMethodName, //nolint:wrapcheck // the caller names it
		&authv1.RoleServiceCreateRequest{Namespace: namespace, Object: role(namespace, name, sent)}, &answer{})
}

func (g *overGRPC) apply(ctx context.Context, client int, namespace, name string, sent int64) error {
	return g.conn(client).Invoke(g.with(ctx), authv1.RoleService_Patch_FullMethodName, &metav1.PatchRequest{ //nolint:wrapcheck // the caller names it
		Namespace: namespace, Name: name, ContentType: wire.ContentTypeApply, FieldManager: applyManager, Patch: roleJSON(namespace, name, sent),
	}, &answer{})
}

func (g *overGRPC) get(ctx context.Context, client int, namespace, name string, cached bool) error {
	req := &metav1.GetRequest{Namespace: namespace, Name: name}
	if cached {
		req.ResourceVersion = "0"
	}
	return g.conn(client).Invoke(g.with(ctx), authv1.RoleService_Get_FullMethodName, req, &answer{}) //nolint:wrapcheck // the caller names it
}

func (g *overGRPC) list(ctx context.Context, namespace string, cached bool) (int, error) {
	out := &answer{}
	err := g.conn(0).Invoke(g.with(ctx), authv1.RoleService_List_FullMethodName, listRequest(namespace, cached), out)
	return out.size, err //nolint:wrapcheck // the caller names it
}

// listDecoded is list, with the answer decoded as clients do.
func (g *overGRPC) listDecoded(ctx context.Context, namespace string) (int, error) {
	out := &authv1.RoleServiceListResponse{}
	err := g.conn(0).Invoke(g.with(ctx), authv1.RoleService_List_FullMethodName, listRequest(namespace, false), out)
	return len(out.GetItems()), err //nolint:wrapcheck // the caller names it
}

func listRequest(namespace string, cached bool) *metav1.ListRequest {
	req := &metav1.ListRequest{Namespace: namespace}
	if cached {
		req.ResourceVersion = "0"
	}
	return req
}

func (g *overGRPC) watch(ctx context.Context, client int, namespace string, opened func(), seen func(int64)) error {
	list := &authv1.RoleServiceListResponse{}
	req := &metav1.ListRequest{Namespace: namespace, Limit: 1}
	if err := g.conn(client).Invoke(g.with(ctx), authv1.RoleService_List_FullMethodName, req, list); err != nil {
		return err //nolint:wrapcheck // the caller names it
	}
	stream, err := g.conn(client).NewStream(g.with(ctx), &grpc.StreamDesc{ServerStreams: true}, authv1.RoleService_Watch_FullMethodName)
	if err != nil {
		return err //nolint:wrapcheck // the caller names it
	}
	from := &metav1.WatchRequest{Namespace: namespace, ResourceVersion: list.GetMetadata().GetResourceVersion()}
	if err := errors.Join(stream.SendMsg(from), stream.CloseSend()); err != nil {
		return err
	}
	if _, err := stream.Header(); err != nil {
		return err //nolint:wrapcheck // the caller names it
	}
	opened()
	for {
		event := &answer{keep: true}
		if err := stream.RecvMsg(event); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err //nolint:wrapcheck // the caller names it
		}
		sentIn(event.data, seen)
	}
}
