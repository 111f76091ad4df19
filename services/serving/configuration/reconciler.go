// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package configuration makes a Revision at each change of a Configuration's template, and tells which is the newest ready one.
package configuration

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/labels"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/names"
	"fairlead.dev/services/serving/older"
	"fairlead.dev/services/serving/ownership"
)

// The reasons of a configuration's conditions.
const (
	ReasonRevisionFailed    = "RevisionFailed"
	ReasonRevisionNameTaken = "RevisionNameTaken"
	ReasonRevisionDeploying = "RevisionDeploying"
	ReasonNotBuilt          = "NotBuilt"
)

// BuildSucceeded is the condition of a configuration with a build, besides Ready. It has no part in Ready.
const BuildSucceeded = "BuildSucceeded"

// Reconciler makes revisions of configurations.
type Reconciler struct {
	kind           kinds.Kind
	configurations store.Client[*servingv1.Configuration]
	revisions      store.Client[*servingv1.Revision]
}

// New makes a Reconciler for the kinds of configurations and revisions.
func New(s *store.Store, configurations, revisions kinds.Kind) *Reconciler {
	return &Reconciler{
		kind:           configurations,
		configurations: store.For[*servingv1.Configuration](s, configurations),
		revisions:      store.For[*servingv1.Revision](s, revisions),
	}
}

// Sources are what a controller of configurations listens to.
func (r *Reconciler) Sources(s *store.Store) []reconcile.Source {
	return []reconcile.Source{
		reconcile.FromCache(s.Cache(r.configurations.Kind()), nil),
		reconcile.FromCache(s.Cache(r.revisions.Kind()), func(obj store.Object) []store.Key {
			name := obj.GetMetadata().GetLabels()[names.LabelConfiguration]
			if name == "" {
				return nil
			}
			return []store.Key{{Namespace: obj.GetMetadata().GetNamespace(), Name: name}}
		}),
	}
}

type run struct {
	key     store.Key
	now     time.Time
	config  *servingv1.Configuration
	created *servingv1.Revision // that of the newest template; nil when its name belongs to another
	taken   string
}

// Reconcile brings one configuration closer to what it says.
func (r *Reconciler) Reconcile(ctx context.Context, key store.Key) (reconcile.Result, error) {
	return reconcile.Steps(ctx, &run{key: key, now: time.Now()},
		reconcile.Step[*run]{Name: "read", Run: r.read},
		reconcile.Step[*run]{Name: "make revision", Run: r.revision},
		reconcile.Step[*run]{Name: "tell status", Run: r.tell},
	)
}

func (r *Reconciler) read(_ context.Context, s *run) (reconcile.Outcome, error) {
	config, ok := r.configurations.Cached(s.key)
	if !ok || config.GetMetadata().GetDeletionTimestamp() != nil {
		return reconcile.Done, nil // its revisions go with it, by owner reference
	}
	s.config = config
	return reconcile.Go, nil
}

// revision finds the revision of the template as it is now, or makes it.
func (r *Reconciler) revision(ctx context.Context, s *run) (reconcile.Outcome, error) {
	want := r.wanted(s.config)
	rev, ok := r.revisions.Cached(store.KeyOf(want))
	if !ok {
		made, err := r.revisions.Create(ctx, want)
		if apierror.IsAlreadyExists(err) {
			made, err = r.revisions.Get(ctx, store.KeyOf(want))
		}
		if err != nil {
			return reconcile.Done, fmt.Errorf("revision %s: %w", want.GetMetadata().GetName(), err)
		}
		rev = made
	}
	if !ownership.IsFor(rev.GetMetadata(), s.config.GetMetadata()) ||
		generationOf(rev) != s.config.GetMetadata().GetGeneration() && !proto.Equal(rev.GetSpec(), want.GetSpec()) {
		s.taken = rev.GetMetadata().GetName()
		return reconcile.Go, nil
	}
	s.created = rev
	return reconcile.Go, nil
}

// wanted is the revision of a configuration's template.
func (r *Reconciler) wanted(config *servingv1.Configuration) *servingv1.Revision {
	m := config.GetMetadata()
	template := config.GetSpec().GetTemplate()
	name := template.GetMetadata().GetName()
	if name == "" {
		name = names.Revision(m.GetName(), m.GetGeneration())
	}
	annotations := ownership.Inherit(template.GetMetadata().GetAnnotations())
	if who := ownership.Creator(m); who != "" {
		annotations[names.AnnotationCreator] = who
	}
	older.HandDown(annotations, m)
	spec, _ := proto.Clone(template.GetSpec()).(*servingv1.RevisionSpec)
	return &servingv1.Revision{
		Metadata: &metav1.ObjectMeta{
			Name: name, Namespace: m.GetNamespace(), Annotations: annotations,
			Labels: ownership.Labels(template.GetMetadata().GetLabels(), map[string]string{
				names.LabelConfiguration:           m.GetName(),
				names.LabelConfigurationUID:        m.GetUid(),
				names.LabelConfigurationGeneration: strconv.FormatInt(m.GetGeneration(), 10),
				names.LabelService:                 m.GetLabels()[names.LabelService],
				names.LabelServiceUID:              m.GetLabels()[names.LabelServiceUID],
			}),
			OwnerReferences: []*metav1.OwnerReference{ownership.Reference(r.kind, m)},
		},
		Spec: spec,
	}
}

func generationOf(rev *servingv1.Revision) int64 {
	n, err := strconv.ParseInt(rev.GetMetadata().GetLabels()[names.LabelConfigurationGeneration], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// tell writes the status.
func (r *Reconciler) tell(ctx context.Context, s *run) (reconcile.Outcome, error) {
	selector := labels.SelectorFromSet(labels.Set{names.LabelConfigurationUID: s.config.GetMetadata().GetUid()})
	revisions := r.revisions.ListCached(s.key.Namespace, selector)
	_, err := r.configurations.Update(ctx, s.key, "", func(config *servingv1.Configuration) (*servingv1.Configuration, error) {
		if config.GetMetadata().GetUid() == s.config.GetMetadata().GetUid() {
			config.Status = status(config, s, revisions)
		}
		return config, nil
	})
	if err != nil && !apierror.IsNotFound(err) {
		return reconcile.Done, err
	}
	return reconcile.Go, nil
}

func status(config *servingv1.Configuration, s *run, revisions []*servingv1.Revision) *servingv1.ConfigurationStatus {
	st := config.GetStatus()
	if st == nil {
		st = &servingv1.ConfigurationStatus{}
	}
	st.ObservedGeneration = s.config.GetMetadata().GetGeneration()
	if s.created != nil {
		st.LatestCreatedRevisionName = s.created.GetMetadata().GetName()
	}
	st.LatestReadyRevisionName = newestReady(st.GetLatestReadyRevisionName(), revisions)
	value, reason, message := readiness(s)
	st.Conditions = condition.Set(st.GetConditions(), s.now, condition.Ready, value, reason, message)
	if config.GetMetadata().GetAnnotations()[names.AnnotationBuild] != "" {
		st.Conditions = condition.Set(st.GetConditions(), s.now, BuildSucceeded, condition.Unknown, ReasonNotBuilt,
			"build is kept, but not acted on: no image is built, and the revisions run the image that the registry has")
	} else {
		st.Conditions = slices.DeleteFunc(st.GetConditions(), func(c *metav1.Condition) bool { return c.GetType() == BuildSucceeded })
	}
	return st
}

// newestReady returns the newest of the revisions that are ready. A revision that was it stays it until there is a newer one,
// whatever becomes of its pods.
func newestReady(was string, revisions []*servingv1.Revision) string {
	name, generation := "", int64(-1)
	for _, rev := range revisions {
		g := generationOf(rev)
		ready := condition.IsTrue(rev.GetStatus().GetConditions(), condition.Ready) || rev.GetMetadata().GetName() == was
		if ready && rev.GetMetadata().GetDeletionTimestamp() == nil && g > generation {
			name, generation = rev.GetMetadata().GetName(), g
		}
	}
	return name
}

func readiness(s *run) (value, reason, message string) {
	if s.created == nil {
		return condition.False, ReasonRevisionNameTaken, fmt.Sprintf(
			"revision %q exists already and is not of this template; choose another spec.template.metadata.name", s.taken)
	}
	name := s.created.GetMetadata().GetName()
	switch c := condition.Get(s.created.GetStatus().GetConditions(), condition.Ready); c.GetStatus() {
	case condition.True:
		return condition.True, "", ""
	case condition.False:
		return condition.False, ReasonRevisionFailed, fmt.Sprintf("revision %q failed: %s: %s", name, c.GetReason(), c.GetMessage())
	}
	return condition.Unknown, ReasonRevisionDeploying, fmt.Sprintf("revision %q is not ready yet", name)
}
