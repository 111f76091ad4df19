// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
)

// ReasonNotOwned says that the cluster has a service account of the name that is not ours.
const ReasonNotOwned = "NotOwned"

var serviceAccounts = corev1.SchemeGroupVersion.WithResource("serviceaccounts") //nolint:gochecknoglobals // a constant, were structs allowed to be

// accounts keeps service accounts in the cluster as they are here.
type accounts struct {
	mirror  *Mirror
	kind    kinds.Kind
	objects store.Client[*authv1.ServiceAccount]
}

func accountsOf(m *Mirror) store.Client[*authv1.ServiceAccount] {
	return store.For[*authv1.ServiceAccount](m.deps.Store, m.kinds.ServiceAccount)
}

type accountRun struct {
	key     store.Key
	account *authv1.ServiceAccount
	taken   bool
}

// Reconcile brings one service account closer to what it says.
func (r *accounts) Reconcile(ctx context.Context, key store.Key) (reconcile.Result, error) {
	return reconcile.Steps(ctx, &accountRun{key: key}, //nolint:wrapcheck // steps are named
		reconcile.Step[*accountRun]{Name: "read", Run: r.read},
		reconcile.Step[*accountRun]{Name: "look whose it is", Run: r.look},
		reconcile.Step[*accountRun]{Name: "apply", Run: r.apply},
		reconcile.Step[*accountRun]{Name: "tell status", Run: r.tell},
	)
}

func (r *accounts) read(ctx context.Context, s *accountRun) (reconcile.Outcome, error) {
	if account, ok := r.objects.Cached(s.key); ok && stays(account) {
		s.account = account
		return reconcile.Go, nil
	}
	return reconcile.Done, r.mirror.prune(ctx, r.kind, s.key, stays)
}

// look finds out whether the cluster has a service account of the name that is not ours: pods may run under it, so that it
// is left alone.
func (r *accounts) look(ctx context.Context, s *accountRun) (reconcile.Outcome, error) {
	there, err := r.mirror.deps.Kube.Clientset().CoreV1().ServiceAccounts(s.key.Namespace).Get(ctx, s.key.Name, kmetav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return reconcile.Go, nil
	}
	if err != nil {
		return reconcile.Done, fmt.Errorf("service account %s: %w", s.key, err)
	}
	namespace, name, ok := kube.OwnerKey(r.kind, there)
	s.taken = there.GetLabels()[kube.LabelInstallation] != r.mirror.deps.Kube.Installation() || !ok || namespace != s.key.Namespace || name != s.key.Name
	return reconcile.Go, nil
}

func (r *accounts) apply(ctx context.Context, s *accountRun) (reconcile.Outcome, error) {
	if s.taken {
		return reconcile.Go, nil
	}
	_, err := r.mirror.deps.Kube.Apply(ctx, kube.OwnerOf(r.kind, s.account.GetMetadata()), accountImage(s.account))
	return reconcile.Go, err //nolint:wrapcheck // the step is named
}

// accountImage returns what a service account is in the cluster.
func accountImage(a *authv1.ServiceAccount) *corev1.ServiceAccount {
	spec := a.GetSpec()
	out := &corev1.ServiceAccount{
		TypeMeta:   kmetav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: kmetav1.ObjectMeta{Namespace: a.GetMetadata().GetNamespace(), Name: a.GetMetadata().GetName()},
	}
	if spec != nil {
		out.AutomountServiceAccountToken = spec.AutomountServiceAccountToken
	}
	for _, name := range spec.GetImagePullSecrets() {
		out.ImagePullSecrets = append(out.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	for _, name := range spec.GetSecrets() {
		out.Secrets = append(out.Secrets, corev1.ObjectReference{Name: name})
	}
	return out
}

func (r *accounts) tell(ctx context.Context, s *accountRun) (reconcile.Outcome, error) {
	_, err := r.objects.Update(ctx, s.key, "", func(a *authv1.ServiceAccount) (*authv1.ServiceAccount, error) {
		if a.GetMetadata().GetUid() != s.account.GetMetadata().GetUid() {
			return a, nil
		}
		if a.GetStatus() == nil {
			a.Status = &authv1.ServiceAccountStatus{}
		}
		a.Status.ObservedGeneration = s.account.GetMetadata().GetGeneration()
		value, reason, message := condition.True, "", ""
		if s.taken {
			value, reason = condition.False, ReasonNotOwned
			message = fmt.Sprintf("the cluster has a service account %q that was not made for this one; choose another name", s.key.Name)
		}
		a.Status.Conditions = condition.Set(a.GetStatus().GetConditions(), time.Now(), condition.Ready, value, reason, message)
		return a, nil
	})
	if err != nil && !apierror.IsNotFound(err) {
		return reconcile.Done, err //nolint:wrapcheck // the step is named
	}
	if s.taken {
		return reconcile.After(time.Minute), nil // that of others has no informer that would tell when it goes
	}
	return reconcile.Go, nil
}
