// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	callTimeout = 30 * time.Second
	// quiet is how long a stream that lasts may say nothing until it counts as let in.
	quiet       = 500 * time.Millisecond
	callsAtOnce = 16
)

// Registered asks a server by reflection which services it has.
func Registered(ctx context.Context, conn *grpc.ClientConn) ([]protoreflect.FullName, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, fmt.Errorf("reflection: %w", err)
	}
	err = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	if err != nil {
		return nil, fmt.Errorf("reflection: %w", err)
	}
	answer, err := stream.Recv()
	if err != nil {
		return nil, fmt.Errorf("reflection: %w", err)
	}
	var out []protoreflect.FullName
	for _, s := range answer.GetListServicesResponse().GetService() {
		out = append(out, protoreflect.FullName(s.GetName()))
	}
	slices.Sort(out)
	return out, nil
}

// Cell is one call: a row as somebody.
type Cell struct {
	Row  Row
	Who  string
	from Caller
	in   string
	// wants is the code that is expected; OK means that the call is let in, whatever comes of it.
	wants codes.Code
}

// Cells are all calls that the rows make with the people.
func (p *People) Cells(rows []Row) []Cell {
	var out []Cell
	ns, other := p.target.Namespace, p.target.Other
	for _, row := range rows {
		add := func(who, token, in string, wants codes.Code) {
			out = append(out, Cell{row, who, p.target.holding(token), in, wants})
		}
		for who, token := range p.Strangers {
			wants := codes.Unauthenticated
			if row.Open {
				wants = codes.OK
			}
			add(who, token, ns, wants)
		}
		if row.Right == (Right{}) {
			add("no right", p.Nobody, ns, codes.OK)
			continue
		}
		add("no right", p.Nobody, ns, codes.PermissionDenied)
		h := p.Holders[row.Right]
		add("right", h.Here, ns, codes.OK)
		add("other namespace", h.Elsewhere, ns, codes.PermissionDenied)
		if row.Right.Namespaced {
			add("other namespace, in it", h.Elsewhere, other, codes.OK)
			add("right, in the other namespace", h.Here, other, codes.PermissionDenied)
			add("right, in all namespaces", h.Here, "", codes.PermissionDenied)
		}
	}
	return out
}

// Run makes calls, and tells which of them do not come out as they should.
func (t Target) Run(ctx context.Context, cells []Cell) []error {
	faults := make([]error, len(cells))
	var g errgroup.Group
	g.SetLimit(callsAtOnce)
	for i, c := range cells {
		g.Go(func() error {
			err := t.call(ctx, c)
			if why := t.judge(c, err); why != "" {
				faults[i] = fmt.Errorf("%s as %q: %s: got %w", c.Row.Method, c.Who, why, errorOrOK(err))
			}
			return nil
		})
	}
	_ = g.Wait() // no call returns an error
	return slices.DeleteFunc(faults, func(err error) bool { return err == nil })
}

func errorOrOK(err error) error {
	if err == nil {
		return errors.New("an answer")
	}
	return err
}

// judge tells what is wrong with how a call came out; empty if nothing is.
func (t Target) judge(c Cell, err error) string {
	code := status.Code(err)
	byCluster := c.Row.Refusal != "" && err != nil && strings.Contains(err.Error(), c.Row.Refusal)
	if c.wants != codes.OK {
		if code != c.wants || byCluster {
			return "want " + c.wants.String()
		}
		return ""
	}
	if byCluster {
		return ""
	}
	switch code {
	case codes.Unauthenticated, codes.PermissionDenied:
		return "it should be let in"
	case codes.Unimplemented, codes.Unknown:
		return "it is let in, and there is nothing"
	case codes.Internal, codes.Unavailable, codes.DeadlineExceeded:
		if !t.Offline {
			return "it is let in, and fails"
		}
	}
	return ""
}

func (t Target) call(ctx context.Context, c Cell) error {
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(ctx, c.from.Metadata), callTimeout)
	defer cancel()
	request := c.Row.Request(c.in)
	streams, err := shapeOf(c.Row.Method)
	if err != nil {
		return err
	}
	if !streams.ServerStreams && !streams.ClientStreams {
		return c.from.Conn.Invoke(ctx, c.Row.Method, request, &emptypb.Empty{}) //nolint:wrapcheck // looked at by its code
	}
	first := make(chan error, 1)
	go func() { first <- firstAnswer(ctx, c.from.Conn, streams, c.Row.Method, request) }()
	if !c.Row.Lasts {
		return <-first
	}
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	select {
	case err := <-first:
		return err
	case <-timer.C:
		cancel()
		<-first //nolint:errcheck // it was not refused, and ends since we end it
		return nil
	}
}

// firstAnswer opens a stream and returns how its first message came out.
func firstAnswer(ctx context.Context, conn *grpc.ClientConn, streams *grpc.StreamDesc, method string, request proto.Message) error {
	stream, err := conn.NewStream(ctx, streams, method)
	if err != nil {
		return err //nolint:wrapcheck // looked at by its code
	}
	if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) { // at EOF the answer says why
		return err //nolint:wrapcheck // looked at by its code
	}
	if !streams.ClientStreams {
		if err := stream.CloseSend(); err != nil {
			return err //nolint:wrapcheck // looked at by its code
		}
	}
	err = stream.RecvMsg(&emptypb.Empty{})
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err //nolint:wrapcheck // looked at by its code
}

func shapeOf(full string) (*grpc.StreamDesc, error) {
	name := strings.Replace(strings.TrimPrefix(full, "/"), "/", ".", 1)
	desc, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", full, err)
	}
	method, ok := desc.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no method", full)
	}
	return &grpc.StreamDesc{ServerStreams: method.IsStreamingServer(), ClientStreams: method.IsStreamingClient()}, nil
}
