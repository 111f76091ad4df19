// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
)

// Ended is how a stream came to its end.
type Ended struct {
	// What was taken from its caller.
	What string
	// After is how long the stream lasted from then on.
	After time.Duration
	// Err is what the caller was told.
	Err error
}

// EndStreams opens a stream of a row as somebody with its right alone, takes away what let it in, and waits for the end:
// once for the token, once for the right, once for the token's time.
func (t Target) EndStreams(ctx context.Context, row Row) ([]Ended, error) {
	tokens := authv1.NewTokenServiceClient(t.Conn)
	var out []Ended
	for i, what := range []string{"token", "right", "time"} {
		p := &People{target: t}
		name := fmt.Sprintf("matrix-stream-%s-%d-%s", t.Namespace, i, strings.ToLower(strings.NewReplacer("/", "-", ".", "-").Replace(row.Method[1:])))
		_, undo, err := p.holder(ctx, name, row.Right)
		p.made = undo
		if err == nil {
			err = t.endStream(ctx, tokens, row, what, name+"-here", &out)
		}
		if err := errors.Join(err, p.Leave(ctx)); err != nil {
			return out, fmt.Errorf("%s, %s: %w", row.Method, what, err)
		}
	}
	return out, nil
}

func (t Target) endStream(ctx context.Context, tokens authv1.TokenServiceClient, row Row, what, user string, out *[]Ended) error {
	ctx, cancel := context.WithTimeout(ctx, tries)
	defer cancel()
	request := &authv1.IssueRequest{User: user}
	if what == "time" {
		request.ExpirationSeconds = 3
	}
	issued, err := tokens.Issue(As(ctx, t.Admin), request)
	if err != nil {
		return fmt.Errorf("issue: %w", err)
	}
	streams, err := shapeOf(row.Method)
	if err != nil {
		return err
	}
	stream, err := t.Conn.NewStream(As(ctx, issued.GetToken()), streams, row.Method)
	if err == nil {
		err = stream.SendMsg(row.Request(t.Namespace))
	}
	if err == nil && (!row.Lasts || !t.Offline) {
		err = stream.RecvMsg(&emptypb.Empty{})
	}
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	taken := time.Now()
	switch what {
	case "token":
		_, err = tokens.Revoke(As(ctx, t.Admin), &authv1.RevokeRequest{Id: issued.GetId()})
	case "right":
		err = t.unbind(ctx, strings.TrimSuffix(user, "-here"), row.Right)
	case "time":
		taken = issued.GetExpirationTimestamp().AsTime()
	}
	if err != nil {
		return fmt.Errorf("take: %w", err)
	}
	err = ending(stream)
	*out = append(*out, Ended{What: what, After: time.Since(taken), Err: err})
	want := codes.Unauthenticated
	if what == "right" {
		want = codes.PermissionDenied
	}
	if status.Code(err) != want {
		return fmt.Errorf("it ended with %w, want %s", err, want)
	}
	return nil
}

func (t Target) unbind(ctx context.Context, name string, right Right) error {
	ctx = As(ctx, t.Admin)
	if right.Namespaced {
		_, err := authv1.NewRoleBindingServiceClient(t.Conn).Delete(ctx, &metav1.DeleteRequest{Namespace: t.Namespace, Name: name})
		return err //nolint:wrapcheck // wrapped by the caller
	}
	_, err := authv1.NewClusterRoleBindingServiceClient(t.Conn).Delete(ctx, &metav1.DeleteRequest{Name: name})
	return err //nolint:wrapcheck // wrapped by the caller
}

// ending receives until the stream ends.
func ending(stream grpc.ClientStream) error {
	for {
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err //nolint:wrapcheck // looked at by its code
		}
	}
}
