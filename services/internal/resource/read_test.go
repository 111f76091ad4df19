// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
)

func names(builds []*buildv1.Build) []string {
	out := make([]string, 0, len(builds))
	for _, b := range builds {
		out = append(out, b.GetMetadata().GetNamespace()+"/"+b.GetMetadata().GetName())
	}
	return out
}

func TestList(t *testing.T) {
	f := start(t)
	for _, b := range []*buildv1.Build{aBuild("other", "a"), aBuild("shop", "a"), aBuild("shop", "b"), aBuild("shop", "c")} {
		b.Metadata.Labels = map[string]string{"name": b.GetMetadata().GetName()}
		f.created(t, b)
	}
	cases := map[string]struct {
		req    *metav1.ListRequest
		want   []string
		reason apierror.Reason
		text   string
	}{
		"all":          {req: &metav1.ListRequest{}, want: []string{"other/a", "shop/a", "shop/b", "shop/c"}},
		"namespace":    {req: &metav1.ListRequest{Namespace: "other"}, want: []string{"other/a"}},
		"labels":       {req: &metav1.ListRequest{LabelSelector: "name in (a,b),name!=b"}, want: []string{"other/a", "shop/a"}},
		"fields":       {req: &metav1.ListRequest{FieldSelector: "metadata.name=c"}, want: []string{"shop/c"}},
		"bad labels":   {req: &metav1.ListRequest{LabelSelector: "a=("}, reason: apierror.ReasonBadRequest, text: "labelSelector: "},
		"bad fields":   {req: &metav1.ListRequest{FieldSelector: "spec.status=x"}, reason: apierror.ReasonBadRequest, text: "fieldSelector: field label not supported: spec.status"},
		"bad version":  {req: &metav1.ListRequest{ResourceVersion: "x"}, reason: apierror.ReasonBadRequest, text: "resourceVersion"},
		"bad limit":    {req: &metav1.ListRequest{Limit: -1}, reason: apierror.ReasonInvalid, text: "limit"},
		"broken token": {req: &metav1.ListRequest{Continue: "x"}, reason: apierror.ReasonBadRequest, text: "continue"},
		"future":       {req: &metav1.ListRequest{ResourceVersion: "999999"}, reason: apierror.ReasonTimeout, text: "Too large resource version"},
		"absent":       {req: &metav1.ListRequest{Namespace: "absent"}, want: []string{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := f.build.List(f.ctx, tc.req)
			if tc.reason != "" {
				fails(t, err, tc.reason, tc.text)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, names(got.GetItems())); d != "" || got.GetMetadata().GetResourceVersion() == "" {
				t.Errorf("version %q, items (-want +got):\n%s", got.GetMetadata().GetResourceVersion(), d)
			}
		})
	}
	_, err := f.role.List(f.ctx, &metav1.ListRequest{Namespace: "shop"})
	fails(t, err, apierror.ReasonBadRequest, "not namespaced")
}

func TestListPagesAtOneVersion(t *testing.T) {
	f := start(t)
	for _, name := range []string{"a", "b", "c"} {
		f.created(t, aBuild("shop", name))
	}
	var got []string
	req := &metav1.ListRequest{Namespace: "shop", Limit: 1}
	for {
		page, err := f.build.List(f.ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, names(page.GetItems())...)
		if len(got) == 1 {
			f.created(t, aBuild("shop", "later"))
		}
		if req.Continue = page.GetMetadata().GetContinue(); req.Continue == "" {
			break
		}
	}
	if d := cmp.Diff([]string{"shop/a", "shop/b", "shop/c"}, got); d != "" {
		t.Errorf("items (-want +got):\n%s", d)
	}
}

type seen struct{ Type, Name string }

func TestWatch(t *testing.T) {
	f := start(t)
	b := aBuild("shop", "a")
	b.Metadata.Labels = map[string]string{"tier": "web"}
	first := f.created(t, b)
	f.created(t, aBuild("shop", "unlabelled"))
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	yes := true
	stream, err := f.build.Watch(ctx, &metav1.WatchRequest{
		Namespace: "shop", LabelSelector: "tier=web", SendInitialEvents: &yes, ResourceVersionMatch: "NotOlderThan", AllowWatchBookmarks: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	next := func() (seen, *buildv1.Build) {
		t.Helper()
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return seen{r.GetType(), r.GetObject().GetMetadata().GetName()}, r.GetObject()
	}
	expect := func(want seen) {
		t.Helper()
		if got, _ := next(); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	expect(seen{"ADDED", "a"})
	if got, obj := next(); got.Type != "BOOKMARK" || obj.GetMetadata().GetAnnotations()["k8s.io/initial-events-end"] != "true" {
		t.Errorf("got %v %v", got, obj)
	}
	changed := proto.CloneOf(first)
	changed.Spec.Timeout = "1m0s"
	if _, err := f.build.Update(f.ctx, &buildv1.BuildServiceUpdateRequest{Object: changed}); err != nil {
		t.Fatal(err)
	}
	expect(seen{"MODIFIED", "a"})
	changed.Metadata.Labels, changed.Metadata.ResourceVersion = nil, ""
	if _, err := f.build.Update(f.ctx, &buildv1.BuildServiceUpdateRequest{Object: changed}); err != nil {
		t.Fatal(err)
	}
	expect(seen{"DELETED", "a"})
}

func TestWatchEnds(t *testing.T) {
	f := start(t)
	stream, err := f.build.Watch(f.ctx, &metav1.WatchRequest{Namespace: "shop", TimeoutSeconds: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after its time: %v", err)
	}
}

func TestWatchRefuses(t *testing.T) {
	f := start(t)
	yes := true
	cases := map[string]struct {
		req    *metav1.WatchRequest
		reason apierror.Reason
		text   string
	}{
		"initial events without match": {&metav1.WatchRequest{SendInitialEvents: &yes}, apierror.ReasonInvalid, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"},
		"match without initial events": {&metav1.WatchRequest{ResourceVersionMatch: "NotOlderThan"}, apierror.ReasonInvalid, "resourceVersionMatch is forbidden for watch"},
		"bad version":                  {&metav1.WatchRequest{ResourceVersion: "x"}, apierror.ReasonBadRequest, "resourceVersion"},
		"bad selector":                 {&metav1.WatchRequest{LabelSelector: "=("}, apierror.ReasonBadRequest, "labelSelector"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			stream, err := f.build.Watch(f.ctx, tc.req)
			if err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			fails(t, err, tc.reason, tc.text)
		})
	}
}

func TestWatchAndListOfWhatIsNoLongerKept(t *testing.T) {
	f := start(t)
	first := f.created(t, aBuild("shop", "a"))
	f.created(t, aBuild("shop", "b"))
	last := f.created(t, aBuild("shop", "c"))
	newest, err := strconv.ParseInt(last.GetMetadata().GetResourceVersion(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.etcd.Compact(f.ctx, newest); err != nil {
		t.Fatal(err)
	}
	stream, err := f.build.Watch(f.ctx, &metav1.WatchRequest{Namespace: "shop", ResourceVersion: first.GetMetadata().GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	fails(t, err, apierror.ReasonExpired, "no longer kept")
	_, err = f.build.List(f.ctx, &metav1.ListRequest{ResourceVersion: first.GetMetadata().GetResourceVersion(), ResourceVersionMatch: "Exact"})
	fails(t, err, apierror.ReasonExpired, "no longer kept")
}

// The descriptions made here serve the generated gateway and reflection as generated ones do.
func TestGatewayAndReflection(t *testing.T) {
	f := start(t)
	f.created(t, aBuild("shop", "web"))
	mux := runtime.NewServeMux()
	if err := buildv1.RegisterBuildServiceHandler(f.ctx, mux, f.conn); err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(f.ctx, http.MethodGet, "/apis/build.knative.dev/v1alpha1/namespaces/shop/builds/web", http.NoBody)
	req.Header.Set("Authorization", "Bearer alice")
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, req)
	if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), `"name":"web"`) {
		t.Errorf("gateway: %d %s", answer.Code, answer.Body)
	}

	stream, err := reflectionv1.NewServerReflectionClient(f.conn).ServerReflectionInfo(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{
		FileContainingSymbol: "fairlead.build.v1.BuildService",
	}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := stream.Recv()
	if err != nil || len(r.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("reflection: %v, %v", r, err)
	}
	info := f.server.GetServiceInfo()["fairlead.build.v1.BuildService"]
	methods := make([]string, 0, len(info.Methods))
	for _, m := range info.Methods {
		methods = append(methods, m.Name)
	}
	slices.Sort(methods)
	want := []string{"Create", "Delete", "DeleteCollection", "Get", "History", "List", "Patch", "Prepare", "Rollback", "Update", "UpdateStatus", "Watch"}
	if d := cmp.Diff(want, methods); d != "" {
		t.Errorf("methods (-want +got):\n%s", d)
	}
}
