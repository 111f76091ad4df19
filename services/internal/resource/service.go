// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// unaryVerb answers a unary method of a kind's service; out is the type of its answer.
type unaryVerb func(ctx context.Context, in proto.Message, out protoreflect.MessageType) (proto.Message, error)

// streamVerb answers a streaming method.
type streamVerb func(in proto.Message, out protoreflect.MessageType, stream grpc.ServerStream) error

func (s *server) unaryVerbs() map[protoreflect.Name]unaryVerb {
	return map[protoreflect.Name]unaryVerb{
		"Create":           s.serveCreate,
		"Get":              s.serveGet,
		"List":             s.serveList,
		"Update":           s.serveUpdate,
		"UpdateStatus":     s.serveUpdateStatus,
		"Patch":            s.servePatch,
		"Delete":           s.serveDelete,
		"DeleteCollection": s.serveDeleteCollection,
		"History":          s.serveHistory,
		"Rollback":         s.serveRollback,
		"Prepare":          s.servePrepare,
	}
}

func (s *server) streamVerbs() map[protoreflect.Name]streamVerb {
	return map[protoreflect.Name]streamVerb{"Watch": s.serveWatch}
}

// describe makes the service's description from its descriptor, as protoc-gen-go-grpc would.
func (s *server) describe() (*grpc.ServiceDesc, error) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(s.Kind.Service)
	if err != nil {
		return nil, fmt.Errorf("resource: service of %s: %w", s.Kind.Kind, err)
	}
	sd, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("resource: %s is no service", s.Kind.Service)
	}
	desc := &grpc.ServiceDesc{
		ServiceName: string(sd.FullName()),
		HandlerType: (*any)(nil),
		Metadata:    sd.ParentFile().Path(),
	}
	unary, stream := s.unaryVerbs(), s.streamVerbs()
	for i := range sd.Methods().Len() {
		md := sd.Methods().Get(i)
		in, out, err := messageTypes(md)
		if err != nil {
			return nil, err
		}
		if verb, ok := unary[md.Name()]; ok && !md.IsStreamingServer() {
			desc.Methods = append(desc.Methods, unaryMethod(md, in, out, verb))
			continue
		}
		if verb, ok := stream[md.Name()]; ok && md.IsStreamingServer() {
			desc.Streams = append(desc.Streams, streamMethod(md, in, out, verb))
			continue
		}
		return nil, fmt.Errorf("resource: %s is no verb of kinds", md.FullName())
	}
	return desc, nil
}

func messageTypes(md protoreflect.MethodDescriptor) (in, out protoreflect.MessageType, err error) {
	if in, err = protoregistry.GlobalTypes.FindMessageByName(md.Input().FullName()); err != nil {
		return nil, nil, fmt.Errorf("resource: request of %s: %w", md.FullName(), err)
	}
	if out, err = protoregistry.GlobalTypes.FindMessageByName(md.Output().FullName()); err != nil {
		return nil, nil, fmt.Errorf("resource: answer of %s: %w", md.FullName(), err)
	}
	return in, out, nil
}

func unaryMethod(md protoreflect.MethodDescriptor, in, out protoreflect.MessageType, verb unaryVerb) grpc.MethodDesc {
	fullMethod := "/" + string(md.Parent().FullName()) + "/" + string(md.Name())
	return grpc.MethodDesc{
		MethodName: string(md.Name()),
		Handler: func(srv any, ctx context.Context, decode func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
			req := in.New().Interface()
			if err := decode(req); err != nil {
				return nil, err
			}
			if chain == nil {
				return verb(ctx, req, out)
			}
			info := &grpc.UnaryServerInfo{Server: srv, FullMethod: fullMethod}
			return chain(ctx, req, info, func(ctx context.Context, req any) (any, error) {
				return verb(ctx, req.(proto.Message), out) //nolint:forcetypeassert // interceptors hand on what they got
			})
		},
	}
}

func streamMethod(md protoreflect.MethodDescriptor, in, out protoreflect.MessageType, verb streamVerb) grpc.StreamDesc {
	return grpc.StreamDesc{
		StreamName:    string(md.Name()),
		ServerStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			req := in.New().Interface()
			if err := stream.RecvMsg(req); err != nil {
				return err
			}
			return verb(req, out, stream)
		},
	}
}
