// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package apierror

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// domain is the domain of the ErrorInfo in our statuses.
const domain = "fairlead.dev"

type mapping struct {
	http int
	grpc codes.Code
}

// mappings holds the code of each reason, over HTTP and gRPC.
var mappings = map[Reason]mapping{
	ReasonBadRequest:            {http.StatusBadRequest, codes.InvalidArgument},
	ReasonUnauthorized:          {http.StatusUnauthorized, codes.Unauthenticated},
	ReasonForbidden:             {http.StatusForbidden, codes.PermissionDenied},
	ReasonNotFound:              {http.StatusNotFound, codes.NotFound},
	ReasonAlreadyExists:         {http.StatusConflict, codes.AlreadyExists},
	ReasonConflict:              {http.StatusConflict, codes.Aborted},
	ReasonInvalid:               {http.StatusUnprocessableEntity, codes.InvalidArgument},
	ReasonExpired:               {http.StatusGone, codes.OutOfRange},
	ReasonTooManyRequests:       {http.StatusTooManyRequests, codes.ResourceExhausted},
	ReasonRequestEntityTooLarge: {http.StatusRequestEntityTooLarge, codes.ResourceExhausted},
	ReasonUnsupportedMediaType:  {http.StatusUnsupportedMediaType, codes.InvalidArgument},
	ReasonMethodNotAllowed:      {http.StatusMethodNotAllowed, codes.Unimplemented},
	ReasonNotAcceptable:         {http.StatusNotAcceptable, codes.InvalidArgument},
	ReasonServiceUnavailable:    {http.StatusServiceUnavailable, codes.Unavailable},
	ReasonTimeout:               {http.StatusGatewayTimeout, codes.DeadlineExceeded},
	ReasonInternalError:         {http.StatusInternalServerError, codes.Internal},
}

// reasons tells the reason for a gRPC code that comes without an ErrorInfo of ours.
var reasons = map[codes.Code]Reason{
	codes.InvalidArgument:    ReasonBadRequest,
	codes.Unauthenticated:    ReasonUnauthorized,
	codes.PermissionDenied:   ReasonForbidden,
	codes.NotFound:           ReasonNotFound,
	codes.AlreadyExists:      ReasonAlreadyExists,
	codes.Aborted:            ReasonConflict,
	codes.FailedPrecondition: ReasonConflict,
	codes.OutOfRange:         ReasonExpired,
	codes.ResourceExhausted:  ReasonTooManyRequests,
	codes.Unimplemented:      ReasonMethodNotAllowed,
	codes.Unavailable:        ReasonServiceUnavailable,
	codes.DeadlineExceeded:   ReasonTimeout,
	codes.Canceled:           ReasonTimeout,
}

// From returns err as an Error. What is none of ours becomes an internal error that keeps err for the log only.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return New(ReasonTimeout, "the request took too long; try again, or with a longer deadline").Wrap(err)
	case errors.Is(err, context.Canceled):
		return New(ReasonTimeout, "the caller gave the request up").Wrap(err)
	}
	if _, ok := status.FromError(err); ok {
		return FromStatus(err)
	}
	return Internal(err)
}

// ToStatus returns err as a gRPC status with google.rpc details: ErrorInfo (reason, resource), BadRequest (one violation
// a cause) and RetryInfo.
func ToStatus(err error) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	e := From(err)
	m, ok := mappings[e.Reason]
	if !ok {
		m = mapping{http.StatusInternalServerError, codes.Unknown}
	}
	info := &errdetails.ErrorInfo{Reason: string(e.Reason), Domain: domain}
	if e.Resource != (Resource{}) || e.Name != "" {
		info.Metadata = map[string]string{"group": e.Resource.Group, "plural": e.Resource.Plural, "kind": e.Resource.Kind, "name": e.Name}
	}
	details := []protoadapt.MessageV1{protoadapt.MessageV1Of(info)}
	if len(e.Causes) > 0 {
		bad := &errdetails.BadRequest{}
		for _, c := range e.Causes {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: c.Field, Reason: c.Reason, Description: c.Message})
		}
		details = append(details, protoadapt.MessageV1Of(bad))
	}
	if e.RetryAfter > 0 {
		details = append(details, protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)}))
	}
	st, err := status.New(m.grpc, e.Message).WithDetails(details...)
	if err != nil { // only for code OK, which no reason has
		return status.New(m.grpc, e.Message)
	}
	return st
}

// FromStatus returns the Error that a gRPC error carries.
func FromStatus(err error) *Error {
	st := status.Convert(err)
	reason, ok := reasons[st.Code()]
	if !ok {
		reason = ReasonInternalError
	}
	e := &Error{Reason: reason, Message: st.Message(), cause: err}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == domain {
				e.Reason = Reason(d.GetReason())
				md := d.GetMetadata()
				e.Resource = Resource{Group: md["group"], Plural: md["plural"], Kind: md["kind"]}
				e.Name = md["name"]
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Causes = append(e.Causes, Cause{Field: v.GetField(), Reason: v.GetReason(), Message: v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return e
}
