// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"fairlead.dev/services/build/account"
	"fairlead.dev/services/internal/kube"
)

// Kinds of failures to make a pod.
var (
	errNoAccount = errors.New("service account not found")
	errQuota     = errors.New("quota exceeded")
	errRefused   = errors.New("refused")
)

// podError says in a sentence why a pod cannot be made.
type podError struct {
	kind    error
	message string
}

func (e *podError) Error() string { return e.message }

func (e *podError) Unwrap() error { return e.kind }

func podErrorf(kind error, format string, args ...any) error {
	return &podError{kind, fmt.Sprintf(format, args...)}
}

// cluster is the Kubernetes that builds run in.
type cluster struct {
	kube *kube.Client
}

// Find returns the pod of a build as the informer knows it, or nil.
func (c *cluster) Find(owner kube.Owner) (*corev1.Pod, error) {
	owned, err := c.kube.Owned(kube.Pods, owner)
	if err != nil {
		return nil, err //nolint:wrapcheck // names its operation
	}
	for _, obj := range owned {
		if p, ok := obj.(*corev1.Pod); ok && p.Labels[kube.LabelOwnerUID] == owner.UID {
			return p, nil
		}
	}
	return nil, nil //nolint:nilnil // documented
}

// Create makes a build's pod. It is not applied but created, since a pod cannot be changed, and one of the same name that
// is not the build's must not be touched. One that is the build's already is fine.
func (c *cluster) Create(ctx context.Context, owner kube.Owner, p *corev1.Pod) error {
	p = p.DeepCopy()
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Labels[kube.LabelInstallation], p.Labels[kube.LabelOwnerUID] = c.kube.Installation(), owner.UID
	p.Annotations[kube.AnnotationOwner] = owner.String()
	pods := c.kube.Clientset().CoreV1().Pods(p.Namespace)
	_, err := pods.Create(ctx, p, kmetav1.CreateOptions{})
	switch {
	case err == nil:
		return nil
	case apierrors.IsAlreadyExists(err):
		there, getErr := pods.Get(ctx, p.Name, kmetav1.GetOptions{})
		if getErr != nil {
			return fmt.Errorf("pod %s: %w", p.Name, getErr)
		}
		if there.Labels[kube.LabelOwnerUID] != owner.UID || there.Labels[kube.LabelInstallation] != c.kube.Installation() {
			return podErrorf(errRefused, "a pod %q is there that is not the build's; delete it, or name the build otherwise", p.Name)
		}
		return nil
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return podErrorf(errQuota, "%s", message(err))
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "error looking up service account"):
		return podErrorf(errNoAccount, "%s", message(err))
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsNotFound(err):
		return podErrorf(errRefused, "%s", message(err))
	}
	return fmt.Errorf("create pod %s/%s: %w", p.Namespace, p.Name, err)
}

func message(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Message
	}
	return err.Error()
}

// Delete deletes a pod.
func (c *cluster) Delete(ctx context.Context, p *corev1.Pod) error {
	return c.kube.Delete(ctx, kube.Pods, p.Namespace, p.Name, p.UID) //nolint:wrapcheck // names its operation
}

// Stop ends a pod's containers and keeps their logs.
func (c *cluster) Stop(ctx context.Context, p *corev1.Pod) error {
	patch := `{"metadata":{"uid":` + strconv.Quote(string(p.UID)) + `},"spec":{"activeDeadlineSeconds":1}}`
	_, err := c.kube.Clientset().CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.MergePatchType, []byte(patch), kmetav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("stop pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	return nil
}

// Prune deletes the pods of earlier builds of the owner's name.
func (c *cluster) Prune(ctx context.Context, owner kube.Owner) error {
	return c.kube.Prune(ctx, kube.Pods, owner) //nolint:wrapcheck // names its operation
}

// Event tells people what happened to a build.
func (c *cluster) Event(owner kube.Owner, kind, reason, message string) {
	c.kube.Event(owner, kind, reason, message)
}

// Account reads a service account, and the Secrets that it names.
func (c *cluster) Account(ctx context.Context, namespace, name string) (account.Account, error) {
	if name == "" {
		name = "default"
	}
	core := c.kube.Clientset().CoreV1()
	sa, err := core.ServiceAccounts(namespace).Get(ctx, name, kmetav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return account.Account{}, podErrorf(errNoAccount, "there is no service account %q in namespace %q; make it, or correct spec.serviceAccountName", name, namespace)
	}
	if err != nil {
		return account.Account{}, fmt.Errorf("service account %s/%s: %w", namespace, name, err)
	}
	return account.Read(sa, func(secret string) (*corev1.Secret, error) { //nolint:wrapcheck // names its operation
		s, err := core.Secrets(namespace).Get(ctx, secret, kmetav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("secret %s/%s: %w", namespace, secret, err)
		}
		return s, nil
	})
}
