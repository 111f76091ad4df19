// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package serving_test

import (
	"net/http"
	"strings"
	"testing"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	servingv1alpha1 "fairlead.dev/gen/go/fairlead/serving/v1alpha1"
	"fairlead.dev/services/internal/condition"
)

// older is a service of the test's app as v1alpha1 had it in 2018, without its spec.
func (g *rig) older(name string) *servingv1alpha1.Service {
	return &servingv1alpha1.Service{Metadata: &metav1.ObjectMeta{Namespace: g.namespace, Name: name}}
}

func olderConfiguration(t *testing.T, target string) *servingv1alpha1.ConfigurationSpec {
	t.Helper()
	img, err := image()
	if err != nil {
		t.Fatal(err)
	}
	return &servingv1alpha1.ConfigurationSpec{RevisionTemplate: &servingv1alpha1.RevisionTemplateSpec{Spec: &servingv1alpha1.RevisionSpec{
		ConcurrencyModel: "Single",
		Container:        &corepb.Container{Image: img, Env: []*corepb.EnvVar{{Name: "TARGET", Value: target}}},
	}}}
}

// TestOlderService takes a service of v1alpha1 through its life: it runs the latest, is released, and left to its user.
func TestOlderService(t *testing.T) {
	g := startRig(t, nil)
	older := servingv1alpha1.NewServiceServiceClient(g.conn)
	update := func(change func(*servingv1alpha1.ServiceSpec)) {
		t.Helper()
		now, err := older.Get(g.ctx, &metav1.GetRequest{Namespace: g.namespace, Name: "greeter"})
		if err != nil {
			t.Fatal(err)
		}
		now.Metadata.ResourceVersion = ""
		change(now.GetSpec())
		if _, err := older.Update(g.ctx, &servingv1alpha1.ServiceServiceUpdateRequest{Object: now}); err != nil {
			t.Fatal(err)
		}
	}
	s := g.older("greeter")
	s.Spec = &servingv1alpha1.ServiceSpec{RunLatest: &servingv1alpha1.RunLatestType{Configuration: olderConfiguration(t, "blue")}}
	if _, err := older.Create(g.ctx, &servingv1alpha1.ServiceServiceCreateRequest{Object: s}); err != nil {
		t.Fatal(err)
	}
	g.await(t, "greeter", condition.True)
	got, err := older.Get(g.ctx, &metav1.GetRequest{Namespace: g.namespace, Name: "greeter"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "greeter." + g.namespace + ".localhost"; got.GetStatus().GetDomain() != want || got.GetSpec().GetRunLatest() == nil {
		t.Errorf("domain is %q, want %q; spec %v", got.GetStatus().GetDomain(), want, got.GetSpec())
	}
	if code, body := g.get(t, got.GetStatus().GetUrl()); code != http.StatusOK || !strings.HasPrefix(body, "blue from greeter-00001") {
		t.Fatalf("got %d %s", code, body)
	}
	rev, err := servingv1alpha1.NewRevisionServiceClient(g.conn).Get(g.ctx, &metav1.GetRequest{Namespace: g.namespace, Name: "greeter-00001"})
	if err != nil || rev.GetSpec().GetContainer().GetImage() == "" || rev.GetSpec().GetConcurrencyModel() != "Single" {
		t.Errorf("the revision does not speak as its service: %v %v", rev.GetSpec(), err)
	}

	// The second revision is the candidate; the first stays current.
	update(func(spec *servingv1alpha1.ServiceSpec) {
		spec.RunLatest.Configuration = olderConfiguration(t, "green")
	})
	g.await(t, "greeter", condition.True)
	update(func(spec *servingv1alpha1.ServiceSpec) {
		spec.Release = &servingv1alpha1.ReleaseType{
			Revisions: []string{"greeter-00001", "@latest"}, RolloutPercent: 20, Configuration: spec.GetRunLatest().GetConfiguration(),
		}
		spec.RunLatest = nil
	})
	st := g.await(t, "greeter", condition.True).GetStatus()
	shares := map[string]int64{}
	for _, share := range st.GetTraffic() {
		shares[share.GetTag()+" "+share.GetRevisionName()] = share.GetPercent()
	}
	for name, want := range map[string]int64{"current greeter-00001": 80, "candidate greeter-00002": 20, "latest greeter-00002": 0} {
		if is, ok := shares[name]; !ok || is != want {
			t.Errorf("%s gets %d, want %d: %v", name, is, want, shares)
		}
	}
	for tag, want := range map[string]string{"current": "blue from greeter-00001", "candidate": "green from greeter-00002", "latest": "green from greeter-00002"} {
		url := "http://" + tag + "-greeter." + g.namespace + ".localhost:8000"
		if code, body := g.get(t, url); code != http.StatusOK || !strings.HasPrefix(body, want) {
			t.Errorf("%s: %d %s", url, code, body)
		}
	}
	seen := map[string]int{}
	for range 100 {
		_, body := g.get(t, st.GetUrl())
		color, _, _ := strings.Cut(body, " ")
		seen[color]++
	}
	if seen["green"] == 0 || seen["blue"] <= seen["green"] {
		t.Errorf("of 100 requests: %v", seen)
	}
	g.leftAlone(t, update)
}

// leftAlone has the service left to its user, who changes the Route, and has it taken up again.
func (g *rig) leftAlone(t *testing.T, update func(func(*servingv1alpha1.ServiceSpec))) {
	t.Helper()
	config := olderConfiguration(t, "red")
	update(func(spec *servingv1alpha1.ServiceSpec) {
		spec.Release, spec.Manual = nil, &servingv1alpha1.ManualType{}
	})
	s := g.await(t, "greeter", condition.Unknown)
	if c := condition.Get(s.GetStatus().GetConditions(), "RoutesReady"); c.GetReason() != "Manual" {
		t.Errorf("conditions %v", s.GetStatus().GetConditions())
	}
	routes := servingv1.NewRouteServiceClient(g.conn)
	route, err := routes.Get(g.ctx, &metav1.GetRequest{Namespace: g.namespace, Name: "greeter"})
	if err != nil {
		t.Fatal(err)
	}
	percent := int64(100)
	route.Metadata.ResourceVersion, route.Spec.Traffic = "", []*servingv1.TrafficTarget{{RevisionName: "greeter-00002", Percent: &percent}}
	if _, err := routes.Update(g.ctx, &servingv1.RouteServiceUpdateRequest{Object: route}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the user's route is ready", func() bool {
		is, err := routes.Get(g.ctx, &metav1.GetRequest{Namespace: g.namespace, Name: "greeter"})
		return err == nil && len(is.GetStatus().GetTraffic()) == 1 && is.GetStatus().GetTraffic()[0].GetRevisionName() == "greeter-00002"
	})
	// A change of the service, such as of a label, has it looked at once more: the route still is the user's.
	s = g.service(t, "greeter")
	s.Metadata.Labels = map[string]string{"looked": "at"}
	if _, err := g.services.Update(g.ctx, &servingv1.ServiceServiceUpdateRequest{Object: s}); err != nil {
		t.Fatal(err)
	}
	update(func(spec *servingv1alpha1.ServiceSpec) {
		if spec.GetManual() == nil {
			t.Errorf("no longer manual: %v", spec)
		}
	})
	if is, err := routes.Get(g.ctx, &metav1.GetRequest{Namespace: g.namespace, Name: "greeter"}); err != nil || len(is.GetSpec().GetTraffic()) != 1 {
		t.Errorf("the user's route has changed: %v %v", is, err)
	}
	update(func(spec *servingv1alpha1.ServiceSpec) {
		spec.Manual, spec.RunLatest = nil, &servingv1alpha1.RunLatestType{Configuration: config}
	})
	st := g.await(t, "greeter", condition.True).GetStatus()
	if code, body := g.get(t, st.GetUrl()); code != http.StatusOK || !strings.HasPrefix(body, "red from") {
		t.Errorf("taken up again: %d %s", code, body)
	}
}
