// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// builds answers as a test tells it to, call by call.
type builds struct {
	buildv1.UnimplementedBuildServiceServer

	lists   []func(*metav1.ListRequest) (*buildv1.BuildServiceListResponse, error)
	watches []func(*metav1.WatchRequest, buildv1.BuildService_WatchServer) error

	mu       sync.Mutex
	listed   []*metav1.ListRequest
	versions []string
}

func (b *builds) List(_ context.Context, r *metav1.ListRequest) (*buildv1.BuildServiceListResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listed = append(b.listed, r)
	answer, err := b.lists[len(b.listed)-1](r)
	if err != nil {
		return nil, apierror.ToStatus(err).Err()
	}
	return answer, nil
}

func (b *builds) Watch(r *metav1.WatchRequest, stream buildv1.BuildService_WatchServer) error {
	b.mu.Lock()
	b.versions = append(b.versions, r.GetResourceVersion())
	next := b.watches[len(b.versions)-1]
	b.mu.Unlock()
	if err := next(r, stream); err != nil {
		return apierror.ToStatus(err).Err()
	}
	return nil
}

func (*builds) Get(ctx context.Context, r *metav1.GetRequest) (*buildv1.Build, error) {
	if r.GetName() == "absent" {
		return nil, apierror.ToStatus(apierror.NotFound(store.ResourceOf(kind()), "absent")).Err()
	}
	_ = grpc.SetHeader(ctx, metadata.Pairs(wire.WarningKey, "one", wire.WarningKey, "two"))
	return build(r.GetName(), "1"), nil
}

func build(name, version string) *buildv1.Build {
	return &buildv1.Build{Metadata: &metav1.ObjectMeta{Name: name, Namespace: "shop", ResourceVersion: version}}
}

func kind() kinds.Kind {
	k, _ := kinds.ByMessage((&buildv1.Build{}).ProtoReflect().Descriptor().FullName())
	return k
}

// start returns a client of b.
func start(t *testing.T, b *builds, o ...grpc.DialOption) *client.Client {
	t.Helper()
	listener := bufconn.Listen(64 << 10)
	server := grpc.NewServer()
	buildv1.RegisterBuildServiceServer(server, b)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///test", append(o, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served
	})
	return client.New(conn, kinds.All())
}

func TestGet(t *testing.T) {
	var warnings []string
	c := start(t, &builds{}, grpc.WithUnaryInterceptor(client.Warnings(func(w string) { warnings = append(warnings, w) })))
	obj, err := c.Get(t.Context(), kind(), store.Key{Namespace: "shop", Name: "b"})
	if err != nil || obj.GetMetadata().GetName() != "b" {
		t.Errorf("got %v, %v", obj, err)
	}
	if diff := cmp.Diff([]string{"one", "two"}, warnings); diff != "" {
		t.Errorf("warnings: %s", diff)
	}
	_, err = c.Get(t.Context(), kind(), store.Key{Namespace: "shop", Name: "absent"})
	if !apierror.IsNotFound(err) {
		t.Errorf("got %v, want NotFound", err)
	}
	if _, err := c.Delete(t.Context(), kind(), &metav1.DeleteRequest{Name: "b"}); !apierror.Is(err, apierror.ReasonMethodNotAllowed) {
		t.Errorf("a method that the server lacks: %v", err)
	}
}

func TestKindOf(t *testing.T) {
	c := client.New(nil, kinds.All())
	if k, ok := c.KindOf("build.knative.dev/v1alpha1", "Build"); !ok || k.Plural != "builds" {
		t.Errorf("got %v, %v", k, ok)
	}
	if k, ok := c.KindOf("v1", "Pod"); ok {
		t.Errorf("got %v", k)
	}
}

func page(token string, names ...string) func(*metav1.ListRequest) (*buildv1.BuildServiceListResponse, error) {
	return func(*metav1.ListRequest) (*buildv1.BuildServiceListResponse, error) {
		r := &buildv1.BuildServiceListResponse{Metadata: &metav1.ListMeta{ResourceVersion: "7", Continue: token}}
		for _, n := range names {
			r.Items = append(r.Items, build(n, "1"))
		}
		return r, nil
	}
}

func failing(err error) func(*metav1.ListRequest) (*buildv1.BuildServiceListResponse, error) {
	return func(*metav1.ListRequest) (*buildv1.BuildServiceListResponse, error) { return nil, err }
}

func TestListAll(t *testing.T) {
	type lists = []func(*metav1.ListRequest) (*buildv1.BuildServiceListResponse, error)
	for _, c := range []struct {
		reason string
		lists  lists
		want   []string
		tokens []string
		fails  apierror.Reason
	}{
		{"one page", lists{page("", "a", "b")}, []string{"a", "b"}, []string{""}, ""},
		{"nothing", lists{page("")}, nil, []string{""}, ""},
		{"pages", lists{page("x", "a"), page("y", "b"), page("", "c")}, []string{"a", "b", "c"}, []string{"", "x", "y"}, ""},
		{"the version of the pages is gone", lists{page("x", "a"), failing(apierror.Expired("gone")), page("", "a", "b")}, []string{"a", "b"}, []string{"", "x", ""}, ""},
		{"the first page fails", lists{failing(apierror.Expired("gone"))}, nil, []string{""}, apierror.ReasonExpired},
		{"another page fails", lists{page("x", "a"), failing(apierror.BadRequest("no"))}, nil, []string{"", "x"}, apierror.ReasonBadRequest},
	} {
		b := &builds{lists: c.lists}
		list, err := start(t, b).ListAll(t.Context(), kind(), &metav1.ListRequest{Namespace: "shop", Limit: 1})
		if c.fails != "" && !apierror.Is(err, c.fails) || c.fails == "" && err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		var got []string
		tokens := make([]string, 0, len(c.tokens))
		if list != nil {
			for _, obj := range list.Items {
				got = append(got, obj.GetMetadata().GetName())
			}
		}
		for _, r := range b.listed {
			tokens = append(tokens, r.GetContinue())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.reason, diff)
		}
		if diff := cmp.Diff(c.tokens, tokens); diff != "" {
			t.Errorf("%s: tokens: %s", c.reason, diff)
		}
	}
}

// telling is a watch that sends events, as TYPE name version, and then ends with err.
func telling(err error, events ...string) func(*metav1.WatchRequest, buildv1.BuildService_WatchServer) error {
	return func(_ *metav1.WatchRequest, stream buildv1.BuildService_WatchServer) error {
		if sent := stream.SendHeader(nil); sent != nil {
			return sent
		}
		for _, e := range events {
			words := strings.Fields(e)
			if sent := stream.Send(&buildv1.BuildServiceWatchResponse{Type: words[0], Object: build(words[1], words[2])}); sent != nil {
				return sent
			}
		}
		return err
	}
}

// refused is a watch that never stands.
func refused(err error) func(*metav1.WatchRequest, buildv1.BuildService_WatchServer) error {
	return func(*metav1.WatchRequest, buildv1.BuildService_WatchServer) error { return err }
}

func TestFollow(t *testing.T) {
	type watches = []func(*metav1.WatchRequest, buildv1.BuildService_WatchServer) error
	yes := true
	away := apierror.Unavailable(0, "restarting")
	for _, c := range []struct {
		reason   string
		request  *metav1.WatchRequest
		watches  watches
		want     []string // of events
		versions []string // that watches began from
		broken   int
		fails    apierror.Reason
	}{
		{
			"a watch that the server ends goes on where it was", &metav1.WatchRequest{ResourceVersion: "3"},
			watches{telling(nil, "ADDED a 4"), telling(nil, "BOOKMARK - 9"), telling(nil, "ADDED end 10")},
			[]string{"a", "-", "end"}, []string{"3", "4", "9"}, 0, "",
		},
		{
			"a server that restarts", &metav1.WatchRequest{ResourceVersion: "3"},
			watches{telling(away, "ADDED a 4"), refused(away), telling(nil, "ADDED end 5")},
			[]string{"a", "end"}, []string{"3", "4", "4"}, 2, "",
		},
		{
			"a version that is no longer kept", &metav1.WatchRequest{ResourceVersion: "3"},
			watches{refused(apierror.Expired("old")), telling(apierror.Expired("slow"), "ADDED a 9"), telling(nil, "ADDED a 9", "ADDED end 11")},
			[]string{"a", "a", "end"}, []string{"3", "", ""}, 0, "",
		},
		{
			"initial events come again", &metav1.WatchRequest{SendInitialEvents: &yes},
			watches{telling(nil, "ADDED a 4"), telling(nil, "ADDED a 4", "ADDED end 5")},
			[]string{"a", "a", "end"}, []string{"", ""}, 0, "",
		},
		{
			"the first watch fails", &metav1.WatchRequest{},
			watches{refused(away)}, nil, []string{""}, 0, apierror.ReasonServiceUnavailable,
		},
		{
			"a right that is lost", &metav1.WatchRequest{},
			watches{telling(nil, "ADDED a 4"), refused(apierror.New(apierror.ReasonForbidden, "no"))},
			[]string{"a"}, []string{"", "4"}, 0, apierror.ReasonForbidden,
		},
	} {
		b := &builds{watches: c.watches}
		var got []string
		began, broken := 0, 0
		err := start(t, b).Follow(t.Context(), kind(), client.Following{
			Request: c.request,
			Began:   func() { began++ },
			Broken:  func(error) { broken++ },
			Event: func(e store.Event) (bool, error) {
				got = append(got, e.Object.GetMetadata().GetName())
				return got[len(got)-1] == "end", nil
			},
		})
		if c.fails != "" && !apierror.Is(err, c.fails) || c.fails == "" && err != nil {
			t.Errorf("%s: %v", c.reason, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.reason, diff)
		}
		if diff := cmp.Diff(c.versions, b.versions); diff != "" {
			t.Errorf("%s: versions: %s", c.reason, diff)
		}
		if broken != c.broken {
			t.Errorf("%s: told of %d breaks, want %d", c.reason, broken, c.broken)
		}
		if began > len(b.versions) || slices.Contains(got, "end") && began == 0 {
			t.Errorf("%s: began %d times", c.reason, began)
		}
	}
}

func TestFollowEnds(t *testing.T) {
	hold := func(_ *metav1.WatchRequest, stream buildv1.BuildService_WatchServer) error {
		if err := stream.SendHeader(nil); err != nil {
			return err
		}
		<-stream.Context().Done()
		return nil
	}
	c := start(t, &builds{watches: []func(*metav1.WatchRequest, buildv1.BuildService_WatchServer) error{hold, telling(nil, "ADDED a 1")}})
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Follow(ctx, kind(), client.Following{Request: &metav1.WatchRequest{}, Began: cancel, Event: func(store.Event) (bool, error) { return false, nil }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	want := errors.New("enough")
	err = c.Follow(t.Context(), kind(), client.Following{Request: &metav1.WatchRequest{}, Event: func(store.Event) (bool, error) { return false, want }})
	if !errors.Is(err, want) {
		t.Errorf("got %v, want the error of Event", err)
	}
}

func TestWatchEnds(t *testing.T) {
	c := start(t, &builds{watches: []func(*metav1.WatchRequest, buildv1.BuildService_WatchServer) error{telling(nil, "ADDED a 1"), refused(nil)}})
	for range 2 {
		w, err := c.Watch(t.Context(), kind(), &metav1.WatchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = w.Next()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want io.EOF", err)
		}
		w.Stop()
	}
}
