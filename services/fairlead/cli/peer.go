// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// peer is the server at the other end, and words the errors of not reaching it.
type peer struct {
	address     string
	tls         bool
	tokenSource string
	bearer      *bearer // nil for nobody
	// timeout is that of a unary call; 0 means none.
	timeout time.Duration
}

// peerError is an error of a connection, worded for the user.
type peerError struct {
	status *status.Status
	text   string
}

func (e *peerError) Error() string { return e.text }

// GRPCStatus lets the error count as what it was.
func (e *peerError) GRPCStatus() *status.Status { return e.status }

func (p *peer) unary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if p.timeout <= 0 {
		return p.explain(invoke(ctx, method, req, reply, conn, opts...))
	}
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	err := invoke(limited, method, req, reply, conn, opts...)
	st, _ := status.FromError(err)
	if late := st.Code() == codes.DeadlineExceeded || st.Code() == codes.Canceled; late && ctx.Err() == nil && !fromServer(st) {
		return &peerError{st, fmt.Sprintf("error: the server at %s did not answer within %s; --request-timeout can give it longer", p.address, p.timeout)}
	}
	return p.explain(err)
}

func (p *peer) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := streamer(ctx, desc, conn, method, opts...)
	if err != nil {
		return nil, p.explain(err)
	}
	return &peerStream{s, p}, nil
}

// peerStream words the errors of a stream.
type peerStream struct {
	grpc.ClientStream

	peer *peer
}

// RecvMsg implements grpc.ClientStream.
func (s *peerStream) RecvMsg(m any) error {
	return s.peer.explain(s.ClientStream.RecvMsg(m))
}

// explain turns errors that do not come from the server into what the user can do about them.
func (p *peer) explain(err error) error {
	st, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	failed := p.bearer.failure()
	switch {
	case failed != nil:
		return &peerError{st, "error: " + failed.Error()}
	case st.Code() == codes.Unauthenticated && p.tokenSource != "":
		return &peerError{st, fmt.Sprintf("Error from server (Unauthorized): %s\nThe token came from %s.", st.Message(), p.tokenSource)}
	case fromServer(st):
		return err
	case st.Code() == codes.Unavailable:
		return &peerError{st, p.unreachable(st.Message())}
	default:
		return err
	}
}

// fromServer tells the errors of our server by the details that it gives.
func fromServer(st *status.Status) bool {
	for _, d := range st.Details() {
		if _, ok := d.(*errdetails.ErrorInfo); ok {
			return true
		}
	}
	return false
}

// unreachable says why there is no connection, and what to do. The reasons are in the texts of net and crypto/tls only.
func (p *peer) unreachable(detail string) string {
	has := func(text string) bool { return strings.Contains(detail, text) }
	const which = "--server or $" + envServer + " names the server"
	switch {
	case has("connection refused"):
		return fmt.Sprintf("error: nothing answers at %s: connection refused\nStart a server with `fairlead server`; %s.", p.address, which)
	case has("no such host"), has("produced zero addresses"), has("server misbehaving"), has("name resolution"):
		return fmt.Sprintf("error: the name of the server at %s cannot be resolved\nCheck its spelling; %s.", p.address, which)
	case p.tls && (has("does not look like a TLS handshake") || has("missing selected ALPN")):
		return fmt.Sprintf("error: the server at %s does not speak gRPC over TLS\nIf the network can be trusted, --plaintext goes without.", p.address)
	case p.tls && (has("x509:") || has("certificate")):
		return fmt.Sprintf("error: the certificate of the server at %s is not trusted: %s\nGive the certificate that signed it with --ca-file.",
			p.address, afterLast(detail, "handshake failed: "))
	case !p.tls && has("server preface"):
		return fmt.Sprintf("error: what answers at %s does not speak gRPC in the clear\n"+
			"Give the gRPC endpoint, not that of REST; for TLS, give the server's CA with --ca-file.", p.address)
	default:
		return fmt.Sprintf("error: the server at %s does not answer: %s\nIs it running? %s.", p.address, afterLast(detail, "desc = "), which)
	}
}

// afterLast returns what follows the last mark in text, without quotes.
func afterLast(text, mark string) string {
	if i := strings.LastIndex(text, mark); i >= 0 {
		text = text[i+len(mark):]
	}
	return strings.Trim(text, `"`)
}

// asPeerError returns the error of a connection that err is or wraps.
func asPeerError(err error) (*peerError, bool) {
	return errors.AsType[*peerError](err)
}
