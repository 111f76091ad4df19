// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/audit"
	"fairlead.dev/services/internal/codec"
)

const (
	// verbOfNoResource is the verb of what is no resource: gRPC calls are POSTs.
	verbOfNoResource = "post"
	maxUserAgent     = 256
	maxSourceIPs     = 16
)

// UserAgentKey is the metadata key by which a gateway says which program called it.
const UserAgentKey = "grpcgateway-user-agent"

// auditing notes who did what. A nil one notes nothing.
type auditing struct {
	log     *audit.Log
	methods *methods
	now     func() time.Time
}

func newAuditing(log *audit.Log, methods *methods, now func() time.Time) *auditing {
	if log == nil {
		return nil
	}
	return &auditing{log: log, methods: methods, now: now}
}

// audited is a call that is noted when it is over.
type audited struct {
	of         *auditing
	ctx        context.Context //nolint:containedctx // of the one call
	fullMethod string
	m          method
	began      time.Time
	call       audit.Call
	request    []byte
	response   []byte
	// created is the name of what the call made.
	created string

	// mu is held while an event is noted: a stream may still be sending while its handler returns.
	mu sync.Mutex
	// answers tells that an answer was begun; guarded by mu.
	answers bool
}

// auditCalls notes calls of known callers. Those of others are noted by authn, by refused.
func auditCalls(a *auditing) interceptor {
	if a == nil {
		return interceptor{name: InterceptorAudit}
	}
	return interceptor{
		name: InterceptorAudit,
		unary: func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
			d := a.begin(ctx, info.FullMethod)
			d.asked(req)
			over := false
			defer func() {
				if !over {
					d.note(audit.StagePanic, nil)
				}
			}()
			resp, err = next(ctx, req)
			over = true
			if err == nil {
				d.answered(resp)
			}
			d.note(audit.StageResponseComplete, err)
			return resp, err
		},
		stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
			d := a.begin(ss.Context(), info.FullMethod)
			over := false
			defer func() {
				if !over {
					d.note(audit.StagePanic, nil)
				}
			}()
			err = next(srv, &auditedStream{ServerStream: ss, of: d})
			over = true
			end := err
			if !d.answering() && ss.Context().Err() != nil && errors.Is(ss.Context().Err(), context.Canceled) && errors.Is(end, context.Canceled) {
				end = nil // the caller had enough
			}
			d.note(audit.StageResponseComplete, end)
			return err
		},
	}
}

// refused notes a call whose caller is not known. req is nil for streams.
func (a *auditing) refused(ctx context.Context, fullMethod string, req any, err error) {
	if a == nil {
		return
	}
	d := a.begin(ctx, fullMethod)
	d.asked(req)
	d.request = nil // nobody's words are kept
	d.note(audit.StageResponseComplete, err)
}

func (a *auditing) begin(ctx context.Context, fullMethod string) *audited {
	d := &audited{of: a, ctx: ctx, fullMethod: fullMethod, m: a.methods.lookup(fullMethod), began: a.now()}
	d.call.Path, d.call.Verb = fullMethod, verbOfNoResource
	if id, ok := IdentityFrom(ctx); ok {
		d.call.User, d.call.Groups = id.Real().User, id.Real().Groups
	}
	d.about(d.m.right)
	return d
}

// about takes over what a right says of the call.
func (d *audited) about(a Attributes) {
	if !d.m.known {
		return
	}
	d.call.Verb, d.call.Group, d.call.Resource, d.call.Subresource = a.Verb, a.Group, a.Resource, a.Subresource
	d.call.Namespace, d.call.Name = a.Namespace, a.Name
}

// asked takes over what the request says, and the request itself where it is kept: the handler may change it.
func (d *audited) asked(req any) {
	msg, ok := req.(proto.Message)
	if !ok {
		return
	}
	if attrs, ok := d.m.attributes(msg); ok {
		d.about(attrs)
	}
	if d.call.Name == "" && d.m.kind != nil {
		d.created = objectMeta(msg.ProtoReflect()).GetName()
	}
	if d.of.log.Level(&d.call, audit.StageResponseComplete).KeepsRequest() {
		d.request = d.m.keptRequest(msg)
	}
}

// answered takes over the answer where it is kept: objects and lists of them, but nothing that was made for the caller's eyes,
// as tokens are.
func (d *audited) answered(resp any) {
	msg, ok := resp.(proto.Message)
	if !ok || d.m.kind == nil {
		return
	}
	keeps := !d.m.kind.Encrypted && d.of.log.Level(&d.call, audit.StageResponseComplete).KeepsResponse()
	if !keeps && d.call.Verb != verbCreate {
		return // nothing is wanted of it, and one that is encoded need not be decoded
	}
	msg = msg.ProtoReflect().Interface() // the object itself, where the answer is an encoded one
	object, isObject := msg.(interface{ GetMetadata() *metav1.ObjectMeta })
	_, isList := msg.(interface{ GetMetadata() *metav1.ListMeta })
	if isObject && d.call.Verb == verbCreate {
		d.created = object.GetMetadata().GetName()
	}
	if keeps && (isObject || isList) {
		d.response = asJSON(msg)
	}
}

// answering tells whether the call is about to be answered for the first time.
func (d *audited) answering() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := !d.answers
	d.answers = true
	return first
}

// note writes the event of a stage, as far as the policy wants it.
func (d *audited) note(stage audit.Stage, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := apierror.From(err)
	d.call.Refused = e != nil && (e.Reason == apierror.ReasonUnauthorized || e.Reason == apierror.ReasonForbidden)
	level := d.of.log.Level(&d.call, stage)
	if level == audit.LevelNone {
		return
	}
	event := &audit.Event{
		Level: level, AuditID: RequestIDFrom(d.ctx), Stage: stage, RequestURI: d.fullMethod, Verb: d.call.Verb,
		User: userOf(d.ctx), ImpersonatedUser: impersonatedUser(d.ctx), SourceIPs: sourceIPs(d.ctx), UserAgent: UserAgent(d.ctx), ObjectRef: d.object(),
		ResponseStatus:           d.status(stage, e),
		RequestReceivedTimestamp: audit.MicroTime{Time: d.began}, StageTimestamp: audit.MicroTime{Time: d.of.now()},
	}
	if level.KeepsRequest() {
		event.RequestObject = d.request
	}
	if level.KeepsResponse() {
		event.ResponseObject = d.response
	}
	d.of.log.Write(event)
}

func (d *audited) status(stage audit.Stage, e *apierror.Error) *audit.Status {
	switch {
	case stage == audit.StagePanic:
		e = apierror.Internal(nil)
	case e == nil && d.call.Verb == verbCreate:
		return &audit.Status{Code: http.StatusCreated}
	case e == nil:
		return &audit.Status{Code: http.StatusOK}
	}
	return &audit.Status{Status: "Failure", Message: cut(e.Message, maxMessageBytes), Reason: string(e.Reason), Code: e.HTTPCode()}
}

func (d *audited) object() *audit.ObjectReference {
	c := d.call
	if c.Resource == "" {
		return nil
	}
	ref := &audit.ObjectReference{Resource: c.Resource, Namespace: c.Namespace, Name: c.Name, APIGroup: c.Group, Subresource: c.Subresource}
	if ref.Name == "" {
		ref.Name = d.created
	}
	if d.m.kind != nil {
		ref.APIVersion = d.m.kind.Version
	}
	return ref
}

// keptRequest returns what a request says, in JSON and without secrets: the object of a kind, the patch of one, or the
// request. Nothing is kept of objects that are encrypted at rest, nor of patches that are no JSON.
func (m method) keptRequest(msg proto.Message) []byte {
	if m.kind != nil && m.kind.Encrypted {
		return nil
	}
	switch r := msg.(type) {
	case *metav1.PatchRequest:
		return audit.Redact(r.GetPatch())
	case *metav1.PrepareRequest:
		return audit.Redact(r.GetDocument())
	}
	if m.kind != nil {
		r := msg.ProtoReflect()
		if field := r.Descriptor().Fields().ByName("object"); field != nil && field.Message() != nil && r.Has(field) {
			return asJSON(r.Get(field).Message().Interface())
		}
	}
	msg = proto.Clone(msg)
	clearBytes(msg.ProtoReflect())
	return asJSON(msg)
}

// clearBytes empties all fields of bytes: what is in them cannot be looked through for secrets.
func clearBytes(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Kind() == protoreflect.BytesKind, field.IsMap():
			m.Clear(field)
		case field.Message() != nil && field.IsList():
			for i := range v.List().Len() {
				clearBytes(v.List().Get(i).Message())
			}
		case field.Message() != nil:
			clearBytes(v.Message())
		}
		return true
	})
}

func asJSON(msg proto.Message) []byte {
	data, err := codec.Marshal(msg)
	if err != nil {
		return nil // what cannot be written is not what the call fails by
	}
	return audit.Redact(data)
}

func userOf(ctx context.Context) audit.User {
	id, ok := IdentityFrom(ctx)
	if !ok {
		return audit.User{}
	}
	return asUser(id.Real())
}

// impersonatedUser returns whom the caller acts as; nil if as nobody else.
func impersonatedUser(ctx context.Context) *audit.User {
	id, ok := IdentityFrom(ctx)
	if !ok || id.Impersonator == nil {
		return nil
	}
	u := asUser(id)
	return &u
}

func asUser(id *Identity) audit.User {
	return audit.User{Username: id.User, UID: id.UID, Groups: id.Groups, Extra: id.Extra}
}

// sourceIPs returns the hops of the call: what gateways say, and then who is connected.
func sourceIPs(ctx context.Context) []string {
	var out []string
	for _, value := range metadata.ValueFromIncomingContext(ctx, "x-forwarded-for") {
		for hop := range strings.SplitSeq(value, ",") {
			if ip := net.ParseIP(strings.TrimSpace(hop)); ip != nil && len(out) < maxSourceIPs {
				out = append(out, ip.String())
			}
		}
	}
	if p, ok := peer.FromContext(ctx); ok {
		if host, _, err := net.SplitHostPort(p.Addr.String()); err == nil {
			out = append(out, host)
		}
	}
	return out
}

// UserAgent returns the program that called: the gateway's caller's, where it hands that on.
func UserAgent(ctx context.Context) string {
	for _, key := range []string{UserAgentKey, "user-agent"} {
		if sent := metadata.ValueFromIncomingContext(ctx, key); len(sent) > 0 {
			return cut(sent[0], maxUserAgent)
		}
	}
	return ""
}

// auditedStream notes the first message each way.
type auditedStream struct {
	grpc.ServerStream

	of    *audited
	heard bool
}

func (s *auditedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if !s.heard {
		s.heard = true
		s.of.asked(m)
	}
	return nil
}

func (s *auditedStream) SendMsg(m any) error {
	if s.of.answering() {
		s.of.note(audit.StageResponseStarted, nil)
	}
	return s.ServerStream.SendMsg(m)
}
