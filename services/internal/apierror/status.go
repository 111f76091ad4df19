// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package apierror

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

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

// ToStatus returns err as a gRPC status with google.rpc details.
func ToStatus(err error) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	e := From(err)
	m, ok := mappings[e.Reason]
	if !ok {
		m = mapping{http.StatusInternalServerError, codes.Unknown}
	}
	st, err := status.New(m.grpc, e.Message).WithDetails(e.details()...)
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
		e.read(d)
	}
	return e
}
