// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/build/account"
	"fairlead.dev/services/build/entrypoint"
	"fairlead.dev/services/build/pod"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
)

// again is how long to wait before looking anew for what no watch tells of.
const again = 2 * time.Second

type pods interface {
	// Find returns the pod of a build, or nil.
	Find(owner kube.Owner) (*corev1.Pod, error)
	Create(ctx context.Context, owner kube.Owner, p *corev1.Pod) error
	Delete(ctx context.Context, p *corev1.Pod) error
	// Stop ends the containers and keeps their logs.
	Stop(ctx context.Context, p *corev1.Pod) error
	Prune(ctx context.Context, owner kube.Owner) error
}

type accounts interface {
	Account(ctx context.Context, namespace, name string) (account.Account, error)
}

type events interface {
	Event(owner kube.Owner, kind, reason, message string)
}

type images interface {
	Resolve(ctx context.Context, image string, keychain authn.Keychain) (pod.Entrypoint, error)
}

// reconciler brings builds to their end. All it must know after a restart is in the store and in the pod.
type reconciler struct {
	cfg      Config
	kind     kinds.Kind
	builds   store.Client[*buildv1.Build]
	pods     pods
	accounts accounts
	events   events
	images   images
	metrics  *metrics
	now      func() time.Time

	// stuck holds, by the build's UID, since when something keeps a container from starting. A restart begins it anew.
	stuck sync.Map
}

// round is one look at one build.
type round struct {
	key   store.Key
	build *buildv1.Build
	owner kube.Owner
	pod   *corev1.Pod
	state pod.State
	now   time.Time
}

// Reconcile brings one build a step on.
func (r *reconciler) Reconcile(ctx context.Context, key store.Key) (reconcile.Result, error) {
	res, err := reconcile.Steps(ctx, &round{key: key, now: r.now()},
		reconcile.Step[*round]{Name: "load", Run: r.load},
		reconcile.Step[*round]{Name: "settle", Run: r.settle},
		reconcile.Step[*round]{Name: "begin", Run: r.begin},
		reconcile.Step[*round]{Name: "cancel", Run: r.cancel},
		reconcile.Step[*round]{Name: "template", Run: r.template},
		reconcile.Step[*round]{Name: "observe", Run: r.observe},
		reconcile.Step[*round]{Name: "timeout", Run: r.timeout},
		reconcile.Step[*round]{Name: "stuck", Run: r.unstick},
		reconcile.Step[*round]{Name: "start", Run: r.start},
	)
	if err != nil {
		return res, fmt.Errorf("build %s: %w", key, err)
	}
	return res, nil
}

// load reads the build, and clears away what builds that are gone have left.
func (r *reconciler) load(ctx context.Context, s *round) (reconcile.Outcome, error) {
	build, ok := r.builds.Cached(s.key)
	s.owner = kube.Owner{Group: r.kind.Group, Version: r.kind.Version, Kind: r.kind.Kind, Namespace: s.key.Namespace, Name: s.key.Name}
	if ok {
		s.build, s.owner = build, kube.OwnerOf(r.kind, build.GetMetadata())
	} else if _, err := r.builds.Get(ctx, s.key); err == nil || !apierror.IsNotFound(err) {
		return reconcile.Done, err // it exists: the cache will tell
	}
	if err := r.pods.Prune(ctx, s.owner); err != nil {
		return reconcile.Done, err
	}
	if !ok {
		return reconcile.Done, nil
	}
	found, err := r.pods.Find(s.owner)
	s.pod = found
	return reconcile.Go, err
}

// settle ends the pod of a build that has ended, should it still run.
func (r *reconciler) settle(ctx context.Context, s *round) (reconcile.Outcome, error) {
	if !isDone(s.build) {
		return reconcile.Go, nil
	}
	r.stuck.Delete(s.owner.UID)
	if s.pod == nil || s.pod.DeletionTimestamp != nil {
		return reconcile.Done, nil
	}
	if succeeded(s.build).GetReason() == reasonCancelled {
		return reconcile.Done, r.pods.Delete(ctx, s.pod)
	}
	if !mustStop(succeeded(s.build).GetReason(), s.pod) {
		return reconcile.Done, nil
	}
	return reconcile.Done, r.pods.Stop(ctx, s.pod)
}

// mustStop tells whether the pod of a build that has ended would go on by itself. Steps that wait for one that failed end
// without help, unless they cannot start.
func mustStop(reason string, p *corev1.Pod) bool {
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return false
	}
	if d := p.Spec.ActiveDeadlineSeconds; d != nil && *d == 1 {
		return false // it is stopping
	}
	waits := func(c corev1.ContainerStatus) bool { return c.State.Waiting != nil }
	return reason == reasonTimeout || slices.ContainsFunc(p.Status.InitContainerStatuses, waits) ||
		slices.ContainsFunc(p.Status.ContainerStatuses, waits)
}

func (r *reconciler) begin(ctx context.Context, s *round) (reconcile.Outcome, error) {
	if s.build.GetStatus().GetStartTime() != nil {
		return reconcile.Go, nil
	}
	return r.record(ctx, s, func(b *buildv1.Build) { begun(b, s.now) })
}

func (r *reconciler) cancel(ctx context.Context, s *round) (reconcile.Outcome, error) {
	if s.build.GetSpec().GetStatus() != statusCancelled {
		return reconcile.Go, nil
	}
	return r.end(ctx, s, reasonCancelled, "cancelled by spec.status")
}

// observe records what the pod says.
func (r *reconciler) observe(ctx context.Context, s *round) (reconcile.Outcome, error) {
	if s.pod == nil {
		return reconcile.Go, nil
	}
	s.state = pod.Read(s.pod, stepNames(s.build))
	return r.record(ctx, s, func(b *buildv1.Build) { observed(b, s.pod, s.state, s.now) })
}

func (r *reconciler) timeout(ctx context.Context, s *round) (reconcile.Outcome, error) {
	left := deadline(s.build, r.cfg.Timeout).Sub(s.now)
	if left > 0 {
		return reconcile.After(left), nil
	}
	message := fmt.Sprintf("the build did not end within %s; raise spec.timeout, or look for what holds it up", timeoutOf(s.build, r.cfg.Timeout))
	return r.end(ctx, s, reasonTimeout, message)
}

// unstick ends a build whose pod has not been able to start a container for too long.
func (r *reconciler) unstick(ctx context.Context, s *round) (reconcile.Outcome, error) {
	if s.state.Stuck == "" {
		r.stuck.Delete(s.owner.UID)
		return reconcile.Go, nil
	}
	since, _ := r.stuck.LoadOrStore(s.owner.UID, s.now)
	begun, _ := since.(time.Time)
	if left := begun.Add(r.cfg.PullTimeout).Sub(s.now); left > 0 && !s.state.StuckForGood {
		return reconcile.After(left), nil
	}
	if s.state.Stuck == pod.FailurePull {
		return r.end(ctx, s, reasonImagePullFailed, s.state.StuckMessage+"; correct the image, or give the service account imagePullSecrets, of type kubernetes.io/dockerconfigjson")
	}
	return r.end(ctx, s, reasonStepCannotStart, s.state.StuckMessage)
}

// start makes the pod, unless there has been one that began to run.
func (r *reconciler) start(ctx context.Context, s *round) (reconcile.Outcome, error) {
	if s.pod != nil {
		return reconcile.Done, nil
	}
	// The cache may lag behind, and a second pod would run the steps twice.
	fresh, err := r.builds.Get(ctx, s.key)
	if apierror.IsNotFound(err) {
		return reconcile.Done, nil
	}
	if err != nil {
		return reconcile.Done, err
	}
	if fresh.GetMetadata().GetUid() != s.owner.UID || isDone(fresh) || fresh.GetSpec().GetStatus() == statusCancelled {
		return reconcile.Done, nil
	}
	s.build = fresh
	if hasRun(fresh) {
		return r.end(ctx, s, reasonPodLost, messagePodLost)
	}
	p, wait, err := r.prepare(ctx, s)
	if err == nil && p == nil {
		return wait, nil
	}
	if err == nil {
		err = r.pods.Create(ctx, s.owner, p)
	}
	switch {
	case err == nil:
		return r.record(ctx, s, func(b *buildv1.Build) { placed(b, p, s.now) })
	case errors.Is(err, errNoAccount) && s.now.Before(s.build.GetStatus().GetStartTime().AsTime().Add(r.cfg.AccountTimeout)):
		return r.wait(ctx, s, reasonPending, err.Error())
	case errors.Is(err, errQuota):
		return r.wait(ctx, s, reasonQuotaExceeded, fmt.Sprintf("the pod is made once the namespace's quota has room: %s", err))
	case errors.Is(err, errNoAccount), errors.Is(err, errRefused):
		return r.end(ctx, s, reasonPodCreationFailed, "the pod cannot be made: "+err.Error())
	}
	return reconcile.Done, err
}

// prepare renders the pod. Without one and without an error, the build waits, or has ended.
func (r *reconciler) prepare(ctx context.Context, s *round) (*corev1.Pod, reconcile.Outcome, error) {
	a, err := r.accounts.Account(ctx, s.key.Namespace, s.build.GetSpec().GetServiceAccountName())
	if err != nil {
		return nil, reconcile.Done, err
	}
	spec, err := podSpec(s.build, r.cfg, deadline(s.build, r.cfg.Timeout).Sub(s.now))
	if err != nil {
		return nil, reconcile.Done, podErrorf(errRefused, "%s", err)
	}
	keychain, faults := entrypoint.Keychain(a.PullSecrets, a.Logins)
	if out, err := r.checkCredentials(ctx, s, a, faults); out.Done || err != nil {
		return nil, out, err
	}
	spec.Credentials, spec.ImagePullSecrets = a.Credentials, a.ImagePullSecrets
	for i, step := range spec.Steps {
		if len(step.Command) > 0 {
			continue
		}
		found, err := r.lookup(ctx, step.Image, keychain)
		if err == nil {
			spec.Entrypoints[step.Name] = found
			continue
		}
		text := fmt.Sprintf("step %q: %s", spec.Steps[i].Name, err)
		var e *entrypoint.Error
		waited := s.now.Sub(s.build.GetStatus().GetStartTime().AsTime())
		if errors.As(err, &e) && e.Temporary && waited < r.cfg.PullTimeout {
			out, err := r.wait(ctx, s, reasonPending, text)
			return nil, out, err
		}
		out, err := r.end(ctx, s, reasonImagePullFailed, text)
		return nil, out, err
	}
	return pod.Render(spec), reconcile.Go, nil
}

func (r *reconciler) lookup(ctx context.Context, image string, keychain authn.Keychain) (pod.Entrypoint, error) {
	began := time.Now()
	found, err := r.images.Resolve(ctx, image, keychain)
	result := "found"
	if err != nil {
		result = "failed"
	}
	r.metrics.lookups.WithLabelValues(result).Observe(time.Since(began).Seconds())
	return found, err //nolint:wrapcheck // a sentence for people
}

// wait records why the build does not go on, and looks again a little later.
func (r *reconciler) wait(ctx context.Context, s *round, reason, message string) (reconcile.Outcome, error) {
	out, err := r.record(ctx, s, func(b *buildv1.Build) { setSucceeded(b, s.now, condition.Unknown, reason, message) })
	if !out.Done {
		out = reconcile.After(again)
	}
	return out, err
}

// end records that the build has failed, and ends its pod.
func (r *reconciler) end(ctx context.Context, s *round, reason, message string) (reconcile.Outcome, error) {
	return r.record(ctx, s, func(b *buildv1.Build) { failed(b, s.now, reason, message) })
}

// record writes the status that change makes of the newest state of the build, and tells people what is new in it. A
// build that has ended does not change any more. The outcome is Done when the build has ended or is gone.
func (r *reconciler) record(ctx context.Context, s *round, change func(*buildv1.Build)) (reconcile.Outcome, error) {
	var before *buildv1.Build
	after, err := r.builds.Update(ctx, s.key, "", func(b *buildv1.Build) (*buildv1.Build, error) {
		before = proto.CloneOf(b)
		if b.GetMetadata().GetUid() != s.owner.UID || isDone(b) {
			return b, nil
		}
		change(b)
		return b, nil
	})
	if apierror.IsNotFound(err) {
		return reconcile.Done, nil
	}
	if err != nil {
		return reconcile.Done, err //nolint:wrapcheck // names its operation
	}
	if after.GetMetadata().GetUid() != s.owner.UID {
		return reconcile.Done, nil
	}
	s.build = after
	r.tell(s, before, after)
	if isDone(after) {
		return r.settle(ctx, s)
	}
	return reconcile.Go, nil
}

// tell sends the Events, and counts the metrics, of what has changed.
func (r *reconciler) tell(s *round, before, after *buildv1.Build) {
	if before.GetStatus().GetStartTime() == nil && after.GetStatus().GetStartTime() != nil {
		r.events.Event(s.owner, corev1.EventTypeNormal, eventStarted, "the build has begun")
	}
	if s.state.Commit != "" && !sourceFetched(before) && sourceFetched(after) {
		r.events.Event(s.owner, corev1.EventTypeNormal, eventSourceFetched, "fetched commit "+s.state.Commit)
	}
	names := stepNames(after)
	for i := len(before.GetStatus().GetStepsCompleted()); i < len(after.GetStatus().GetStepsCompleted()); i++ {
		r.metrics.steps.WithLabelValues().Inc()
		r.events.Event(s.owner, corev1.EventTypeNormal, eventStepCompleted, fmt.Sprintf("step %q ended well after %s", names[i], pod.Duration(s.state.Steps[i])))
	}
	if c := condition.Get(after.GetStatus().GetConditions(), conditionCredentials); c.GetStatus() == condition.False &&
		c.GetMessage() != condition.Get(before.GetStatus().GetConditions(), conditionCredentials).GetMessage() {
		r.events.Event(s.owner, corev1.EventTypeWarning, c.GetReason(), c.GetMessage())
	}
	if isDone(before) || !isDone(after) {
		return
	}
	c := succeeded(after)
	kind := corev1.EventTypeNormal
	if c.GetStatus() == condition.False {
		kind = corev1.EventTypeWarning
	}
	r.events.Event(s.owner, kind, c.GetReason(), c.GetMessage())
	r.metrics.ended.WithLabelValues(c.GetReason()).Inc()
	took := after.GetStatus().GetCompletionTime().AsTime().Sub(after.GetStatus().GetStartTime().AsTime())
	r.metrics.duration.WithLabelValues(c.GetStatus()).Observe(took.Seconds())
}
