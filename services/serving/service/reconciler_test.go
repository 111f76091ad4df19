// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/storetest"
	"fairlead.dev/services/serving/admission"
	"fairlead.dev/services/serving/names"
	"fairlead.dev/services/serving/ownership"
)

type rig struct {
	*testing.T
	*Reconciler

	store *store.Store
	ks    admission.Kinds
	key   store.Key
}

func start(t *testing.T) *rig {
	t.Helper()
	s := storetest.Start(t)
	ks, err := admission.ServingKinds()
	if err != nil {
		t.Fatal(err)
	}
	return &rig{T: t, store: s, ks: ks, Reconciler: New(s, ks.Service, ks.Configuration, ks.Route), key: store.Key{Namespace: "ns", Name: "hello"}}
}

func newService() *servingv1.Service {
	return &servingv1.Service{
		Metadata: &metav1.ObjectMeta{
			Namespace: "ns", Name: "hello", Labels: map[string]string{"team": "a"},
			Annotations: map[string]string{"note": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
		},
		Spec: &servingv1.ServiceSpec{
			Template: &servingv1.RevisionTemplateSpec{Spec: &servingv1.RevisionSpec{PodSpec: &corepb.PodSpec{Containers: []*corepb.Container{{Name: "c", Image: "app"}}}}},
			Traffic:  []*servingv1.TrafficTarget{{LatestRevision: new(true), Percent: proto.Int64(90)}, {RevisionName: "hello-00001", LatestRevision: new(false), Percent: proto.Int64(10)}},
		},
	}
}

func (g *rig) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func (g *rig) sync() {
	g.Helper()
	list, err := g.services.List(g.Context(), store.ListOptions{})
	g.must(err)
	for _, k := range []kinds.Kind{g.ks.Service, g.ks.Configuration, g.ks.Route} {
		g.must(g.store.Cache(k).WaitVersion(g.Context(), list.ResourceVersion))
	}
}

func (g *rig) reconcile() *servingv1.Service {
	g.Helper()
	g.sync()
	_, err := g.Reconcile(g.Context(), g.key)
	g.must(err)
	g.sync()
	s, err := g.services.Get(g.Context(), g.key)
	g.must(err)
	return s
}

func (g *rig) expect(s *servingv1.Service, conditionType, status, reason string) {
	g.Helper()
	if c := condition.Get(s.GetStatus().GetConditions(), conditionType); c.GetStatus() != status || c.GetReason() != reason {
		g.Errorf("%s is %v, want %s %s", conditionType, c, status, reason)
	}
}

// answer does what the controllers of configurations and routes do.
func (g *rig) answer(latest, routed string) {
	g.Helper()
	ready := condition.Set(nil, time.Unix(1, 0), condition.Ready, condition.True, "", "")
	_, err := g.configurations.Update(g.Context(), g.key, "", func(c *servingv1.Configuration) (*servingv1.Configuration, error) {
		c.Status = &servingv1.ConfigurationStatus{
			ObservedGeneration: c.GetMetadata().GetGeneration(), Conditions: ready, LatestCreatedRevisionName: latest, LatestReadyRevisionName: latest,
		}
		return c, nil
	})
	g.must(err)
	_, err = g.routes.Update(g.Context(), g.key, "", func(r *servingv1.Route) (*servingv1.Route, error) {
		r.Status = &servingv1.RouteStatus{
			ObservedGeneration: r.GetMetadata().GetGeneration(), Conditions: ready, Url: "http://hello",
			Traffic: []*servingv1.TrafficTarget{{RevisionName: routed, LatestRevision: new(true), Percent: proto.Int64(100)}},
		}
		return r, nil
	})
	g.must(err)
}

func TestServiceMakesConfigurationAndRoute(t *testing.T) {
	g := start(t)
	_, err := g.services.Create(t.Context(), newService())
	g.must(err)
	s := g.reconcile()
	g.expect(s, condition.Ready, condition.Unknown, ReasonOutOfDate)
	config, err := g.configurations.Get(t.Context(), g.key)
	g.must(err)
	route, err := g.routes.Get(t.Context(), g.key)
	g.must(err)
	for _, m := range []*metav1.ObjectMeta{config.GetMetadata(), route.GetMetadata()} {
		if !ownership.IsFor(m, s.GetMetadata()) || m.GetLabels()["team"] != "a" || m.GetLabels()["serving.knative.dev/service"] != "hello" ||
			len(m.GetAnnotations()) != 1 || m.GetAnnotations()["note"] != "b" {
			t.Errorf("metadata is %v", m)
		}
	}
	if !proto.Equal(config.GetSpec().GetTemplate(), s.GetSpec().GetTemplate()) {
		t.Errorf("template is %v", config.GetSpec().GetTemplate())
	}
	traffic := route.GetSpec().GetTraffic()
	if len(traffic) != 2 || traffic[0].GetConfigurationName() != "hello" || traffic[1].GetConfigurationName() != "" || traffic[1].GetRevisionName() != "hello-00001" {
		t.Errorf("traffic is %v", traffic)
	}

	g.answer("hello-00001", "hello-00001")
	s = g.reconcile()
	g.expect(s, condition.Ready, condition.True, "")
	if s.GetStatus().GetUrl() != "http://hello" || s.GetStatus().GetLatestReadyRevisionName() != "hello-00001" || s.GetStatus().GetObservedGeneration() != 1 {
		t.Errorf("status is %v", s.GetStatus())
	}

	// A change of traffic alone leaves the configuration as it is.
	_, err = g.services.Update(t.Context(), g.key, "", func(s *servingv1.Service) (*servingv1.Service, error) {
		s.Spec.Traffic = s.GetSpec().GetTraffic()[:1]
		return s, nil
	})
	g.must(err)
	g.expect(g.reconcile(), condition.Ready, condition.Unknown, ReasonOutOfDate)
	if config, err = g.configurations.Get(t.Context(), g.key); err != nil || config.GetMetadata().GetGeneration() != 1 {
		t.Errorf("configuration is %v, %v", config.GetMetadata(), err)
	}
	g.answer("hello-00002", "hello-00001")
	g.expect(g.reconcile(), RoutesReady, condition.Unknown, ReasonTrafficNotMigrated)
}

func TestServiceFindsNameTaken(t *testing.T) {
	g := start(t)
	_, err := g.routes.Create(t.Context(), &servingv1.Route{Metadata: &metav1.ObjectMeta{Namespace: "ns", Name: "hello"}})
	g.must(err)
	_, err = g.services.Create(t.Context(), newService())
	g.must(err)
	g.expect(g.reconcile(), RoutesReady, condition.False, ReasonNotOwned)
}

// TestManualServiceIsTheUsers has a service that leaves Configuration and Route alone, until it is told to run something.
func TestManualServiceIsTheUsers(t *testing.T) {
	g := start(t)
	manual := newService()
	manual.Spec, manual.Metadata.Annotations = &servingv1.ServiceSpec{}, map[string]string{names.AnnotationForm: "manual"}
	_, err := g.services.Create(t.Context(), manual)
	g.must(err)
	s := g.reconcile()
	g.expect(s, condition.Ready, condition.Unknown, ReasonManual)
	g.expect(s, ConfigurationsReady, condition.Unknown, ReasonManual)
	g.expect(s, RoutesReady, condition.Unknown, ReasonManual)
	if _, err := g.configurations.Get(t.Context(), g.key); !apierror.IsNotFound(err) {
		t.Errorf("a configuration is made: %v", err)
	}
	_, err = g.routes.Create(t.Context(), &servingv1.Route{Metadata: &metav1.ObjectMeta{Namespace: "ns", Name: "hello"}, Spec: &servingv1.RouteSpec{
		Traffic: []*servingv1.TrafficTarget{{RevisionName: "mine", Percent: proto.Int64(100)}},
	}})
	g.must(err)
	g.reconcile()
	if route, err := g.routes.Get(t.Context(), g.key); err != nil || route.GetSpec().GetTraffic()[0].GetRevisionName() != "mine" || len(route.GetMetadata().GetOwnerReferences()) > 0 {
		t.Errorf("the user's route: %v, %v", route, err)
	}
	// With a template it is manual no more, whatever the annotation says. The user's route stays the user's.
	_, err = g.services.Update(t.Context(), g.key, "", func(s *servingv1.Service) (*servingv1.Service, error) {
		s.Spec = newService().GetSpec()
		s.Metadata.Annotations[names.AnnotationForm] = "Single,container,manual,revisionTemplate,runLatest"
		s.Metadata.Annotations[names.AnnotationBuild] = `{"a":1}`
		s.Metadata.Annotations["conversion.fairlead.dev/v1alpha1"] = "[]"
		return s, nil
	})
	g.must(err)
	g.expect(g.reconcile(), RoutesReady, condition.False, ReasonNotOwned)
	config, err := g.configurations.Get(t.Context(), g.key)
	g.must(err)
	want := map[string]string{names.AnnotationForm: "Single,container,revisionTemplate", names.AnnotationBuild: `{"a":1}`}
	if d := cmp.Diff(want, config.GetMetadata().GetAnnotations()); d != "" {
		t.Errorf("annotations of the configuration (-want +got):\n%s", d)
	}
	g.must(func() error {
		_, err := g.routes.Delete(t.Context(), g.key, store.DeleteOptions{})
		return err
	}())
	g.expect(g.reconcile(), RoutesReady, condition.Unknown, ReasonOutOfDate)
}
