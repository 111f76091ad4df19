// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"fairlead.dev/services/internal/apierror"
)

// ErrFenced is wrapped by the conflict of a write, under WithFence, whose guard does not hold: another
// process leads by now.
var ErrFenced = errors.New("a guard of the write does not hold any more")

// causeTooLarge is how Kubernetes' clients recognise a version that the server has not seen yet.
const causeTooLarge = "ResourceVersionTooLarge"

// retryAfter is when a call may be tried again after etcd did not answer.
const retryAfter = time.Second

// fullRetryAfter is when a write may be tried again after etcd had no space for it.
const fullRetryAfter = 30 * time.Second

// What etcd must take for all that the store may write at once: transactions of the most objects, with their history. The
// embedded etcd does.
const (
	wantedRequestBytes = 8 << 20
	wantedTxnOps       = 1024
)

// etcdError turns an error of the etcd client into one that users see. caller is the context that the caller gave, apart
// from the one with the store's own limit.
func (s *Store) etcdError(caller context.Context, err error) error {
	if err == nil {
		return nil
	}
	if caller.Err() != nil && (errors.Is(err, caller.Err()) || isContextStatus(err)) {
		return apierror.From(caller.Err())
	}
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		return expired(err)
	case errors.Is(err, rpctypes.ErrFutureRev):
		return tooLarge().Wrap(err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return apierror.Unavailable(fullRetryAfter, "etcd is full: its quota of disk space is used up, so nothing can be written, only read and "+
			"deleted; delete what is not needed, or raise the quota. Writes are taken again by themselves within a minute of there being space").Wrap(err)
	case errors.Is(err, rpctypes.ErrTooManyRequests):
		return apierror.Unavailable(retryAfter, "etcd (%s) has more writes waiting than it keeps up with; try again", s.endpoints()).Wrap(err)
	case errors.Is(err, rpctypes.ErrRequestTooLarge), codeOf(err) == codes.ResourceExhausted:
		return apierror.New(apierror.ReasonRequestEntityTooLarge, "the write, with the states before it that are kept as history, is larger than "+
			"etcd takes in one request; write less at once, or raise etcd's --max-request-bytes to %d", wantedRequestBytes).Wrap(err)
	case errors.Is(err, rpctypes.ErrTooManyOps):
		return apierror.New(apierror.ReasonRequestEntityTooLarge, "the transaction, with the states before it that are kept as history, is more "+
			"than etcd takes in one; apply fewer objects at once, or raise etcd's --max-txn-ops to %d", wantedTxnOps).Wrap(err)
	case errors.Is(err, context.DeadlineExceeded), codeOf(err) == codes.DeadlineExceeded:
		return apierror.Unavailable(retryAfter, "etcd (%s) did not answer within %s; check that it runs, has a leader and a disk that keeps up",
			s.endpoints(), s.opts.RequestTimeout).Wrap(err)
	case unreachable(err):
		return apierror.Unavailable(retryAfter, "etcd (%s) does not answer; check that it runs and that its address and certificates are right",
			s.endpoints()).Wrap(err)
	}
	return apierror.Internal(err)
}

// writeError is etcdError for a write.
func (s *Store) writeError(caller context.Context, err error) error {
	if errors.Is(err, rpctypes.ErrNoSpace) {
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
	return s.etcdError(caller, err)
}

// isContextStatus tells whether err is how gRPC tells the end of a context.
func isContextStatus(err error) bool {
	c := status.Code(err)
	return c == codes.Canceled || c == codes.DeadlineExceeded ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func unreachable(err error) bool {
	c := codeOf(err)
	return c == codes.Unavailable || c == codes.Canceled || errors.Is(err, context.Canceled)
}

// codeOf is the code of an error of etcd, or of the connection to it.
func codeOf(err error) codes.Code {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code()
	}
	return status.Code(err)
}

func (s *Store) endpoints() string {
	if e := s.client.Endpoints(); len(e) > 0 {
		return strings.Join(e, ", ")
	}
	return "embedded"
}

func expired(cause error) *apierror.Error {
	return apierror.Expired("the version asked for is too old and no longer kept; list again, and watch from the version that the list has").Wrap(cause)
}

func tooLarge() *apierror.Error {
	e := apierror.New(apierror.ReasonTimeout, "Too large resource version: the server has not reached it; it may have come from another server")
	e.RetryAfter = retryAfter
	e.Causes = []apierror.Cause{{Reason: causeTooLarge, Message: "Too large resource version"}}
	return e
}
