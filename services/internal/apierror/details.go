// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package apierror

import (
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// domain is the domain of the ErrorInfo in our statuses.
const domain = "fairlead.dev"

// details returns what a status says beside its code and message, as google.rpc has it: ErrorInfo (the reason, and which
// object), ResourceInfo for errors about one object, BadRequest with a violation a cause, or PreconditionFailure where it is
// the state that a request conflicts with, and RetryInfo.
func (e *Error) details() []protoadapt.MessageV1 {
	info := &errdetails.ErrorInfo{Reason: string(e.Reason), Domain: domain}
	about := e.Resource != (Resource{}) || e.Name != ""
	if about {
		info.Metadata = map[string]string{"group": e.Resource.Group, "plural": e.Resource.Plural, "kind": e.Resource.Kind, "name": e.Name}
	}
	out := []protoadapt.MessageV1{protoadapt.MessageV1Of(info)}
	if about && e.Resource.Plural != "" {
		out = append(out, protoadapt.MessageV1Of(&errdetails.ResourceInfo{ResourceType: e.Resource.String(), ResourceName: e.Name}))
	}
	switch {
	case e.Reason == ReasonConflict:
		out = append(out, protoadapt.MessageV1Of(e.precondition()))
	case len(e.Causes) > 0:
		bad := &errdetails.BadRequest{}
		for _, c := range e.Causes {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: c.Field, Reason: c.Reason, Description: c.Message})
		}
		out = append(out, protoadapt.MessageV1Of(bad))
	}
	if e.RetryAfter > 0 {
		out = append(out, protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)}))
	}
	return out
}

// precondition tells what is not as the request expects: each field that is in the way, or the object as a whole.
func (e *Error) precondition() *errdetails.PreconditionFailure {
	out := &errdetails.PreconditionFailure{}
	for _, c := range e.Causes {
		out.Violations = append(out.Violations, &errdetails.PreconditionFailure_Violation{Type: c.Reason, Subject: c.Field, Description: c.Message})
	}
	if len(e.Causes) == 0 {
		subject := strings.TrimSuffix(e.Resource.String()+"/"+e.Name, "/")
		out.Violations = append(out.Violations, &errdetails.PreconditionFailure_Violation{
			Type: string(ReasonConflict), Subject: subject, Description: "it is not in the state that the request is for; the message tells more",
		})
	}
	return out
}

// read takes what a detail of a status says into the error.
func (e *Error) read(detail any) {
	switch d := detail.(type) {
	case *errdetails.ErrorInfo:
		if d.GetDomain() == domain {
			e.Reason = Reason(d.GetReason())
			md := d.GetMetadata()
			e.Resource = Resource{Group: md["group"], Plural: md["plural"], Kind: md["kind"]}
			e.Name = md["name"]
		}
	case *errdetails.ResourceInfo:
		if e.Resource == (Resource{}) && e.Name == "" { // of others: ours have said more in their ErrorInfo, which comes first
			plural, group, _ := strings.Cut(d.GetResourceType(), ".")
			e.Resource, e.Name = Resource{Group: group, Plural: plural}, d.GetResourceName()
		}
	case *errdetails.BadRequest:
		for _, v := range d.GetFieldViolations() {
			e.Causes = append(e.Causes, Cause{Field: v.GetField(), Reason: v.GetReason(), Message: v.GetDescription()})
		}
	case *errdetails.PreconditionFailure:
		for _, v := range d.GetViolations() {
			if v.GetType() != string(ReasonConflict) { // which is about the object as a whole
				e.Causes = append(e.Causes, Cause{Field: v.GetSubject(), Reason: v.GetType(), Message: v.GetDescription()})
			}
		}
	case *errdetails.RetryInfo:
		e.RetryAfter = d.GetRetryDelay().AsDuration()
	}
}
