// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// reviewHolds is for how long what the cluster allows or denies is remembered: so short that what is taken away is gone
// within a second, from streams as well, about which the cluster is asked twice a second.
const reviewHolds = 300 * time.Millisecond

// accessReviews asks the cluster what callers may do, under the names by which it knows them.
type accessReviews struct {
	cluster Cluster
	answers *answers[bool]
}

func newAccessReviews(c Cluster) *accessReviews {
	return &accessReviews{cluster: c, answers: newAnswers[bool]()}
}

// inCluster returns a caller as the cluster knows it: its own users and service accounts by their names, and our users by
// theirs with a prefix.
func inCluster(id *rpc.Identity) authorizationv1.SubjectAccessReviewSpec {
	if id.Source.OfCluster() {
		spec := authorizationv1.SubjectAccessReviewSpec{User: id.User, Groups: id.Groups, UID: id.UID}
		for key, values := range id.Extra {
			if spec.Extra == nil {
				spec.Extra = map[string]authorizationv1.ExtraValue{}
			}
			spec.Extra[key] = values
		}
		return spec
	}
	groups := append(make([]string, 0, 1+len(id.Groups)), groupAuthenticated)
	for _, group := range id.Groups {
		if group != groupAuthenticated { // those who act as others have it said
			groups = append(groups, rpc.ClusterPrefix+group)
		}
	}
	return authorizationv1.SubjectAccessReviewSpec{User: rpc.ClusterPrefix + id.User, Groups: groups}
}

// allows tells whether the cluster lets a caller do something.
func (r *accessReviews) allows(ctx context.Context, id *rpc.Identity, a rpc.Attributes) (bool, error) {
	spec := inCluster(id)
	if a.Path != "" {
		spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: a.Path, Verb: a.Verb}
	} else {
		spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Namespace: a.Namespace, Verb: a.Verb, Group: a.Group, Version: wildcard, Resource: a.Resource, Subresource: a.Subresource, Name: a.Name,
		}
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return false, fmt.Errorf("auth: encode an access review: %w", err)
	}
	allowed, err := r.answers.get(ctx, sha256.Sum256(text), func(ctx context.Context) (bool, time.Duration, error) {
		review, err := r.cluster.Clientset().AuthorizationV1().SubjectAccessReviews().
			Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, kmetav1.CreateOptions{})
		if err != nil {
			return false, 0, err //nolint:wrapcheck // wrapped below
		}
		return review.Status.Allowed && !review.Status.Denied, reviewHolds, nil
	})
	if err != nil {
		return false, apierror.Unavailable(time.Second,
			"the Kubernetes behind does not say what %q may do there; try again in a moment", spec.User).Wrap(err)
	}
	return allowed, nil
}

// mayActAs returns why a caller who acts as another may not do so in the cluster. A right of ours to act as somebody gives
// nothing that the cluster gives to those names.
func (r *accessReviews) mayActAs(ctx context.Context, id *rpc.Identity) error {
	if id.Impersonator == nil {
		return nil
	}
	as, by := impersonation(id), inCluster(id.Impersonator).User
	for _, a := range rpc.ActsAs(as.UserName, as.UID, as.Groups, as.Extra) {
		allowed, err := r.allows(ctx, id.Impersonator, a)
		if err != nil {
			return err
		}
		if !allowed {
			return apierror.Forbidden(apierror.Resource{Group: a.Group, Plural: a.Resource}, a.Name,
				"the Kubernetes behind does not let %q act as %q: it cannot impersonate %s %q there", by, as.UserName, a.Resource, a.Name)
		}
	}
	return nil
}

// authorizer allows what roles of ours allow. What they do not, the cluster may allow to its own users and service
// accounts. Our own users get nothing from it here: rights on our kinds that lay in the cluster would be out of the sight of
// the check that nobody gives more than they have, and whoever may write bindings in the cluster would rule here.
type authorizer struct {
	policy  *policy
	reviews *accessReviews
}

// Authorize returns nil for what a caller may do.
func (z *authorizer) Authorize(ctx context.Context, id *rpc.Identity, a rpc.Attributes) error {
	denied := z.policy.Authorize(ctx, id, a)
	if denied == nil || !id.Source.OfCluster() || !apierror.Is(denied, apierror.ReasonForbidden) {
		return denied
	}
	allowed, err := z.reviews.allows(ctx, id, a)
	if err != nil {
		return err
	}
	if !allowed {
		return denied
	}
	return nil
}

// Changed returns a channel that is closed when roles or bindings of ours change. Of the cluster's none tells.
func (z *authorizer) Changed() <-chan struct{} { return z.policy.changed.next() }

// Access tells what callers may do in the cluster.
type Access interface {
	// MayCreatePods returns nil if the caller, as the cluster knows it, may create pods in a namespace.
	MayCreatePods(ctx context.Context, id *rpc.Identity, namespace string) error
}

type access struct{ reviews *accessReviews }

func (x *access) MayCreatePods(ctx context.Context, id *rpc.Identity, namespace string) error {
	const pods = "pods"
	a := rpc.Attributes{Verb: "create", Resource: pods, Namespace: namespace}
	if err := x.reviews.mayActAs(ctx, id); err != nil {
		return err
	}
	allowed, err := x.reviews.allows(ctx, id, a)
	if err != nil || allowed {
		return err
	}
	return apierror.Forbidden(apierror.Resource{Plural: pods, Kind: "Pod"}, "",
		"user %q, whom the Kubernetes behind knows as %q, cannot create pods there in the namespace %q", id.User, inCluster(id).User, namespace)
}
