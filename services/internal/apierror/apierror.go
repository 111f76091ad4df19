// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apierror holds the errors that users see, and is the only place where they become gRPC statuses and
// Kubernetes Status objects.
package apierror

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reason says in one word what went wrong. The words are those of Kubernetes' Status.
type Reason string

// The reasons.
const (
	ReasonBadRequest            Reason = "BadRequest"
	ReasonUnauthorized          Reason = "Unauthorized"
	ReasonForbidden             Reason = "Forbidden"
	ReasonNotFound              Reason = "NotFound"
	ReasonAlreadyExists         Reason = "AlreadyExists"
	ReasonConflict              Reason = "Conflict"
	ReasonInvalid               Reason = "Invalid"
	ReasonExpired               Reason = "Expired"
	ReasonTooManyRequests       Reason = "TooManyRequests"
	ReasonRequestEntityTooLarge Reason = "RequestEntityTooLarge"
	ReasonUnsupportedMediaType  Reason = "UnsupportedMediaType"
	ReasonMethodNotAllowed      Reason = "MethodNotAllowed"
	ReasonNotAcceptable         Reason = "NotAcceptable"
	ReasonServiceUnavailable    Reason = "ServiceUnavailable"
	ReasonTimeout               Reason = "Timeout"
	ReasonInternalError         Reason = "InternalError"
)

// The reasons of causes, as Kubernetes words them.
const (
	CauseValueInvalid      = "FieldValueInvalid"
	CauseValueRequired     = "FieldValueRequired"
	CauseValueNotSupported = "FieldValueNotSupported"
	CauseValueDuplicate    = "FieldValueDuplicate"
	CauseValueForbidden    = "FieldValueForbidden"
	CauseTypeInvalid       = "FieldValueTypeInvalid"
	CauseTooLong           = "FieldValueTooLong"
	CauseUnexpectedField   = "FieldUnknown"
	// CauseFieldManagerConflict is that of a field that another manager has set otherwise.
	CauseFieldManagerConflict = "FieldManagerConflict"
)

// Cause is one fault, at one field.
type Cause struct {
	// Field is the path of the field, such as `spec.traffic[1].percent`.
	Field string
	// Reason is one of the Cause constants.
	Reason string
	// Message says what is wrong and what would be right.
	Message string
}

// Invalid makes a cause for a value that is wrong.
func Invalid(field, message string) Cause { return Cause{field, CauseValueInvalid, message} }

// Required makes a cause for a value that is missing.
func Required(field, message string) Cause { return Cause{field, CauseValueRequired, message} }

// ForbiddenField makes a cause for a value that must not be there.
func ForbiddenField(field, message string) Cause { return Cause{field, CauseValueForbidden, message} }

// Resource names a kind of object, as paths do.
type Resource struct {
	// Group is the API group.
	Group string
	// Plural is the resource's plural.
	Plural string
	// Kind is the kind's name.
	Kind string
}

func (r Resource) String() string {
	if r.Group == "" {
		return r.Plural
	}
	return r.Plural + "." + r.Group
}

// Error is an error that a user sees.
type Error struct {
	// Reason says what went wrong.
	Reason Reason
	// Message says it in a sentence, with what to do.
	Message string
	// Resource and Name tell which object it is about, if one.
	Resource Resource
	Name     string
	// Causes are the single faults.
	Causes []Cause
	// RetryAfter is when a new try may succeed; 0 means unknown or never.
	RetryAfter time.Duration

	cause error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns what led to the error. It is never shown to users.
func (e *Error) Unwrap() error { return e.cause }

// Wrap returns a copy of e that remembers what led to it, for the log.
func (e *Error) Wrap(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// New makes an error of a reason.
func New(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// BadRequest is for a request that makes no sense whatever the state.
func BadRequest(format string, args ...any) *Error { return New(ReasonBadRequest, format, args...) }

// Unauthorized is for a caller who is not known.
func Unauthorized(format string, args ...any) *Error { return New(ReasonUnauthorized, format, args...) }

// Internal is for faults of our own; cause goes to the log only.
func Internal(cause error) *Error {
	return &Error{Reason: ReasonInternalError, Message: "internal error; the server's log has the details under this request id", cause: cause}
}

// Unavailable is for a part that does not answer for now.
func Unavailable(retryAfter time.Duration, format string, args ...any) *Error {
	e := New(ReasonServiceUnavailable, format, args...)
	e.RetryAfter = retryAfter
	return e
}

// NotFound is for an object that does not exist.
func NotFound(r Resource, name string) *Error {
	return &Error{Reason: ReasonNotFound, Message: fmt.Sprintf("%s %q not found", r, name), Resource: r, Name: name}
}

// AlreadyExists is for a creation whose name is taken.
func AlreadyExists(r Resource, name string) *Error {
	return &Error{Reason: ReasonAlreadyExists, Message: fmt.Sprintf("%s %q already exists", r, name), Resource: r, Name: name}
}

// Conflict is for a write whose base is no longer the newest state.
func Conflict(r Resource, name, format string, args ...any) *Error {
	return &Error{
		Reason:   ReasonConflict,
		Message:  fmt.Sprintf("Operation cannot be fulfilled on %s %q: %s", r, name, fmt.Sprintf(format, args...)),
		Resource: r, Name: name,
	}
}

// Modified is the conflict of a write based on an old version.
func Modified(r Resource, name string) *Error {
	return Conflict(r, name, "the object has been modified; please apply your changes to the latest version and try again")
}

// Forbidden is for a known caller who lacks a right.
func Forbidden(r Resource, name, format string, args ...any) *Error {
	return &Error{Reason: ReasonForbidden, Message: fmt.Sprintf(format, args...), Resource: r, Name: name}
}

// Expired is for a version that is no longer kept.
func Expired(format string, args ...any) *Error { return New(ReasonExpired, format, args...) }

// InvalidObject is for an object with faults in its fields.
func InvalidObject(r Resource, name string, causes []Cause) *Error {
	texts := make([]string, len(causes))
	for i, c := range causes {
		texts[i] = c.Field + ": " + c.Message
	}
	list := strings.Join(texts, "; ")
	if len(texts) > 1 {
		list = "[" + strings.Join(texts, ", ") + "]"
	}
	return &Error{
		Reason:   ReasonInvalid,
		Message:  fmt.Sprintf("%s.%s %q is invalid: %s", r.Kind, r.Group, name, list),
		Resource: r, Name: name, Causes: causes,
	}
}

// Is tells whether err is, or wraps, an Error of the reason.
func Is(err error, reason Reason) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Reason == reason
}

// IsNotFound tells whether err says that an object does not exist.
func IsNotFound(err error) bool { return Is(err, ReasonNotFound) }

// IsConflict tells whether err says that a write was based on an old version.
func IsConflict(err error) bool { return Is(err, ReasonConflict) }

// IsAlreadyExists tells whether err says that a name is taken.
func IsAlreadyExists(err error) bool { return Is(err, ReasonAlreadyExists) }

// HTTPCode is the HTTP status that goes with the reason.
func (e *Error) HTTPCode() int {
	if m, ok := mappings[e.Reason]; ok {
		return m.http
	}
	return http.StatusInternalServerError
}

// Kubernetes is the error as a Kubernetes API server tells it.
func (e *Error) Kubernetes() *kmetav1.Status {
	s := &kmetav1.Status{
		TypeMeta: kmetav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   kmetav1.StatusFailure,
		Message:  e.Message,
		Reason:   kmetav1.StatusReason(e.Reason),
		Code:     int32(e.HTTPCode()),
	}
	if e.Name == "" && len(e.Causes) == 0 && e.RetryAfter == 0 && e.Resource == (Resource{}) {
		return s
	}
	d := &kmetav1.StatusDetails{Name: e.Name, Group: e.Resource.Group, Kind: e.Resource.Plural}
	if e.Reason == ReasonInvalid {
		d.Kind = e.Resource.Kind
	}
	for _, c := range e.Causes {
		d.Causes = append(d.Causes, kmetav1.StatusCause{Type: kmetav1.CauseType(c.Reason), Message: c.Message, Field: c.Field})
	}
	d.RetryAfterSeconds = int32((e.RetryAfter + time.Second - 1) / time.Second)
	s.Details = d
	return s
}
