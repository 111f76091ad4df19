// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
)

// court knows tokens and rights that tests take away. A token is the user's name.
type court struct {
	mu      sync.Mutex
	changed chan struct{}
	known   map[string]*Identity
	denied  map[string]error
	failing error
	asked   atomic.Int64
}

func newCourt(ids ...*Identity) *court {
	c := &court{changed: make(chan struct{}), known: map[string]*Identity{}, denied: map[string]error{}}
	for _, id := range ids {
		c.known[id.User] = id
	}
	return c
}

// change takes something away and says so.
func (c *court) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

// silently takes something away as the cluster does.
func (c *court) silently(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *court) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (c *court) Authenticate(_ context.Context, token string) (*Identity, error) {
	c.asked.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failing != nil {
		return nil, c.failing
	}
	id, ok := c.known[token]
	if !ok {
		return nil, apierror.Unauthorized("the token has been revoked")
	}
	return id, nil
}

func (c *court) Authorize(_ context.Context, id *Identity, _ Attributes) error {
	c.asked.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.denied[id.User]
}

// endless are services whose streams last as long as they may, each in the way of one of the real ones.
type endless struct {
	buildv1.UnimplementedBuildServiceServer
	buildv1.UnimplementedLogServiceServer
	eventingv1.UnimplementedDispatcherServiceServer

	open atomic.Int64
}

func (e *endless) Watch(_ *metav1.WatchRequest, s grpc.ServerStreamingServer[buildv1.BuildServiceWatchResponse]) error {
	e.open.Add(1)
	defer e.open.Add(-1)
	if err := s.Send(&buildv1.BuildServiceWatchResponse{}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil // as one that does not say why
}

func (e *endless) Read(_ *buildv1.LogServiceReadRequest, s grpc.ServerStreamingServer[buildv1.LogServiceReadResponse]) error {
	for {
		if err := s.Send(&buildv1.LogServiceReadResponse{}); err != nil { // as a log that never stops
			return err
		}
	}
}

func (e *endless) Sync(s grpc.BidiStreamingServer[eventingv1.DispatcherServiceSyncRequest, eventingv1.DispatcherServiceSyncResponse]) error {
	if err := s.Send(&eventingv1.DispatcherServiceSyncResponse{}); err != nil {
		return err
	}
	for {
		if _, err := s.Recv(); err != nil { // looks at no context
			return err
		}
	}
}

func startEndless(t testing.TB, c *court) (*grpc.ClientConn, *endless) {
	t.Helper()
	server, err := NewServer(Config{Authn: c, Authz: c})
	if err != nil {
		t.Fatal(err)
	}
	e := &endless{}
	buildv1.RegisterBuildServiceServer(server, e)
	buildv1.RegisterLogServiceServer(server, e)
	eventingv1.RegisterDispatcherServiceServer(server, e)
	authv1.RegisterTokenServiceServer(server, authv1.UnimplementedTokenServiceServer{})
	memory := NewInMemory(server)
	conn, err := memory.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := memory.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn, e
}

// receiver opens a stream and returns what receives from it; one message has come.
type receiver func(ctx context.Context, conn *grpc.ClientConn) (func() error, error)

func received[T any](s grpc.ServerStreamingClient[T], err error) (func() error, error) {
	next := func() error {
		_, err := s.Recv()
		return err
	}
	if err == nil {
		err = next()
	}
	return next, err
}

func openWatch(ctx context.Context, conn *grpc.ClientConn) (func() error, error) {
	return received(buildv1.NewBuildServiceClient(conn).Watch(ctx, &metav1.WatchRequest{Namespace: "a"}))
}

func openLog(ctx context.Context, conn *grpc.ClientConn) (func() error, error) {
	return received(buildv1.NewLogServiceClient(conn).Read(ctx, &buildv1.LogServiceReadRequest{Namespace: "a", Name: "b"}))
}

func openSync(ctx context.Context, conn *grpc.ClientConn) (func() error, error) {
	s, err := eventingv1.NewDispatcherServiceClient(conn).Sync(ctx)
	if err != nil {
		return nil, err
	}
	next := func() error {
		_, err := s.Recv()
		return err
	}
	return next, next()
}

// ending receives until the stream ends.
func ending(next func() error) *apierror.Error {
	for {
		if err := next(); err != nil {
			return apierror.FromStatus(err)
		}
	}
}

func TestStreamsEndWithWhatLetThemIn(t *testing.T) {
	later := func() time.Time { return time.Now().Add(time.Hour) }
	revoked := func(c *court) { c.change(func() { delete(c.known, "ada") }) }
	rightless := func(c *court) {
		c.change(func() { c.denied["ada"] = apierror.Forbidden(apierror.Resource{}, "", "ada may not") })
	}
	cases := map[string]struct {
		id     *Identity
		take   func(*court)
		reason apierror.Reason
		says   string
	}{
		"revoked": {&Identity{User: "ada", Expires: later()}, revoked, apierror.ReasonUnauthorized, "revoked"},
		"right":   {&Identity{User: "ada", Expires: later()}, rightless, apierror.ReasonForbidden, "ada may not"},
		"expired": {&Identity{User: "ada", Expires: time.Now().Add(300 * time.Millisecond)}, func(*court) {}, apierror.ReasonUnauthorized, "expired"},
		"the cluster's token": {
			&Identity{User: "ada", Source: SourceCluster},
			func(c *court) { c.silently(func() { delete(c.known, "ada") }) }, apierror.ReasonUnauthorized, "revoked",
		},
		"the cluster's right": {
			&Identity{User: "ada", Source: SourceCluster},
			func(c *court) {
				c.silently(func() { c.denied["ada"] = apierror.Forbidden(apierror.Resource{}, "", "ada may not") })
			},
			apierror.ReasonForbidden, "ada may not",
		},
		"another's token": {
			&Identity{User: "ada", Expires: later()},
			func(c *court) { c.change(func() { c.known["ada"] = &Identity{User: "eve", Expires: later()} }) },
			apierror.ReasonUnauthorized, "somebody else",
		},
	}
	for name, tc := range cases {
		for kind, open := range map[string]receiver{"watch": openWatch, "log": openLog, "sync": openSync} {
			t.Run(name+", "+kind, func(t *testing.T) {
				id := *tc.id
				if name == "expired" {
					id.Expires = time.Now().Add(300 * time.Millisecond)
				}
				c := newCourt(&id, &Identity{User: "bob", Expires: later()})
				conn, _ := startEndless(t, c)
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				other, err := open(outgoingAs(ctx, "bob"), conn)
				if err != nil {
					t.Fatal(err)
				}
				next, err := open(outgoingAs(ctx, "ada"), conn)
				if err != nil {
					t.Fatal(err)
				}
				tc.take(c)
				if e := ending(next); e.Reason != tc.reason || !strings.Contains(e.Message, tc.says) || !strings.Contains(e.Message, "the stream has ended") {
					t.Errorf("got %s: %s", e.Reason, e.Message)
				}
				cancel()
				if e := ending(other); e.Reason == apierror.ReasonUnauthorized || e.Reason == apierror.ReasonForbidden {
					t.Errorf("another's stream ended with it: %v", e)
				}
			})
		}
	}
}

// What cannot be found out for the moment ends nothing, and is asked again.
func TestStreamsOutliveAnAuthorityThatFails(t *testing.T) {
	c := newCourt(&Identity{User: "ada", Expires: time.Now().Add(time.Hour)})
	conn, _ := startEndless(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	next, err := openWatch(outgoingAs(ctx, "ada"), conn)
	if err != nil {
		t.Fatal(err)
	}
	before := c.asked.Load()
	c.change(func() { c.failing = apierror.Unavailable(time.Second, "no keys") })
	for c.asked.Load() == before { // asked, and not answered
		if ctx.Err() != nil {
			t.Fatal("nobody asks")
		}
	}
	c.silently(func() { c.failing, c.known = nil, nil })
	if e := ending(next); e.Reason != apierror.ReasonUnauthorized {
		t.Errorf("got %v", e)
	}
}

// A right that goes while a stream is being opened is seen too.
func TestStreamsOpenedDuringAChange(t *testing.T) {
	c := newCourt(&Identity{User: "ada", Expires: time.Now().Add(time.Hour)})
	conn, _ := startEndless(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range 50 {
		c.change(func() { delete(c.denied, "ada") })
		opened := make(chan func() error, 1)
		go func() {
			next, err := openWatch(outgoingAs(ctx, "ada"), conn)
			if err != nil {
				next = func() error { return err }
			}
			opened <- next
		}()
		c.change(func() { c.denied["ada"] = apierror.Forbidden(apierror.Resource{}, "", "ada may not") })
		if e := ending(<-opened); e.Reason != apierror.ReasonForbidden {
			t.Fatalf("got %v", e)
		}
	}
}

// A thousand open watches are asked about when something changes, each question once, and not at all otherwise.
func TestManyStreamsCostNothingWhileNothingChanges(t *testing.T) {
	c := newCourt()
	const users, each = 10, 100
	for i := range users {
		name := fmt.Sprintf("user-%d", i)
		c.known[name] = &Identity{User: name, Expires: time.Now().Add(time.Hour)}
	}
	conn, e := startEndless(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ends := make(chan *apierror.Error, users*each)
	for i := range users * each {
		next, err := openWatch(outgoingAs(ctx, fmt.Sprintf("user-%d", i%users)), conn)
		if err != nil {
			t.Fatal(err)
		}
		go func() { ends <- ending(next) }()
	}
	if n := e.open.Load(); n != users*each {
		t.Fatalf("%d streams are open", n)
	}
	before, cpu := c.asked.Load(), cpuTime()
	idle := time.NewTimer(time.Second)
	<-idle.C
	t.Logf("a second of %d open watches: %s of CPU", users*each, cpuTime()-cpu)
	if n := c.asked.Load() - before; n != 0 {
		t.Errorf("asked %d times while nothing changed", n)
	}
	c.change(func() { delete(c.known, "user-0") })
	for range each {
		if e := <-ends; e.Reason != apierror.ReasonUnauthorized {
			t.Errorf("got %v", e)
		}
	}
	if n := c.asked.Load() - before; n > 2*users {
		t.Errorf("asked %d times about %d callers", n, users)
	}
	if n := e.open.Load(); n > (users-1)*each+each { // those that ended are on their way out
		t.Errorf("%d streams are open", n)
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func outgoingAs(ctx context.Context, user string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, AuthorizationKey, "Bearer "+user)
}

func TestRememberedTokens(t *testing.T) {
	now := time.Now()
	c := newCourt(&Identity{User: "ada", Expires: now.Add(time.Minute)}, &Identity{User: "pod", Source: SourceCluster, Expires: now.Add(time.Hour)}, &Identity{User: "eternal"})
	v := remember(c, func() time.Time { return now })
	asks := func(token string, want int64, why string) error {
		t.Helper()
		before := c.asked.Load()
		_, err := v.Authenticate(t.Context(), token)
		if got := c.asked.Load() - before; got != want {
			t.Errorf("%s: asked %d times, want %d", why, got, want)
		}
		return err
	}
	_ = asks("ada", 1, "the first time")
	_ = asks("ada", 0, "the second time")
	_ = asks("pod", 1, "the cluster's")
	_ = asks("pod", 1, "the cluster's is never remembered")
	_ = asks("eternal", 1, "without an end")
	_ = asks("eternal", 1, "without an end is never remembered")
	_ = asks("mallory", 1, "unknown")
	_ = asks("mallory", 1, "a refusal is never remembered")
	c.change(func() { delete(c.known, "ada") })
	if err := asks("ada", 1, "revoked"); !apierror.Is(err, apierror.ReasonUnauthorized) {
		t.Errorf("a revoked token: %v", err)
	}
	c.change(func() { c.known["ada"] = &Identity{User: "ada", Expires: now.Add(time.Minute)} })
	_ = asks("ada", 1, "known again")
	now = now.Add(time.Minute)
	_ = asks("ada", 1, "expired by the clock")
	if plain := remember(users{}, time.Now); plain != (users{}) {
		t.Error("an authenticator that does not tell of changes is remembered")
	}
}

// An answer that was on its way while it changed is not kept.
func TestNothingOutdatedIsRemembered(t *testing.T) {
	c := newCourt(&Identity{User: "ada", Expires: time.Now().Add(time.Hour)})
	slow := &slowCourt{court: c}
	v := remember(slow, time.Now)
	slow.during = func() { c.change(func() { delete(c.known, "ada") }) }
	if _, err := v.Authenticate(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	slow.during = nil
	var e *apierror.Error
	if _, err := v.Authenticate(t.Context(), "ada"); !errors.As(err, &e) {
		t.Error("a token that was revoked while it was checked is remembered")
	}
}

type slowCourt struct {
	*court

	during func()
}

func (s *slowCourt) Authenticate(ctx context.Context, token string) (*Identity, error) {
	id, err := s.court.Authenticate(ctx, token)
	if s.during != nil {
		s.during()
	}
	return id, err
}
