// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

// aggregated returns the rules of a cluster role: its own, or, where it has an aggregation rule, those of the roles that it
// selects, and those that they select. The order is that of the roles' names; a rule that comes twice stands there once.
func aggregated(role *authv1.ClusterRole, all []*authv1.ClusterRole) []*authv1.PolicyRule {
	if role.GetAggregationRule() == nil {
		return role.GetRules()
	}
	all = slices.SortedFunc(slices.Values(all), func(a, b *authv1.ClusterRole) int {
		return cmp.Compare(a.GetMetadata().GetName(), b.GetMetadata().GetName())
	})
	var out []*authv1.PolicyRule
	seen := map[string]bool{role.GetMetadata().GetName(): true}
	var collect func(*authv1.AggregationRule)
	collect = func(rule *authv1.AggregationRule) {
		for _, r := range all {
			name := r.GetMetadata().GetName()
			if seen[name] || !selects(rule, r.GetMetadata()) {
				continue
			}
			seen[name] = true
			if r.GetAggregationRule() != nil {
				collect(r.GetAggregationRule())
				continue
			}
			for _, one := range r.GetRules() {
				if !slices.ContainsFunc(out, func(o *authv1.PolicyRule) bool { return proto.Equal(o, one) }) {
					out = append(out, one)
				}
			}
		}
	}
	collect(role.GetAggregationRule())
	return out
}

// selects tells whether one of the selectors selects a role. A selector that cannot be read selects nothing; validation
// refuses it.
func selects(rule *authv1.AggregationRule, m *metav1.ObjectMeta) bool {
	for _, s := range rule.GetClusterRoleSelectors() {
		if selector, err := toSelector(s); err == nil && selector.Matches(labels.Set(m.GetLabels())) {
			return true
		}
	}
	return false
}

func toSelector(s *metav1.LabelSelector) (labels.Selector, error) {
	out := &kmetav1.LabelSelector{MatchLabels: s.GetMatchLabels()}
	for _, e := range s.GetMatchExpressions() {
		out.MatchExpressions = append(out.MatchExpressions, kmetav1.LabelSelectorRequirement{
			Key: e.GetKey(), Operator: kmetav1.LabelSelectorOperator(e.GetOperator()), Values: e.GetValues(),
		})
	}
	return kmetav1.LabelSelectorAsSelector(out) //nolint:wrapcheck // wrapped where it is told
}

// validateAggregation tells which selectors cannot be read.
func validateAggregation(rule *authv1.AggregationRule) []apierror.Cause {
	var causes []apierror.Cause
	for i, s := range rule.GetClusterRoleSelectors() {
		if _, err := toSelector(s); err != nil {
			causes = append(causes, apierror.Invalid(fmt.Sprintf("aggregationRule.clusterRoleSelectors[%d]", i), "Invalid value: "+err.Error()))
		}
	}
	return causes
}

// writeAggregated keeps the rules of roles with an aggregation rule as they follow, for people to read, until ctx ends.
// What is allowed does not wait for it: the policy follows the selectors itself.
func (s *Server) writeAggregated(ctx context.Context) {
	select {
	case <-s.policy.ready:
	case <-ctx.Done():
		return
	}
	for ctx.Err() == nil {
		changed := s.policy.changed.next()
		s.retry(ctx, "write the rules of aggregated roles", s.writeAggregatedOnce)
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

func (s *Server) writeAggregatedOnce(ctx context.Context) error {
	all := s.policy.clusterRoles.ListCached("", nil)
	for _, role := range all {
		rules := aggregated(role, all)
		if role.GetAggregationRule() == nil || equalRules(role.GetRules(), rules) {
			continue
		}
		_, err := s.policy.clusterRoles.Update(ctx, store.KeyOf(role), "", func(old *authv1.ClusterRole) (*authv1.ClusterRole, error) {
			if old.GetAggregationRule() != nil {
				old.Rules = rules
			}
			return old, nil
		})
		if err != nil && !apierror.IsNotFound(err) {
			return fmt.Errorf("cluster role %s: %w", role.GetMetadata().GetName(), err)
		}
	}
	return nil
}

func equalRules(a, b []*authv1.PolicyRule) bool {
	return slices.EqualFunc(a, b, func(a, b *authv1.PolicyRule) bool { return proto.Equal(a, b) })
}
