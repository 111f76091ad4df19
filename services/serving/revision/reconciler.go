// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revision runs each Revision as a ReplicaSet, with as many pods as the autoscaler wants, and tells how they fare.
package revision

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/autoscaler"
	"fairlead.dev/services/serving/workload"
)

// Scaler decides how many pods a revision has.
type Scaler interface {
	Observe(key store.Key, o autoscaler.Observation) autoscaler.Target
	Forget(key store.Key)
}

// Config configures a Reconciler.
type Config struct {
	// Kind is the kind of revisions.
	Kind kinds.Kind
	// Autoscaler holds the defaults of autoscaling annotations.
	Autoscaler autoscaler.Config
	// ProgressDeadline is how long a new revision has to become ready where its annotation does not say.
	ProgressDeadline time.Duration
	// DrainSeconds is how long a pod goes on serving after it was told to go.
	DrainSeconds int64
}

// Reconciler brings the cluster's ReplicaSets to what revisions say.
type Reconciler struct {
	cfg       Config
	revisions store.Client[*servingv1.Revision]
	kube      *kube.Client
	scaler    Scaler
	routed    func(store.Key) bool
	starts    *starts
}

// New makes a Reconciler. routed tells whether a route sends requests to a revision.
func New(cfg Config, s *store.Store, k *kube.Client, scaler Scaler, routed func(store.Key) bool, log *slog.Logger) *Reconciler {
	return &Reconciler{
		cfg: cfg, revisions: store.For[*servingv1.Revision](s, cfg.Kind), kube: k, scaler: scaler, routed: routed, starts: newStarts(log),
	}
}

// run is the state of one reconciliation.
type run struct {
	key      store.Key
	rev      *servingv1.Revision
	owner    kube.Owner
	now      time.Time
	state    assessment
	target   autoscaler.Target
	applyErr error
}

// Reconcile brings one revision closer to what it says.
func (r *Reconciler) Reconcile(ctx context.Context, key store.Key) (reconcile.Result, error) {
	return reconcile.Steps(ctx, &run{key: key, now: time.Now()},
		reconcile.Step[*run]{Name: "read", Run: r.read},
		reconcile.Step[*run]{Name: "look at pods", Run: r.look},
		reconcile.Step[*run]{Name: "scale", Run: r.scale},
		reconcile.Step[*run]{Name: "apply", Run: r.apply},
		reconcile.Step[*run]{Name: "tell status", Run: r.tell},
	)
}

// read finds the revision. When it is gone, what was made for it goes too.
func (r *Reconciler) read(ctx context.Context, s *run) (reconcile.Outcome, error) {
	rev, ok := r.revisions.Cached(s.key)
	if !ok {
		if _, err := r.revisions.Get(ctx, s.key); err == nil || !apierror.IsNotFound(err) {
			return reconcile.Done, err // it exists: the cache will tell
		}
		r.scaler.Forget(s.key)
		r.starts.forget(s.key)
		owner := kube.Owner{Group: r.cfg.Kind.Group, Version: r.cfg.Kind.Version, Kind: r.cfg.Kind.Kind, Namespace: s.key.Namespace, Name: s.key.Name}
		return reconcile.Done, r.kube.Prune(ctx, kube.ReplicaSets, owner)
	}
	if rev.GetMetadata().GetDeletionTimestamp() != nil {
		return reconcile.Done, nil
	}
	s.rev = rev
	s.owner = kube.OwnerOf(r.cfg.Kind, rev.GetMetadata())
	return reconcile.Go, nil
}

func (r *Reconciler) look(_ context.Context, s *run) (reconcile.Outcome, error) {
	sets, err := r.owned(s, kube.ReplicaSets)
	if err != nil {
		return reconcile.Done, err
	}
	var rs *appsv1.ReplicaSet
	for _, obj := range sets {
		if found, ok := obj.(*appsv1.ReplicaSet); ok && found.DeletionTimestamp == nil {
			rs = found
		}
	}
	objs, err := r.owned(s, kube.Pods)
	if err != nil {
		return reconcile.Done, err
	}
	pods := make([]*corev1.Pod, 0, len(objs))
	for _, obj := range objs {
		if p, ok := obj.(*corev1.Pod); ok {
			pods = append(pods, p)
		}
	}
	s.state = assess(s.rev, newView(rs, pods), progressDeadline(s.rev, r.cfg.ProgressDeadline), s.now)
	r.starts.see(s.key, s.state.view, s.now)
	if !s.state.proven && !s.state.failed {
		return reconcile.After(s.state.left), nil
	}
	return reconcile.Go, nil
}

// owned returns what the cluster has of a resource for this very revision.
func (r *Reconciler) owned(s *run, resource schema.GroupVersionResource) ([]kmetav1.Object, error) {
	all, err := r.kube.Owned(resource, s.owner)
	if err != nil {
		return nil, err
	}
	var mine []kmetav1.Object
	for _, obj := range all {
		if obj.GetLabels()[kube.LabelOwnerUID] == s.owner.UID {
			mine = append(mine, obj)
		}
	}
	return mine, nil
}

// scale asks how many pods there should be.
func (r *Reconciler) scale(_ context.Context, s *run) (reconcile.Outcome, error) {
	spec := s.rev.GetSpec()
	settings, _ := autoscaler.Parse(s.rev.GetMetadata().GetAnnotations(), spec.GetContainerConcurrency(), r.cfg.Autoscaler) // faults were refused when it was made
	o := autoscaler.Observation{
		UID: s.owner.UID, Settings: settings,
		New: !s.state.proven, Failed: s.state.failed, Routed: r.routed(s.key),
		Ready: int32(len(s.state.ready)),
	}
	switch rs := s.state.replicaSet; {
	case rs != nil && rs.Spec.Replicas != nil:
		o.Replicas = *rs.Spec.Replicas
	case rs == nil:
		o.Replicas = s.rev.GetStatus().GetDesiredReplicas()
	}
	s.target = r.scaler.Observe(s.key, o)
	return reconcile.Go, nil
}

// apply makes the ReplicaSet what it should be, when it is not.
func (r *Reconciler) apply(ctx context.Context, s *run) (reconcile.Outcome, error) {
	if err := r.kube.Prune(ctx, kube.ReplicaSets, s.owner); err != nil {
		return reconcile.Done, err
	}
	want, err := workload.ReplicaSet(s.rev, workload.Options{
		Installation: r.kube.Installation(), Owner: s.owner, DrainSeconds: r.cfg.DrainSeconds, Replicas: s.target.Replicas,
	})
	if err != nil {
		s.applyErr = reconcile.Terminal(err)
		return reconcile.Go, nil
	}
	if asWanted(s.state.replicaSet, want) || s.state.replicaSet == nil && s.state.failed {
		return reconcile.Go, nil
	}
	began := time.Now()
	_, err = r.kube.Apply(ctx, s.owner, want)
	switch {
	case err == nil:
		r.starts.applied(s.key, s.target, began, time.Now())
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		s.applyErr = reconcile.Terminal(err)
	default:
		s.applyErr = err
	}
	return reconcile.Go, nil
}

// asWanted tells whether the cluster's ReplicaSet has all that is wanted of it.
func asWanted(is, want *appsv1.ReplicaSet) bool {
	if is == nil || is.Spec.Replicas == nil || *is.Spec.Replicas != *want.Spec.Replicas {
		return false
	}
	return equality.Semantic.DeepDerivative(want.Labels, is.Labels) &&
		equality.Semantic.DeepDerivative(want.Annotations, is.Annotations) &&
		equality.Semantic.DeepDerivative(want.Spec.Template, is.Spec.Template)
}

// tell writes the status and, where it changed, events.
func (r *Reconciler) tell(ctx context.Context, s *run) (reconcile.Outcome, error) {
	was := s.rev.GetStatus()
	if proto.Equal(was, status(s.rev, s.state, s.target, s.applyErr, s.now)) {
		return reconcile.Go, s.applyErr // where the cache is behind, the next change of it brings us back
	}
	var next *servingv1.RevisionStatus
	_, err := r.revisions.Update(ctx, s.key, "", func(rev *servingv1.Revision) (*servingv1.Revision, error) {
		if rev.GetMetadata().GetUid() != s.owner.UID {
			return rev, nil
		}
		was = rev.GetStatus()
		next = status(rev, s.state, s.target, s.applyErr, s.now)
		rev.Status = next
		return rev, nil
	})
	if err != nil && !apierror.IsNotFound(err) {
		return reconcile.Done, err
	}
	r.events(s, was, next)
	return reconcile.Go, s.applyErr
}

func (r *Reconciler) events(s *run, was, is *servingv1.RevisionStatus) {
	if is == nil {
		return
	}
	if from, to := was.GetDesiredReplicas(), is.GetDesiredReplicas(); from != to {
		r.kube.Event(s.owner, corev1.EventTypeNormal, eventScaled, fmt.Sprintf("from %d to %d pods: %s", from, to, s.target.Reason))
	}
	before, after := condition.Get(was.GetConditions(), condition.Ready), condition.Get(is.GetConditions(), condition.Ready)
	if before.GetStatus() == after.GetStatus() && before.GetReason() == after.GetReason() {
		return
	}
	switch after.GetStatus() {
	case condition.True:
		r.kube.Event(s.owner, corev1.EventTypeNormal, eventReady, "the revision answers requests")
	case condition.False:
		r.kube.Event(s.owner, corev1.EventTypeWarning, after.GetReason(), after.GetMessage())
	}
}

// Sources are what a controller of revisions listens to: revisions, their ReplicaSets and pods, and the decisions of the
// autoscaler and of routes.
func (r *Reconciler) Sources(s *store.Store, others ...reconcile.Source) ([]reconcile.Source, error) {
	sources := append([]reconcile.Source{reconcile.FromCache(s.Cache(r.cfg.Kind), nil)}, others...)
	for _, resource := range []schema.GroupVersionResource{kube.ReplicaSets, kube.Pods} {
		informer, err := r.kube.Informer(resource)
		if err != nil {
			return nil, fmt.Errorf("revision: %w", err)
		}
		sources = append(sources, reconcile.FromInformer(informer, func(obj kmetav1.Object) []store.Key {
			return OwnerKeys(r.cfg.Kind, obj)
		}))
	}
	return sources, nil
}

// OwnerKeys returns the key of the object of a kind for which an object of the cluster was made.
func OwnerKeys(k kinds.Kind, obj kmetav1.Object) []store.Key {
	namespace, name, ok := kube.OwnerKey(k, obj)
	if !ok {
		return nil
	}
	return []store.Key{{Namespace: namespace, Name: name}}
}
