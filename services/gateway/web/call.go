// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// call is a method, and where it is answered.
type call struct {
	conn   grpc.ClientConnInterface
	method protoreflect.MethodDescriptor
	path   string
}

// streaming is the handler of a method that answers with a stream.
type streaming struct{ http.Handler }

func (c call) handler(options []connect.HandlerOption) http.Handler {
	options = append([]connect.HandlerOption{connect.WithSchema(c.method)}, options...)
	if c.method.IsStreamingServer() {
		return &streaming{connect.NewServerStreamHandler(c.path, c.stream, options...)}
	}
	return connect.NewUnaryHandler(c.path, c.unary, options...)
}

func (c call) unary(ctx context.Context, req *connect.Request[message]) (*connect.Response[message], error) {
	var header metadata.MD
	out := &message{desc: c.method.Output()}
	if err := c.conn.Invoke(ctx, c.path, req.Msg, out, grpc.ForceCodecV2(passCodec{}), grpc.Header(&header)); err != nil {
		return nil, asConnect(err, header)
	}
	res := connect.NewResponse(out)
	copyHeader(res.Header(), header)
	return res, nil
}

func (c call) stream(ctx context.Context, req *connect.Request[message], answers *connect.ServerStream[message]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the service's side when the caller is gone
	s, err := c.conn.NewStream(ctx, &grpc.StreamDesc{StreamName: string(c.method.Name()), ServerStreams: true}, c.path, grpc.ForceCodecV2(passCodec{}))
	if err != nil {
		return asConnect(err, nil)
	}
	if err := s.SendMsg(req.Msg); err != nil && !errors.Is(err, io.EOF) { // EOF: Header and RecvMsg tell why
		return asConnect(err, nil)
	}
	if err := s.CloseSend(); err != nil {
		return asConnect(err, nil)
	}
	header, err := s.Header()
	if err != nil {
		return asConnect(err, nil)
	}
	copyHeader(answers.ResponseHeader(), header)
	if header != nil { // the service has answered: callers see that the stream stands before anything happens
		if err := answers.Send(nil); err != nil {
			return err //nolint:wrapcheck // of connect's already
		}
	}
	for {
		out := &message{desc: c.method.Output()}
		switch err := s.RecvMsg(out); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return asConnect(err, nil)
		}
		if err := answers.Send(out); err != nil {
			return err //nolint:wrapcheck // of connect's already
		}
	}
}

// copyHeader hands on what a service says beside its answer, but for what belongs to the connection to it.
func copyHeader(to http.Header, from metadata.MD) {
	for key, values := range from {
		if key == "content-type" || key == "x-request-id" || strings.HasPrefix(key, "grpc-") || strings.HasPrefix(key, ":") {
			continue
		}
		for _, v := range values {
			if strings.HasSuffix(key, "-bin") {
				v = connect.EncodeBinaryHeader([]byte(v))
			}
			to.Add(key, v)
		}
	}
}

// asConnect returns a service's error as connect writes it, with its details.
func asConnect(err error, header metadata.MD) error {
	st := status.Convert(err)
	out := connect.NewError(connect.Code(st.Code()), errors.New(st.Message()))
	for _, d := range st.Proto().GetDetails() {
		if detail, err := connect.NewErrorDetail(d); err == nil {
			out.AddDetail(detail)
		}
	}
	copyHeader(out.Meta(), header)
	return out
}
