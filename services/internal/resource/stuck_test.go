// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/storetest"
)

// unread is the stream of a watch whose caller takes nothing: what is sent waits until the call is over.
type unread struct {
	grpc.ServerStream

	ctx    context.Context //nolint:containedctx // of the one call
	opened chan struct{}
	over   chan struct{}
}

func (u *unread) Context() context.Context { return u.ctx }

func (u *unread) SendHeader(metadata.MD) error {
	close(u.opened)
	return nil
}

func (u *unread) RecvMsg(m any) error {
	m.(*metav1.WatchRequest).Namespace = "shop"
	return nil
}

func (u *unread) SendMsg(any) error {
	<-u.over
	return context.Canceled
}

// services keeps what is registered.
type services struct{ desc *grpc.ServiceDesc }

func (s *services) RegisterService(desc *grpc.ServiceDesc, _ any) { s.desc = desc }

// TestWatchOfACallerThatDoesNotRead has the store give up a watch whose caller takes nothing: the call ends, and says why.
func TestWatchOfACallerThatDoesNotRead(t *testing.T) {
	const history = 10
	s := storetest.StartOn(t, startEtcd(t), store.Options{ChangeLogEvents: history})
	var registered services
	if err := resource.Register(&registered, resource.Deps{Store: s}, resource.Handler{Kind: kind(t, &buildv1.Build{})}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	u := &unread{ctx: ctx, opened: make(chan struct{}), over: make(chan struct{})}
	ended := make(chan error, 1)
	for _, d := range registered.desc.Streams {
		if d.StreamName == "Watch" {
			go func() { ended <- d.Handler(nil, u) }()
		}
	}
	<-u.opened
	for i := range 5 * history { // more than the history, and what waits for the caller, hold
		if _, err := s.Create(ctx, kind(t, &buildv1.Build{}), aBuild("shop", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; !apierror.Is(err, apierror.ReasonExpired) {
		t.Errorf("the call ended with %v, want Expired", err)
	}
	close(u.over)
}
