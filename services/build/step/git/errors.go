// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"

	"fairlead.dev/services/build/step/contract"
)

var (
	errRevisionNotFound = errors.New("revision not found")
	errSubPathNotFound  = errors.New("folder not found")
)

// Error says why a source could not be fetched.
type Error struct {
	// Reason is one of contract's.
	Reason string
	// Message is a sentence with what to do. It holds no credentials.
	Message string
	// Temporary tells that another try may succeed.
	Temporary bool

	cause error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns what git said.
func (e *Error) Unwrap() error { return e.cause }

func explain(s Source, err error) *Error {
	where := redacted(s.URL)
	e := &Error{Reason: contract.ReasonSourceFailed, cause: err}
	text := err.Error()
	if unexpected, ok := errors.AsType[*plumbing.UnexpectedError](err); ok {
		err = unexpected.Err // it hides what it wraps
	}
	var network net.Error
	var answered *http.Err
	var key *hostKeyError
	switch {
	case errors.As(err, &key):
		e.Reason, e.Message = contract.ReasonHostKey, key.Error()
	case errors.Is(err, errSubPathNotFound):
		e.Reason = contract.ReasonSubPathNotFound
		e.Message = fmt.Sprintf("%s has no folder %q at %q; correct spec.source.subPath", where, s.SubPath, s.Revision)
	case errors.Is(err, errRevisionNotFound), strings.Contains(text, "not our ref"), errors.Is(err, transport.ErrEmptyRemoteRepository):
		e.Reason = contract.ReasonRevisionNotFound
		e.Message = fmt.Sprintf("revision %q not found in %s; correct spec.source.git.revision, or push it", s.Revision, where)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		e.Reason = contract.ReasonRepositoryNotFound
		e.Message = fmt.Sprintf("repository %s not found; correct spec.source.git.url, or, if it is private, %s", where, s.wanted())
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed),
		strings.Contains(text, "unable to authenticate"), strings.Contains(text, "SSH_AUTH_SOCK"):
		e.Reason = contract.ReasonSourceUnauthorized
		e.Message = fmt.Sprintf("%s refuses access; it is private, or does not exist: %s", where, s.wanted())
	case errors.As(err, &answered) && answered.StatusCode() < 500:
		e.Message = fmt.Sprintf("%s answers %d to git; is it a git repository?", where, answered.StatusCode())
	case errors.As(err, &answered):
		e.Reason, e.Temporary = contract.ReasonSourceUnreachable, true
		e.Message = fmt.Sprintf("%s answers %d", where, answered.StatusCode())
	case errors.As(err, &network):
		e.Reason, e.Temporary = contract.ReasonSourceUnreachable, true
		e.Message = fmt.Sprintf("%s does not answer: %s", where, brief(err))
	default:
		e.Message = fmt.Sprintf("fetch %q of %s: %s", s.Revision, where, strings.ReplaceAll(text, s.URL, where))
	}
	return e
}

// brief leaves out what the net package says before the cause: method and URL.
func brief(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op
	}
	return err.Error()
}

func redacted(repository string) string {
	if u, err := url.Parse(repository); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			u.User = url.User(u.User.Username())
			return u.String()
		}
	}
	return repository
}
