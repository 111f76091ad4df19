// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"k8s.io/client-go/rest"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/storetest"
	"fairlead.dev/services/serving/admission"
)

type rig struct {
	*testing.T
	*Reconciler

	store *store.Store
	key   store.Key
}

// start makes a Reconciler that gives routes no names in the cluster, so that no cluster is needed.
func start(t *testing.T) *rig {
	t.Helper()
	s := storetest.Start(t)
	ks, err := admission.ServingKinds()
	if err != nil {
		t.Fatal(err)
	}
	k, err := kube.NewClient(&rest.Config{Host: "127.0.0.1:1"}, kube.Options{Installation: "i", Component: "c"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Route: ks.Route, Configuration: ks.Configuration, Revision: ks.Revision, Domain: "localhost", Port: 8000}
	return &rig{T: t, store: s, Reconciler: New(cfg, s, k), key: store.Key{Namespace: "ns", Name: "hello"}}
}

func (g *rig) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func (g *rig) reconcile() *servingv1.RouteStatus {
	g.Helper()
	list, err := g.routes.List(g.Context(), store.ListOptions{})
	g.must(err)
	for _, k := range []kinds.Kind{g.cfg.Route, g.cfg.Configuration, g.cfg.Revision} {
		g.must(g.store.Cache(k).WaitVersion(g.Context(), list.ResourceVersion))
	}
	_, err = g.Reconcile(g.Context(), g.key)
	g.must(err)
	r, err := g.routes.Get(g.Context(), g.key)
	g.must(err)
	return r.GetStatus()
}

func (g *rig) create(traffic ...*servingv1.TrafficTarget) {
	g.Helper()
	_, err := g.routes.Create(g.Context(), &servingv1.Route{Metadata: meta("hello"), Spec: &servingv1.RouteSpec{Traffic: traffic}})
	g.must(err)
}

func meta(name string) *metav1.ObjectMeta { return &metav1.ObjectMeta{Namespace: "ns", Name: name} }

func (g *rig) configuration(latestReady, ready string) {
	g.Helper()
	c := &servingv1.Configuration{Metadata: meta("hello"), Status: &servingv1.ConfigurationStatus{
		LatestReadyRevisionName: latestReady, Conditions: condition.Set(nil, time.Unix(1, 0), condition.Ready, ready, "Because", "of this"),
	}}
	_, err := g.configurations.Create(g.Context(), &servingv1.Configuration{Metadata: meta("hello")})
	if err == nil || strings.Contains(err.Error(), "already exists") {
		_, err = g.configurations.Update(g.Context(), store.KeyOf(c), "", func(is *servingv1.Configuration) (*servingv1.Configuration, error) {
			is.Status = c.GetStatus()
			return is, nil
		})
	}
	g.must(err)
}

func (g *rig) expect(s *servingv1.RouteStatus, conditionType, status, reason string) {
	g.Helper()
	if c := condition.Get(s.GetConditions(), conditionType); c.GetStatus() != status || c.GetReason() != reason {
		g.Errorf("%s is %v, want %s %s", conditionType, c, status, reason)
	}
}

func latest(percent int64) *servingv1.TrafficTarget {
	return &servingv1.TrafficTarget{ConfigurationName: "hello", LatestRevision: new(true), Percent: new(percent)}
}

func TestLatestRevision(t *testing.T) {
	g := start(t)
	g.create(latest(100))
	g.expect(g.reconcile(), AllTrafficAssigned, condition.False, ReasonConfigurationMissing)
	g.configuration("", condition.Unknown)
	g.expect(g.reconcile(), condition.Ready, condition.Unknown, ReasonRevisionMissing)
	g.configuration("", condition.False)
	g.expect(g.reconcile(), condition.Ready, condition.False, ReasonRevisionMissing)
	g.configuration("hello-00001", condition.True)
	s := g.reconcile()
	g.expect(s, condition.Ready, condition.True, "")
	want := []*servingv1.TrafficTarget{{RevisionName: "hello-00001", LatestRevision: new(true), Percent: proto.Int64(100)}}
	if diff := cmp.Diff(want, s.GetTraffic(), protocmp.Transform()); diff != "" {
		t.Errorf("traffic, -want +got:\n%s", diff)
	}
	if s.GetUrl() != "http://hello.ns.localhost:8000" || s.GetAddress().GetUrl() != "http://hello.ns.svc.cluster.local" {
		t.Errorf("url %s, address %s", s.GetUrl(), s.GetAddress().GetUrl())
	}
}

func TestNamedRevision(t *testing.T) {
	g := start(t)
	g.configuration("hello-00002", condition.True)
	g.create(latest(90), &servingv1.TrafficTarget{RevisionName: "hello-00001", Percent: proto.Int64(10), Tag: "old"})
	s := g.reconcile()
	g.expect(s, AllTrafficAssigned, condition.False, ReasonRevisionMissing)
	if len(s.GetTraffic()) != 0 {
		t.Errorf("traffic is %v", s.GetTraffic())
	}
	_, err := g.revisions.Create(t.Context(), &servingv1.Revision{Metadata: meta("hello-00001")})
	g.must(err)
	g.expect(g.reconcile(), AllTrafficAssigned, condition.Unknown, ReasonRevisionUnready)
	_, err = g.revisions.Update(t.Context(), store.Key{Namespace: "ns", Name: "hello-00001"}, "", func(r *servingv1.Revision) (*servingv1.Revision, error) {
		r.Status = &servingv1.RevisionStatus{ContainerStatuses: []*servingv1.ContainerStatus{{Name: "c"}}}
		return r, nil
	})
	g.must(err)
	s = g.reconcile()
	g.expect(s, condition.Ready, condition.True, "")
	want := []*servingv1.TrafficTarget{
		{RevisionName: "hello-00002", LatestRevision: new(true), Percent: proto.Int64(90)},
		{RevisionName: "hello-00001", LatestRevision: new(false), Percent: proto.Int64(10), Tag: "old", Url: "http://old-hello.ns.localhost:8000"},
	}
	if diff := cmp.Diff(want, s.GetTraffic(), protocmp.Transform()); diff != "" {
		t.Errorf("traffic, -want +got:\n%s", diff)
	}
	// What has been assigned stays when it can no longer be.
	_, err = g.revisions.Delete(t.Context(), store.Key{Namespace: "ns", Name: "hello-00001"}, store.DeleteOptions{})
	g.must(err)
	s = g.reconcile()
	g.expect(s, AllTrafficAssigned, condition.False, ReasonRevisionMissing)
	if diff := cmp.Diff(want, s.GetTraffic(), protocmp.Transform()); diff != "" {
		t.Errorf("traffic, -want +got:\n%s", diff)
	}
}

func TestClusterLocal(t *testing.T) {
	g := start(t)
	g.configuration("hello-00001", condition.True)
	m := meta("hello")
	m.Labels = map[string]string{"networking.knative.dev/visibility": "cluster-local"}
	_, err := g.routes.Create(t.Context(), &servingv1.Route{Metadata: m, Spec: &servingv1.RouteSpec{Traffic: []*servingv1.TrafficTarget{latest(100)}}})
	g.must(err)
	if s := g.reconcile(); s.GetUrl() != "http://hello.ns.svc.cluster.local" {
		t.Errorf("url is %s", s.GetUrl())
	}
}

func TestReferences(t *testing.T) {
	key := func(name string) store.Key { return store.Key{Namespace: "ns", Name: name} }
	r := newReferences()
	r.set(key("a"), []store.Key{key("revisions/x"), key("configurations/c")})
	r.set(key("b"), []store.Key{key("revisions/x")})
	if got := r.to(key("revisions/x")); len(got) != 2 {
		t.Errorf("got %v", got)
	}
	r.set(key("a"), []store.Key{key("revisions/y")})
	r.set(key("b"), nil)
	if len(r.to(key("revisions/x")))+len(r.to(key("configurations/c"))) != 0 || len(r.to(key("revisions/y"))) != 1 || len(r.routes) != 1 {
		t.Errorf("got %v", r.routes)
	}
}
