// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/wire"
)

// calls sends requests over gRPC.
type calls struct{ conn grpc.ClientConnInterface }

func (t calls) send(ctx context.Context, c call) (answer, error) {
	method, in, out, err := c.method()
	if err != nil {
		return answer{}, err
	}
	warned, err := c.fill(in)
	if refused, ok := errors.AsType[*apierror.Error](err); ok {
		// A document that is no message of the kind cannot be sent: clients are told by the codec, as the front door's are.
		return answer{code: apierror.ToStatus(refused).Code(), status: refused.Kubernetes()}, nil
	}
	if err != nil {
		return answer{}, err
	}
	if c.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
	}
	a := answer{warnings: warned}
	if c.verb.stream {
		return a, a.watch(ctx, t.conn, method, in, out, c)
	}
	var header metadata.MD
	err = t.conn.Invoke(ctx, method, in, out, grpc.Header(&header))
	a.fail(err)
	a.warnings = append(a.warnings, header.Get(wire.WarningKey)...)
	if err != nil {
		return a, nil //nolint:nilerr // it is compared
	}
	a.object, err = jsonOf(out)
	return a, err
}

// fail notes the error of a call.
func (a *answer) fail(err error) {
	a.code = status.Code(err)
	if err != nil {
		a.status = apierror.FromStatus(err).Kubernetes()
	}
}

// watch reads as many events as are expected, and the end if that is.
func (a *answer) watch(ctx context.Context, conn grpc.ClientConnInterface, method string, in, event proto.Message, c call) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err == nil {
		err = stream.SendMsg(in)
	}
	if err == nil {
		err = stream.CloseSend()
	}
	if err != nil {
		return fmt.Errorf("cases: %w", err)
	}
	expect := c.step.Expect
	for expect.Ends || expect.GRPC != codes.OK.String() || len(a.events) < len(expect.Events) {
		err := stream.RecvMsg(event)
		if errors.Is(err, io.EOF) {
			a.ended = true
			return nil
		}
		if err != nil {
			a.fail(err)
			return nil
		}
		one, err := jsonOf(event)
		if err != nil {
			return err
		}
		a.events = append(a.events, one)
	}
	return nil
}

func jsonOf(m proto.Message) (any, error) {
	data, err := codec.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("cases: %w", err)
	}
	return parse(data)
}

// method returns what is called, with messages for its request and its answer.
func (c call) method() (name string, in, out proto.Message, err error) {
	service, method := c.kind.Service, protoreflect.Name(c.verb.rpc)
	if c.step.Do == doRPC {
		s, m, _ := strings.Cut(c.step.RPC, "/")
		service, method = protoreflect.FullName(s), protoreflect.Name(m)
	}
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(service.Append(method))
	if err != nil {
		return "", nil, nil, fmt.Errorf("cases: %s/%s: %w", service, method, err)
	}
	md, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return "", nil, nil, fmt.Errorf("cases: %s is no method", found.FullName())
	}
	inType, err := protoregistry.GlobalTypes.FindMessageByName(md.Input().FullName())
	if err != nil {
		return "", nil, nil, fmt.Errorf("cases: %w", err)
	}
	outType, err := protoregistry.GlobalTypes.FindMessageByName(md.Output().FullName())
	if err != nil {
		return "", nil, nil, fmt.Errorf("cases: %w", err)
	}
	return "/" + string(service) + "/" + string(method), inType.New().Interface(), outType.New().Interface(), nil
}

// fill makes the request from the same document as REST does.
func (c call) fill(in proto.Message) (warnings []string, err error) {
	request := map[string]any{}
	maps.Copy(request, c.options)
	has := func(name protoreflect.Name) bool { return in.ProtoReflect().Descriptor().Fields().ByName(name) != nil }
	if c.step.Do == doRPC {
		if body, ok := c.body.(map[string]any); ok {
			request = body
		}
	} else {
		if has("namespace") {
			request["namespace"] = c.namespace
		}
		if has("name") && c.verb.named {
			request["name"] = c.name
		}
		if has("subresource") && c.verb.subresource != "" {
			request["subresource"] = c.verb.subresource
		}
	}
	data, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("cases: %w", err)
	}
	if err := protojson.Unmarshal(data, in); err != nil {
		return nil, fmt.Errorf("cases: the request: %w", err)
	}
	if !c.verb.body {
		return nil, nil
	}
	text := []byte(c.text)
	if c.text == "" {
		if text, err = json.Marshal(c.body); err != nil {
			return nil, fmt.Errorf("cases: %w", err)
		}
	}
	fields := in.ProtoReflect().Descriptor().Fields()
	if has("patch") {
		in.ProtoReflect().Set(fields.ByName("patch"), protoreflect.ValueOfBytes(text))
		in.ProtoReflect().Set(fields.ByName("content_type"), protoreflect.ValueOfString(c.contentType))
		return nil, nil
	}
	return c.object(in, fields.ByName("object"), text)
}

// object reads the body into the request's object, as strictly as the request says.
func (c call) object(in proto.Message, field protoreflect.FieldDescriptor, text []byte) (warnings []string, err error) {
	if strings.Contains(c.contentType, "yaml") {
		if text, err = codec.YAMLToJSON(text, codec.Limits{}); err != nil {
			return nil, err //nolint:wrapcheck // an answer
		}
	}
	validation := c.options["fieldValidation"]
	obj := in.ProtoReflect().Mutable(field).Message().Interface()
	warnings, err = codec.Unmarshal(text, obj, codec.Options{Strict: validation != "Warn" && validation != "Ignore"})
	if validation == "Ignore" {
		warnings = nil
	}
	return warnings, err //nolint:wrapcheck // an answer
}
