// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

func writeTests() map[string]func(*testing.T, *store.Store) {
	return map[string]func(*testing.T, *store.Store){
		"CreateSetsWhatTheServerKeeps":    testCreate,
		"CreateRefuses":                   testCreateRefuses,
		"CreateGeneratesNames":            testGenerateName,
		"ClusterScoped":                   testClusterScoped,
		"GetNotFound":                     testGetNotFound,
		"UpdateMovesGenerationWithSpec":   testGeneration,
		"UpdateKeepsWhatTheServerKeeps":   testServerFields,
		"UpdateWritesNothingForNothing":   testNoop,
		"UpdateRefusesAStaleVersion":      testStale,
		"UpdateRunsAgainAfterAConflict":   testRunsAgain,
		"UpdateByManyLosesNothing":        testManyWriters,
		"UpdatePassesErrorsOn":            testUpdateError,
		"UpdateRefusesOtherNames":         testRename,
		"UpdateAfterRecreationIsConflict": testRecreated,
		"LargeObjectsAreRefused":          testLarge,
		"DryRunWritesNothing":             testDryRun,
		"FencedWritesNeedTheirGuards":     testFenced,
	}
}

func testCreate(t *testing.T, s *store.Store) {
	given := Service("shop", "web", "app=shop")
	given.Metadata.Uid = "mine"
	given.Metadata.Generation = 7
	given.Metadata.ResourceVersion = "12"
	given.Metadata.DeletionTimestamp = &timestamppb.Timestamp{Seconds: 1}
	given.Spec = &servingv1.ServiceSpec{Traffic: []*servingv1.TrafficTarget{{Tag: "a"}}}
	before := proto.Clone(given)
	got := must[*servingv1.Service](t)(services(t, s).Create(t.Context(), given))
	if d := cmp.Diff(before, given, protocmp.Transform()); d != "" {
		t.Errorf("the argument was changed (-before +after):\n%s", d)
	}
	want := Service("shop", "web", "app=shop")
	want.Spec = given.Spec
	want.Metadata.Generation = 1
	if d := cmp.Diff(want, got, protocmp.Transform(),
		protocmp.IgnoreFields(&metav1.ObjectMeta{}, "uid", "resource_version", "creation_timestamp")); d != "" {
		t.Errorf("created (-want +got):\n%s", d)
	}
	m := got.GetMetadata()
	if len(m.GetUid()) != 36 || m.GetCreationTimestamp().GetSeconds() == 0 || m.GetCreationTimestamp().GetNanos() != 0 || revisionOf(t, got) < 1 {
		t.Errorf("metadata: got %v, want a uid, a time to the second and a version", m)
	}
	read := must[*servingv1.Service](t)(services(t, s).Get(t.Context(), store.KeyOf(got)))
	if d := cmp.Diff(got, read, protocmp.Transform()); d != "" {
		t.Errorf("read again (-created +read):\n%s", d)
	}
}

func testCreateRefuses(t *testing.T, s *store.Store) {
	create(t, s, "shop/web")
	cases := map[string]struct {
		obj    *servingv1.Service
		reason apierror.Reason
	}{
		"a name that is taken":    {Service("shop", "web"), apierror.ReasonAlreadyExists},
		"no name":                 {Service("shop", ""), apierror.ReasonBadRequest},
		"no namespace":            {Service("", "web"), apierror.ReasonBadRequest},
		"a name with a slash":     {Service("shop", "a/b"), apierror.ReasonBadRequest},
		"a namespace with dots":   {Service("..", "web"), apierror.ReasonBadRequest},
		"a name with a percent":   {Service("shop", "a%2fb"), apierror.ReasonBadRequest},
		"a name that is too long": {Service("shop", strings.Repeat("a", 254)), apierror.ReasonBadRequest},
		"text that is no text":    {Service("shop", "x", "a=\xff"), apierror.ReasonBadRequest},
		"no metadata":             {&servingv1.Service{}, apierror.ReasonBadRequest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := services(t, s).Create(t.Context(), tc.obj)
			wantReason(t, err, tc.reason)
		})
	}
}

func testGenerateName(t *testing.T, s *store.Store) {
	seen := map[string]bool{}
	for range 20 {
		obj := Service("shop", "")
		obj.Metadata.GenerateName = "run-"
		got := must[*servingv1.Service](t)(services(t, s).Create(t.Context(), obj))
		name := got.GetMetadata().GetName()
		if !strings.HasPrefix(name, "run-") || len(name) != len("run-")+5 || seen[name] {
			t.Errorf("name: got %q, want run- and five letters, each time others", name)
		}
		seen[name] = true
	}
	obj := Service("shop", "")
	obj.Metadata.GenerateName = strings.Repeat("x", 200)
	if got := must[*servingv1.Service](t)(services(t, s).Create(t.Context(), obj)); len(got.GetMetadata().GetName()) != 63 {
		t.Errorf("a long prefix makes a name of %d letters, want 63", len(got.GetMetadata().GetName()))
	}
}

func testClusterScoped(t *testing.T, s *store.Store) {
	roles := store.For[*authv1.ClusterRole](s, ClusterRoles(t))
	role := &authv1.ClusterRole{Metadata: &metav1.ObjectMeta{Name: "system:viewer"}}
	created := must[*authv1.ClusterRole](t)(roles.Create(t.Context(), role))
	if got := store.KeyOf(created); got != (store.Key{Name: "system:viewer"}) {
		t.Errorf("key: got %+v", got)
	}
	must[*authv1.ClusterRole](t)(roles.Get(t.Context(), store.Key{Name: "system:viewer"}))
	_, err := roles.Get(t.Context(), store.Key{Namespace: "shop", Name: "system:viewer"})
	wantReason(t, err, apierror.ReasonBadRequest)
	list := must[*store.ListOf[*authv1.ClusterRole]](t)(roles.List(t.Context(), store.ListOptions{}))
	if d := cmp.Diff([]string{"system:viewer"}, names(list.Items)); d != "" {
		t.Errorf("list (-want +got):\n%s", d)
	}
	w := must[*store.WatcherOf[*authv1.ClusterRole]](t)(roles.Watch(t.Context(), store.WatchOptions{}))
	defer w.Stop()
	if d := cmp.Diff([]string{"ADDED system:viewer"}, next(t, w, 1)); d != "" {
		t.Errorf("watch (-want +got):\n%s", d)
	}
}

func testGetNotFound(t *testing.T, s *store.Store) {
	_, err := services(t, s).Get(t.Context(), store.Key{Namespace: "shop", Name: "web"})
	wantReason(t, err, apierror.ReasonNotFound)
	if want := `services.serving.knative.dev "web" not found`; err == nil || err.Error() != want {
		t.Errorf("message: got %v, want %s", err, want)
	}
	_, err = services(t, s).Update(t.Context(), store.Key{Namespace: "shop", Name: "web"}, "", func(svc *servingv1.Service) (*servingv1.Service, error) {
		return svc, nil
	})
	wantReason(t, err, apierror.ReasonNotFound)
}

func testGeneration(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	steps := []struct {
		reason string
		change func(*servingv1.Service)
		want   int64
	}{
		{"labels are not spec", func(o *servingv1.Service) { o.Metadata.Labels = map[string]string{"a": "b"} }, 1},
		{"status is not spec", func(o *servingv1.Service) { o.Status = &servingv1.ServiceStatus{Url: "http://x"} }, 1},
		{"spec appears", func(o *servingv1.Service) { o.Spec = &servingv1.ServiceSpec{} }, 2},
		{"spec changes", func(o *servingv1.Service) { o.Spec.Traffic = []*servingv1.TrafficTarget{{Tag: "a"}} }, 3},
		{"spec changes inside", func(o *servingv1.Service) { o.Spec.Traffic[0].Tag = "b" }, 4},
		{"the caller says otherwise", func(o *servingv1.Service) { o.Metadata.Generation = 99; o.Status = nil }, 4},
		{"spec goes", func(o *servingv1.Service) { o.Spec = nil }, 5},
	}
	for _, step := range steps {
		got := must[*servingv1.Service](t)(services(t, s).Update(t.Context(), key, "", func(o *servingv1.Service) (*servingv1.Service, error) {
			step.change(o)
			return o, nil
		}))
		if got.GetMetadata().GetGeneration() != step.want {
			t.Errorf("%s: generation is %d, want %d", step.reason, got.GetMetadata().GetGeneration(), step.want)
		}
	}
}

func testServerFields(t *testing.T, s *store.Store) {
	was := create(t, s, "shop/web")[0]
	got := must[*servingv1.Service](t)(services(t, s).Update(t.Context(), store.KeyOf(was), "", func(*servingv1.Service) (*servingv1.Service, error) {
		// As a client puts it that knows the name only.
		o := Service("shop", "web", "a=b")
		o.Metadata.DeletionTimestamp = &timestamppb.Timestamp{Seconds: 5}
		o.Metadata.CreationTimestamp = &timestamppb.Timestamp{Seconds: 5}
		return o, nil
	}))
	want := proto.CloneOf(was)
	want.Metadata.Labels = map[string]string{"a": "b"}
	want.Metadata.ResourceVersion = got.GetMetadata().GetResourceVersion()
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Errorf("updated (-want +got):\n%s", d)
	}
	if revisionOf(t, got) <= revisionOf(t, was) {
		t.Errorf("the version went from %d to %d", revisionOf(t, was), revisionOf(t, got))
	}
}

func testNoop(t *testing.T, s *store.Store) {
	was := create(t, s, "shop/web")[0]
	got := relabel(t, s, store.KeyOf(was))
	if d := cmp.Diff(was, got, protocmp.Transform()); d != "" {
		t.Errorf("nothing changed, but (-before +after):\n%s", d)
	}
}

func testStale(t *testing.T, s *store.Store) {
	was := create(t, s, "shop/web")[0]
	key := store.KeyOf(was)
	newer := relabel(t, s, key, "a=1")
	set := func(expected string) error {
		_, err := services(t, s).Update(t.Context(), key, expected, func(o *servingv1.Service) (*servingv1.Service, error) {
			o.Metadata.Labels["b"] = "2"
			return o, nil
		})
		return err
	}
	wantReason(t, set(was.GetMetadata().GetResourceVersion()), apierror.ReasonConflict)
	if err := set(newer.GetMetadata().GetResourceVersion()); err != nil {
		t.Errorf("the newest version is refused: %v", err)
	}
}

func testRunsAgain(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	runs := 0
	got := must[*servingv1.Service](t)(services(t, s).Update(t.Context(), key, "", func(o *servingv1.Service) (*servingv1.Service, error) {
		runs++
		if runs == 1 {
			relabel(t, s, key, "other=1")
		}
		if o.Metadata.Labels == nil {
			o.Metadata.Labels = map[string]string{}
		}
		o.Metadata.Labels["mine"] = "1"
		return o, nil
	}))
	if d := cmp.Diff(map[string]string{"other": "1", "mine": "1"}, got.GetMetadata().GetLabels()); runs != 2 || d != "" {
		t.Errorf("after %d runs (-want +got):\n%s", runs, d)
	}
}

func testManyWriters(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	const writers, each = 4, 5
	var wg sync.WaitGroup
	errs := make(chan error, writers*each)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				_, err := services(t, s).Update(t.Context(), key, "", func(o *servingv1.Service) (*servingv1.Service, error) {
					o.Metadata.Finalizers = append(o.Metadata.Finalizers, fmt.Sprintf("%d/%d", w, i))
					return o, nil
				})
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	got := must[*servingv1.Service](t)(services(t, s).Get(t.Context(), key))
	if n := len(got.GetMetadata().GetFinalizers()); n != writers*each {
		t.Errorf("%d of %d writes are there", n, writers*each)
	}
}

func testUpdateError(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	own := errors.New("not now")
	_, err := services(t, s).Update(t.Context(), key, "", func(*servingv1.Service) (*servingv1.Service, error) { return nil, own })
	if !errors.Is(err, own) {
		t.Errorf("got %v, want the function's own error", err)
	}
}

func testRename(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	for _, other := range []*servingv1.Service{Service("shop", "other"), Service("other", "web")} {
		_, err := services(t, s).Update(t.Context(), key, "", func(*servingv1.Service) (*servingv1.Service, error) { return other, nil })
		wantReason(t, err, apierror.ReasonBadRequest)
	}
}

func testRecreated(t *testing.T, s *store.Store) {
	was := create(t, s, "shop/web")[0]
	must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), store.KeyOf(was), store.DeleteOptions{}))
	create(t, s, "shop/web")
	_, err := services(t, s).Update(t.Context(), store.KeyOf(was), "", func(*servingv1.Service) (*servingv1.Service, error) { return was, nil })
	wantReason(t, err, apierror.ReasonConflict)
}

// largeService makes a service that is encoded in size bytes when it is stored.
func largeService(t testing.TB, s *store.Store, name string, size int) *servingv1.Service {
	t.Helper()
	obj := Service("shop", name)
	obj.Spec = &servingv1.ServiceSpec{Traffic: []*servingv1.TrafficTarget{{Tag: "x"}}}
	stored := must[*servingv1.Service](t)(services(t, s.DryRun()).Create(t.Context(), obj))
	obj.Spec.Traffic[0].Tag = strings.Repeat("x", size-proto.Size(stored)-64)
	for proto.Size(stored) < size {
		obj.Spec.Traffic[0].Tag += "x"
		stored.Spec = obj.Spec
	}
	return obj
}

// testLarge writes objects of just the largest size, and of a byte more.
func testLarge(t *testing.T, s *store.Store) {
	const most = 1 << 20
	almost, large := largeService(t, s, "web", most), largeService(t, s, "web", most+1)
	_, err := services(t, s).Create(t.Context(), large)
	wantReason(t, err, apierror.ReasonRequestEntityTooLarge)
	for _, part := range []string{"shop/web", strconv.Itoa(most + 1), strconv.Itoa(most)} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error: got %v, want one that says %s", err, part)
		}
	}
	w := startWatch(t, s, store.WatchOptions{})
	made, err := services(t, s).Create(t.Context(), almost)
	if err != nil {
		t.Fatalf("an object of just the limit is refused: %v", err)
	}
	// The next state has the largest size too, and the one before is kept in the same transaction.
	key := store.KeyOf(made)
	change := func(to *servingv1.Service) error {
		_, err := services(t, s).Update(t.Context(), key, "", func(o *servingv1.Service) (*servingv1.Service, error) {
			o.Spec = proto.CloneOf(to.GetSpec())
			o.Spec.Traffic[0].Tag = "y" + o.Spec.Traffic[0].Tag[1:]
			return o, nil
		})
		return err
	}
	if err := change(almost); err != nil {
		t.Errorf("a change of it is refused: %v", err)
	}
	wantReason(t, change(large), apierror.ReasonRequestEntityTooLarge)
	if h := history(t, s, key); len(h) != 1 || !proto.Equal(h[0].Object, made) {
		t.Errorf("history: got %d states, want the one before", len(h))
	}
	if got := nextEvents(t, w, 2); proto.Size(got[1].Object) < most {
		t.Errorf("a watch tells %d bytes", proto.Size(got[1].Object))
	}
}

func testDryRun(t *testing.T, s *store.Store) {
	was := create(t, s, "shop/web")[0]
	dry := services(t, s.DryRun())
	key := store.KeyOf(was)
	_, err := dry.Create(t.Context(), Service("shop", "web"))
	wantReason(t, err, apierror.ReasonAlreadyExists)
	got := must[*servingv1.Service](t)(dry.Create(t.Context(), Service("shop", "new")))
	if got.GetMetadata().GetUid() == "" || got.GetMetadata().GetResourceVersion() != "" {
		t.Errorf("created in a dry run: got %v, want a uid and no version", got.GetMetadata())
	}
	relabel(t, s.DryRun(), key, "a=b")
	must[*servingv1.Service](t)(dry.Delete(t.Context(), key, store.DeleteOptions{}))
	list := must[*store.ListOf[*servingv1.Service]](t)(services(t, s).List(t.Context(), store.ListOptions{}))
	if d := cmp.Diff([]*servingv1.Service{was}, list.Items, protocmp.Transform()); d != "" {
		t.Errorf("dry runs wrote (-before +after):\n%s", d)
	}
}

func testFenced(t *testing.T, s *store.Store) {
	was := create(t, s, "shop/web")[0]
	key := store.KeyOf(was)
	holds := clientv3.Compare(clientv3.Version("/no/such/key"), "=", 0)
	fails := clientv3.Compare(clientv3.Version("/no/such/key"), ">", 0)
	if err := errors.Join(writeEach(store.WithFence(t.Context(), holds), t, s, key)...); err != nil {
		t.Fatalf("under a guard that holds: %v", err)
	}
	was = create(t, s, "shop/web")[0]
	for name, ctx := range map[string]context.Context{
		"one":               store.WithFence(t.Context(), fails),
		"the first of two":  store.WithFence(store.WithFence(t.Context(), fails), holds),
		"the second of two": store.WithFence(store.WithFence(t.Context(), holds), fails),
		"one of a call":     store.WithFence(t.Context(), holds, fails),
	} {
		t.Run(name, func(t *testing.T) {
			for _, err := range writeEach(ctx, t, s, key) {
				wantReason(t, err, apierror.ReasonConflict)
				if !errors.Is(err, store.ErrFenced) {
					t.Errorf("got %v, want ErrFenced", err)
				}
			}
		})
	}
	got := must[*servingv1.Service](t)(services(t, s).Get(t.Context(), key))
	if d := cmp.Diff(was, got, protocmp.Transform()); d != "" {
		t.Errorf("a fenced write changed it (-before +after):\n%s", d)
	}
}

// writeEach creates one service, and changes and deletes another, and returns what each gave.
func writeEach(ctx context.Context, t *testing.T, s *store.Store, key store.Key) []error {
	t.Helper()
	fresh := Service(key.Namespace, "")
	fresh.Metadata.GenerateName = "new-"
	_, createErr := services(t, s).Create(ctx, fresh)
	_, updateErr := services(t, s).Update(ctx, key, "", func(o *servingv1.Service) (*servingv1.Service, error) {
		o.Metadata.Labels = map[string]string{"by": "writeEach"}
		return o, nil
	})
	_, deleteErr := services(t, s).Delete(ctx, key, store.DeleteOptions{})
	return []error{createErr, updateErr, deleteErr}
}
