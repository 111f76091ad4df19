// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
)

// self tells callers who they are at Fairlead, which `kubectl auth whoami` asks.
func (a *accessReviews) self(ctx context.Context, q *question) (any, error) {
	if _, ok := q.review.(*authenticationv1.SelfSubjectReview); !ok {
		return nil, nil //nolint:nilnil // the cluster's to refuse
	}
	c := callerFrom(ctx)
	info := authenticationv1.UserInfo{Username: c.user, UID: c.uid, Groups: slices.Clone(c.groups)}
	if !slices.Contains(info.Groups, groupAuthenticated) {
		info.Groups = append(info.Groups, groupAuthenticated)
	}
	for key, values := range c.extra {
		if info.Extra == nil {
			info.Extra = map[string]authenticationv1.ExtraValue{}
		}
		info.Extra[key] = values
	}
	return &authenticationv1.SelfSubjectReview{
		TypeMeta: kmetav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "SelfSubjectReview"},
		Status:   authenticationv1.SelfSubjectReviewStatus{UserInfo: info},
	}, nil
}

// notOurs is said where the cluster's rules look as if they held for groups of ours.
const notOurs = "rules of the Kubernetes behind for all API groups do not hold for those that Fairlead serves"

// selfRules tells what callers may do in a namespace, which `kubectl auth can-i --list` asks: what our roles say about groups
// of ours, and what the cluster says about the others.
func (a *accessReviews) selfRules(ctx context.Context, q *question) (any, error) {
	review, ok := q.review.(*authorizationv1.SelfSubjectRulesReview)
	if !ok || review.Spec.Namespace == "" {
		return nil, nil //nolint:nilnil // the cluster's to refuse
	}
	res, err := a.client.Rules(ctx, &authv1.RulesRequest{Namespace: review.Spec.Namespace})
	if err != nil {
		return nil, err //nolint:wrapcheck // a status of ours
	}
	out := &authorizationv1.SelfSubjectRulesReview{
		TypeMeta: reviewType("SelfSubjectRulesReview"), Spec: review.Spec,
		Status: authorizationv1.SubjectRulesReviewStatus{ResourceRules: []authorizationv1.ResourceRule{}, NonResourceRules: []authorizationv1.NonResourceRule{}},
	}
	all := false
	for _, rule := range res.GetRules() {
		all = all || slices.Contains(rule.GetApiGroups(), everything)
		if groups := a.oursOf(rule.GetApiGroups()); len(groups) > 0 {
			out.Status.ResourceRules = append(out.Status.ResourceRules, authorizationv1.ResourceRule{
				Verbs: rule.GetVerbs(), APIGroups: groups, Resources: rule.GetResources(), ResourceNames: rule.GetResourceNames(),
			})
		}
		if paths := rule.GetNonResourceUrls(); len(paths) > 0 {
			out.Status.NonResourceRules = append(out.Status.NonResourceRules, authorizationv1.NonResourceRule{Verbs: rule.GetVerbs(), NonResourceURLs: paths})
		}
	}
	out.Status.Incomplete = res.GetIncomplete()
	if a.cluster.absent(ctx) {
		return out, nil
	}
	var theirs authorizationv1.SelfSubjectRulesReview
	asked := authorizationv1.SelfSubjectRulesReview{TypeMeta: out.TypeMeta, Spec: review.Spec}
	if err := a.ask(ctx, q.path, asked, &theirs); err != nil {
		return nil, err
	}
	// A cluster's own users have its rules on our groups as well, so that its list is whole for them.
	out.Status.Incomplete = theirs.Status.Incomplete
	out.Status.EvaluationError = theirs.Status.EvaluationError
	if !all && !callerFrom(ctx).cluster && slices.ContainsFunc(theirs.Status.ResourceRules, func(r authorizationv1.ResourceRule) bool {
		return slices.Contains(r.APIGroups, everything)
	}) {
		out.Status.Incomplete, out.Status.EvaluationError = true, notOurs
	}
	out.Status.ResourceRules = append(out.Status.ResourceRules, theirs.Status.ResourceRules...)
	out.Status.NonResourceRules = append(out.Status.NonResourceRules, theirs.Status.NonResourceRules...)
	return out, nil
}

// oursOf returns which groups of ours are among those of a rule.
func (a *accessReviews) oursOf(groups []string) []string {
	if slices.Contains(groups, everything) {
		return a.groups
	}
	var out []string
	for _, group := range groups {
		if slices.Contains(a.groups, group) {
			out = append(out, group)
		}
	}
	return out
}
