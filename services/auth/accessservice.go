// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// accessService tells callers what they may do.
type accessService struct {
	authv1.UnimplementedAccessServiceServer

	server *Server
}

// Review tells whether the caller may do something.
func (s *accessService) Review(ctx context.Context, r *authv1.ReviewRequest) (*authv1.ReviewResponse, error) {
	caller, ok := rpc.IdentityFrom(ctx)
	if !ok {
		return nil, apierror.Unauthorized("no caller is known; send a token")
	}
	allowed, reason, err := s.review(ctx, caller, r)
	if err != nil {
		return nil, err
	}
	return &authv1.ReviewResponse{Allowed: allowed, Reason: reason}, nil
}

// ReviewSubject tells whether somebody may do something.
func (s *accessService) ReviewSubject(ctx context.Context, r *authv1.ReviewSubjectRequest) (*authv1.ReviewSubjectResponse, error) {
	allowed, reason, err := s.review(ctx, reviewed(r.GetSubject()), r.GetReview())
	if err != nil {
		return nil, err
	}
	return &authv1.ReviewSubjectResponse{Allowed: allowed, Reason: reason}, nil
}

// ReviewLocalSubject tells whether somebody may do something in a namespace.
func (s *accessService) ReviewLocalSubject(ctx context.Context, r *authv1.ReviewLocalSubjectRequest) (*authv1.ReviewLocalSubjectResponse, error) {
	if r.GetNamespace() == "" || r.GetReview().GetNamespace() != r.GetNamespace() {
		return nil, apierror.BadRequest("the namespace of the review is %q; it must be that of the request, %q", r.GetReview().GetNamespace(), r.GetNamespace())
	}
	allowed, reason, err := s.review(ctx, reviewed(r.GetSubject()), r.GetReview())
	if err != nil {
		return nil, err
	}
	return &authv1.ReviewLocalSubjectResponse{Allowed: allowed, Reason: reason}, nil
}

// reviewed is whom a review is about. Service accounts are the cluster's, whatever else is ours.
func reviewed(s *authv1.ReviewedSubject) *rpc.Identity {
	id := &rpc.Identity{User: s.GetUser(), Groups: s.GetGroups(), UID: s.GetUid()}
	if strings.HasPrefix(id.User, serviceAccountPrefix) {
		id.Source = rpc.SourceCluster
	}
	for key, values := range s.GetExtra() {
		if id.Extra == nil {
			id.Extra = map[string][]string{}
		}
		id.Extra[key] = values.GetItems()
	}
	return id
}

// review tells whether somebody may do something, and why not.
func (s *accessService) review(ctx context.Context, who *rpc.Identity, r *authv1.ReviewRequest) (bool, string, error) {
	if who.User == "" && len(who.Groups) == 0 {
		return false, "", apierror.BadRequest("say whom it is about: a user, or groups")
	}
	if r.GetVerb() == "" || (r.GetPath() == "") == (r.GetResource() == "") {
		return false, "", apierror.BadRequest("say what is to be done: a verb, and either a resource or a path")
	}
	a := rpc.Attributes{Verb: r.GetVerb(), Path: r.GetPath()}
	if a.Path == "" {
		a = rpc.Attributes{
			Verb: r.GetVerb(), Group: r.GetGroup(), Resource: r.GetResource(), Subresource: r.GetSubresource(),
			Namespace: r.GetNamespace(), Name: r.GetName(),
		}
	}
	err := s.server.authz.Authorize(ctx, who, a)
	if apierror.Is(err, apierror.ReasonForbidden) {
		return false, err.Error(), nil
	}
	return err == nil, "", err
}

// Rules tells what the caller may do in a namespace.
func (s *accessService) Rules(ctx context.Context, r *authv1.RulesRequest) (*authv1.RulesResponse, error) {
	caller, ok := rpc.IdentityFrom(ctx)
	if !ok {
		return nil, apierror.Unauthorized("no caller is known; send a token")
	}
	rules, err := s.server.policy.rules(ctx, caller, r.GetNamespace())
	if err != nil {
		return nil, err
	}
	return &authv1.RulesResponse{Rules: fromKubernetes(rules), Incomplete: caller.Source.OfCluster()}, nil
}

func fromKubernetes(rules []rbacv1.PolicyRule) []*authv1.PolicyRule {
	out := make([]*authv1.PolicyRule, len(rules))
	for i, r := range rules {
		out[i] = &authv1.PolicyRule{
			Verbs: r.Verbs, ApiGroups: r.APIGroups, Resources: r.Resources, ResourceNames: r.ResourceNames, NonResourceUrls: r.NonResourceURLs,
		}
	}
	return out
}
