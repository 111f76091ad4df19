// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"

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
		return nil, apierror.Unauthorized("no caller is known")
	}
	if r.GetVerb() == "" || (r.GetPath() == "") == (r.GetResource() == "") {
		return nil, apierror.BadRequest("say what is to be done: a verb, and either a resource or a path")
	}
	a := rpc.Attributes{Verb: r.GetVerb(), Path: r.GetPath()}
	if a.Path == "" {
		a = rpc.Attributes{
			Verb: r.GetVerb(), Group: r.GetGroup(), Resource: r.GetResource(), Subresource: r.GetSubresource(),
			Namespace: r.GetNamespace(), Name: r.GetName(),
		}
	}
	err := s.server.authz.Authorize(ctx, caller, a)
	if apierror.Is(err, apierror.ReasonForbidden) {
		return &authv1.ReviewResponse{Reason: err.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	return &authv1.ReviewResponse{Allowed: true}, nil
}

// Rules tells what the caller may do in a namespace.
func (s *accessService) Rules(ctx context.Context, r *authv1.RulesRequest) (*authv1.RulesResponse, error) {
	caller, ok := rpc.IdentityFrom(ctx)
	if !ok {
		return nil, apierror.Unauthorized("no caller is known")
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
