// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package configuration

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/storetest"
	"fairlead.dev/services/serving/admission"
	"fairlead.dev/services/serving/names"
)

type rig struct {
	*testing.T
	*Reconciler

	store *store.Store
	kinds admission.Kinds
	key   store.Key
}

func start(t *testing.T) *rig {
	t.Helper()
	s := storetest.Start(t)
	ks, err := admission.ServingKinds()
	if err != nil {
		t.Fatal(err)
	}
	return &rig{T: t, store: s, kinds: ks, Reconciler: New(s, ks.Configuration, ks.Revision), key: store.Key{Namespace: "ns", Name: "hello"}}
}

func template(image string) *servingv1.RevisionTemplateSpec {
	return &servingv1.RevisionTemplateSpec{Spec: &servingv1.RevisionSpec{PodSpec: &corepb.PodSpec{Containers: []*corepb.Container{{Name: "c", Image: image}}}}}
}

func (g *rig) create(image string) {
	g.Helper()
	_, err := g.configurations.Create(g.Context(), &servingv1.Configuration{
		Metadata: &metav1.ObjectMeta{
			Namespace: "ns", Name: "hello", Labels: map[string]string{"serving.knative.dev/service": "hello"},
			Annotations: map[string]string{"serving.knative.dev/creator": "alice"},
		},
		Spec: &servingv1.ConfigurationSpec{Template: template(image)},
	})
	if err != nil {
		g.Fatal(err)
	}
}

func (g *rig) update(change func(*servingv1.Configuration)) {
	g.Helper()
	_, err := g.configurations.Update(g.Context(), g.key, "", func(c *servingv1.Configuration) (*servingv1.Configuration, error) {
		change(c)
		return c, nil
	})
	if err != nil {
		g.Fatal(err)
	}
}

// reconcile reconciles with caches that know all there is.
func (g *rig) reconcile() *servingv1.Configuration {
	g.Helper()
	g.sync()
	if _, err := g.Reconcile(g.Context(), g.key); err != nil {
		g.Fatal(err)
	}
	g.sync()
	config, err := g.configurations.Get(g.Context(), g.key)
	if err != nil {
		g.Fatal(err)
	}
	return config
}

func (g *rig) sync() {
	g.Helper()
	list, err := g.configurations.List(g.Context(), store.ListOptions{})
	if err != nil {
		g.Fatal(err)
	}
	for _, k := range []kinds.Kind{g.kinds.Configuration, g.kinds.Revision} {
		if err := g.store.Cache(k).WaitVersion(g.Context(), list.ResourceVersion); err != nil {
			g.Fatal(err)
		}
	}
}

func (g *rig) ready(name, status string) {
	g.Helper()
	_, err := g.revisions.Update(g.Context(), store.Key{Namespace: "ns", Name: name}, "", func(r *servingv1.Revision) (*servingv1.Revision, error) {
		r.Status = &servingv1.RevisionStatus{Conditions: condition.Set(nil, time.Unix(1, 0), condition.Ready, status, "Because", "of this")}
		return r, nil
	})
	if err != nil {
		g.Fatal(err)
	}
}

func (g *rig) expect(c *servingv1.Configuration, created, ready, status, reason string) {
	g.Helper()
	cond := condition.Get(c.GetStatus().GetConditions(), condition.Ready)
	if c.GetStatus().GetLatestCreatedRevisionName() != created || c.GetStatus().GetLatestReadyRevisionName() != ready || cond.GetStatus() != status || cond.GetReason() != reason {
		g.Errorf("status is %v; want created %s, ready %s, %s %s", c.GetStatus(), created, ready, status, reason)
	}
}

func TestRevisions(t *testing.T) {
	g := start(t)
	g.create("app:1")
	g.expect(g.reconcile(), "hello-00001", "", condition.Unknown, ReasonRevisionDeploying)
	rev, err := g.revisions.Get(t.Context(), store.Key{Namespace: "ns", Name: "hello-00001"})
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]string{
		"serving.knative.dev/configuration": "hello", "serving.knative.dev/configurationGeneration": "1", "serving.knative.dev/service": "hello",
	} {
		if got := rev.GetMetadata().GetLabels()[label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
	if rev.GetMetadata().GetAnnotations()["serving.knative.dev/creator"] != "alice" || len(rev.GetMetadata().GetOwnerReferences()) != 1 {
		t.Errorf("metadata is %v", rev.GetMetadata())
	}
	g.ready("hello-00001", condition.True)
	g.expect(g.reconcile(), "hello-00001", "hello-00001", condition.True, "")

	// Metadata makes no revision.
	g.update(func(c *servingv1.Configuration) { c.Metadata.Labels["team"] = "a" })
	g.expect(g.reconcile(), "hello-00001", "hello-00001", condition.True, "")

	// A template does, and until it is ready the old one stays.
	g.update(func(c *servingv1.Configuration) { c.Spec.Template = template("app:2") })
	g.expect(g.reconcile(), "hello-00002", "hello-00001", condition.Unknown, ReasonRevisionDeploying)
	g.ready("hello-00002", condition.False)
	g.expect(g.reconcile(), "hello-00002", "hello-00001", condition.False, ReasonRevisionFailed)
	g.ready("hello-00002", condition.True)
	g.expect(g.reconcile(), "hello-00002", "hello-00002", condition.True, "")

	// A ready revision stays the newest one whatever becomes of its pods.
	g.ready("hello-00002", condition.False)
	g.expect(g.reconcile(), "hello-00002", "hello-00002", condition.False, ReasonRevisionFailed)
}

func TestNameOfOnesOwn(t *testing.T) {
	g := start(t)
	g.create("app:1")
	g.update(func(c *servingv1.Configuration) { c.Spec.Template.Metadata = &metav1.ObjectMeta{Name: "hello-mine"} })
	g.expect(g.reconcile(), "hello-mine", "", condition.Unknown, ReasonRevisionDeploying)
	g.update(func(c *servingv1.Configuration) { c.Spec.Template.Spec.ContainerConcurrency = proto.Int64(1) })
	g.expect(g.reconcile(), "hello-mine", "", condition.False, ReasonRevisionNameTaken)
	g.update(func(c *servingv1.Configuration) { c.Spec.Template.Spec.ContainerConcurrency = nil })
	g.expect(g.reconcile(), "hello-mine", "", condition.Unknown, ReasonRevisionDeploying)
}

func TestNameOfAnother(t *testing.T) {
	g := start(t)
	if _, err := g.revisions.Create(t.Context(), &servingv1.Revision{Metadata: &metav1.ObjectMeta{Namespace: "ns", Name: "hello-00001"}}); err != nil {
		t.Fatal(err)
	}
	g.create("app:1")
	g.expect(g.reconcile(), "", "", condition.False, ReasonRevisionNameTaken)
}

// TestBuildIsToldOf has a configuration whose image nobody builds say so, for as long as it has a build.
func TestBuildIsToldOf(t *testing.T) {
	g := start(t)
	g.create("app:1")
	g.update(func(c *servingv1.Configuration) {
		c.Metadata.Annotations[names.AnnotationBuild], c.Metadata.Annotations[names.AnnotationForm] = `{"a":1}`, "container,revisionTemplate"
	})
	c := condition.Get(g.reconcile().GetStatus().GetConditions(), BuildSucceeded)
	if c.GetStatus() != condition.Unknown || c.GetReason() != ReasonNotBuilt {
		t.Errorf("condition %v", c)
	}
	g.ready("hello-00001", condition.True)
	g.expect(g.reconcile(), "hello-00001", "hello-00001", condition.True, "")
	rev, err := g.revisions.Get(t.Context(), store.Key{Namespace: "ns", Name: "hello-00001"})
	if err != nil || rev.GetMetadata().GetAnnotations()[names.AnnotationForm] != "container,revisionTemplate" {
		t.Errorf("the revision: %v, %v", rev.GetMetadata(), err)
	}
	g.update(func(c *servingv1.Configuration) { delete(c.GetMetadata().GetAnnotations(), names.AnnotationBuild) })
	if c := condition.Get(g.reconcile().GetStatus().GetConditions(), BuildSucceeded); c != nil {
		t.Errorf("condition %v", c)
	}
}
