// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	rbacv1 "k8s.io/api/rbac/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/auth/mirror"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
)

// maxCombinations bounds the single rights that one role may be broken down into, since each is compared by itself.
const maxCombinations = 20_000

// role is what Role and ClusterRole have in common.
type role interface {
	store.Object
	GetRules() []*authv1.PolicyRule
}

// binding is what RoleBinding and ClusterRoleBinding have in common.
type binding interface {
	store.Object
	GetSubjects() []*authv1.Subject
	GetRoleRef() *authv1.RoleRef
}

// handlers say how auth's kinds are served. Names may hold colons, as in Kubernetes' RBAC.
func (s *Server) handlers() []resource.Handler {
	var out []resource.Handler
	for _, k := range []kinds.Kind{s.kinds.role, s.kinds.clusterRole} {
		out = append(out, resource.Handler{Kind: k, ValidName: validName, Hooks: resource.Hooks{
			Default: func(_ context.Context, obj, old store.Object) { defaultRole(obj, old) },
			Validate: func(_ context.Context, obj, _ store.Object) []apierror.Cause {
				return append(validateRole(k, obj), mirror.Validate(obj)...)
			},
			Authorize: func(ctx context.Context, obj, old store.Object) error {
				if err := s.authorizeRole(ctx, k, obj, old); err != nil {
					return err
				}
				return s.tryInCluster(ctx, k, obj, old)
			},
		}})
	}
	for _, k := range []kinds.Kind{s.kinds.roleBinding, s.kinds.clusterRoleBinding} {
		out = append(out, resource.Handler{Kind: k, ValidName: validName, Hooks: resource.Hooks{
			Default: func(_ context.Context, obj, _ store.Object) { defaultBinding(obj) },
			Validate: func(_ context.Context, obj, _ store.Object) []apierror.Cause {
				return append(validateBinding(k, obj), mirror.Validate(obj)...)
			},
			Authorize: func(ctx context.Context, obj, old store.Object) error {
				if err := s.authorizeBinding(ctx, k, obj, old); err != nil {
					return err
				}
				return s.tryInCluster(ctx, k, obj, old)
			},
		}})
	}
	return append(out, resource.Handler{Kind: s.kinds.serviceAccount})
}

// tryInCluster has the cluster say whether it would accept from the caller what is to hold there as well.
func (s *Server) tryInCluster(ctx context.Context, k kinds.Kind, obj, old store.Object) error {
	caller, ok := rpc.IdentityFrom(ctx)
	if !ok || !mirror.Mirrored(obj) {
		return nil
	}
	if err := s.reviews.mayActAs(ctx, caller); err != nil {
		return err
	}
	if s.mirror == nil {
		return apierror.Forbidden(resourceOf(k), obj.GetMetadata().GetName(),
			"%s %q is forbidden: this server mirrors nothing to the cluster; leave the annotation %s out", resourceOf(k), obj.GetMetadata().GetName(), mirror.Annotation)
	}
	return s.mirror.Try(ctx, impersonation(caller), k, obj, old) //nolint:wrapcheck // an error of ours
}

// validName tells why a name cannot stand in a path, as for the names of Kubernetes' roles, which may hold colons.
func validName(name string, prefix bool) []string {
	var faults []string
	if !prefix && (name == "." || name == "..") {
		faults = append(faults, fmt.Sprintf("may not be %q", name))
	}
	for _, c := range []string{"/", "%"} {
		if strings.Contains(name, c) {
			faults = append(faults, fmt.Sprintf("may not contain %q", c))
		}
	}
	return faults
}

// defaultRole keeps the rules that the server writes: those of roles with an aggregation rule.
func defaultRole(obj, old store.Object) {
	r, ok := obj.(*authv1.ClusterRole)
	if !ok || r.GetAggregationRule() == nil {
		return
	}
	before, _ := old.(*authv1.ClusterRole)
	r.Rules = before.GetRules()
}

// validateRole tells what the rules' constraints cannot.
func validateRole(k kinds.Kind, obj store.Object) []apierror.Cause {
	r, ok := obj.(role)
	if !ok {
		return nil
	}
	causes := validateAggregation(aggregationOf(r))
	combinations := 0
	if aggregationOf(r) != nil {
		return causes // the rules are the server's
	}
	for i, rule := range r.GetRules() {
		at := fmt.Sprintf("rules[%d]", i)
		combinations += max(len(rule.GetApiGroups()), 1) * max(len(rule.GetResources()), 1) * max(len(rule.GetResourceNames()), 1) * len(rule.GetVerbs())
		if len(rule.GetNonResourceUrls()) > 0 {
			combinations += len(rule.GetNonResourceUrls()) * len(rule.GetVerbs())
			if k.Namespaced {
				causes = append(causes, apierror.Invalid(at+".nonResourceURLs", "Invalid value: namespaced rules cannot apply to non-resource URLs"))
			}
			if len(rule.GetApiGroups())+len(rule.GetResources())+len(rule.GetResourceNames()) > 0 {
				causes = append(causes, apierror.Invalid(at+".nonResourceURLs", "Invalid value: rules cannot apply to both regular resources and non-resource URLs"))
			}
			causes = append(causes, validatePaths(at+".nonResourceURLs", rule.GetNonResourceUrls())...)
			continue
		}
		if len(rule.GetApiGroups()) == 0 {
			causes = append(causes, apierror.Required(at+".apiGroups", "Required value: resource rules must supply at least one api group"))
		}
		if len(rule.GetResources()) == 0 {
			causes = append(causes, apierror.Required(at+".resources", "Required value: resource rules must supply at least one resource"))
		}
	}
	if combinations > maxCombinations {
		causes = append(causes, apierror.Invalid("rules",
			fmt.Sprintf("Invalid value: they stand for %d single rights, and at most %d are allowed: use `*`, or several roles", combinations, maxCombinations)))
	}
	return causes
}

// defaultBinding fills in the API groups, which hardly anyone types.
func defaultBinding(obj store.Object) {
	b, ok := obj.(binding)
	if !ok {
		return
	}
	if ref := b.GetRoleRef(); ref != nil && ref.GetApiGroup() == "" {
		ref.ApiGroup = Group
	}
	for _, s := range b.GetSubjects() {
		if s.GetApiGroup() == "" && s.GetKind() != subjectServiceAccount {
			s.ApiGroup = Group
		}
	}
}

func validateBinding(k kinds.Kind, obj store.Object) []apierror.Cause {
	b, ok := obj.(binding)
	if !ok {
		return nil
	}
	var causes []apierror.Cause
	if ref := b.GetRoleRef(); ref != nil {
		if ref.GetApiGroup() != Group {
			causes = append(causes, unsupported("roleRef.apiGroup", ref.GetApiGroup(), Group))
		}
		if !k.Namespaced && ref.GetKind() == kindRole {
			causes = append(causes, unsupported("roleRef.kind", ref.GetKind(), kindClusterRole))
		}
		for _, fault := range validName(ref.GetName(), false) {
			causes = append(causes, apierror.Invalid("roleRef.name", fmt.Sprintf("Invalid value: %q: %s", ref.GetName(), fault)))
		}
	}
	for i, s := range b.GetSubjects() {
		causes = append(causes, validateSubject(fmt.Sprintf("subjects[%d]", i), s)...)
	}
	return causes
}

func validateSubject(at string, s *authv1.Subject) []apierror.Cause {
	var causes []apierror.Cause
	want := Group
	if s.GetKind() == subjectServiceAccount {
		want = ""
		if s.GetNamespace() == "" {
			causes = append(causes, apierror.Required(at+".namespace", "Required value"))
		}
	} else if s.GetNamespace() != "" {
		causes = append(causes, apierror.ForbiddenField(at+".namespace", "Forbidden: only service accounts are in namespaces"))
	}
	if s.GetApiGroup() != want {
		causes = append(causes, unsupported(at+".apiGroup", s.GetApiGroup(), want))
	}
	return causes
}

func unsupported(field, value, supported string) apierror.Cause {
	return apierror.Cause{
		Field: field, Reason: apierror.CauseValueNotSupported,
		Message: fmt.Sprintf("Unsupported value: %q: supported values: %q", value, supported),
	}
}

// validatePaths tells which paths are none, or have a `*` elsewhere than at the end.
func validatePaths(at string, paths []string) []apierror.Cause {
	var causes []apierror.Cause
	for i, path := range paths {
		if path != wildcard && !strings.HasPrefix(path, "/") || strings.Contains(strings.TrimSuffix(path, wildcard), wildcard) {
			causes = append(causes, apierror.Invalid(fmt.Sprintf("%s[%d]", at, i),
				fmt.Sprintf("Invalid value: %q: a path begins with a slash, and a `*` stands at its end only", path)))
		}
	}
	return causes
}

// aggregationOf returns the aggregation rule of a role; nil where it has none.
func aggregationOf(r role) *authv1.AggregationRule {
	if c, ok := r.(*authv1.ClusterRole); ok {
		return c.GetAggregationRule()
	}
	return nil
}

// everything are the rules of whoever may do everything.
func everything() []rbacv1.PolicyRule {
	all := []string{wildcard}
	return []rbacv1.PolicyRule{{Verbs: all, APIGroups: all, Resources: all}, {Verbs: all, NonResourceURLs: all}}
}

// authorizeRole lets those write a role who hold all of its rights, or the right to `escalate`. A change of its labels asks
// for the same, since another role may select it by them. An aggregation rule may come to gather anything.
func (s *Server) authorizeRole(ctx context.Context, k kinds.Kind, obj, old store.Object) error {
	caller, ok := rpc.IdentityFrom(ctx)
	r, is := obj.(role)
	if !ok || !is {
		return nil
	}
	before, updated := old.(role)
	if updated && equalRules(before.GetRules(), r.GetRules()) && proto.Equal(aggregationOf(before), aggregationOf(r)) &&
		(k.Namespaced || maps.Equal(before.GetMetadata().GetLabels(), r.GetMetadata().GetLabels())) {
		return nil
	}
	rules := mirror.Rules(r.GetRules())
	if aggregationOf(r) != nil || updated && aggregationOf(before) != nil {
		rules = everything()
	}
	m := r.GetMetadata()
	return s.mayGive(ctx, k, caller, rules, rpc.Attributes{
		Verb: "escalate", Group: k.Group, Resource: k.Plural, Namespace: m.GetNamespace(), Name: m.GetName(),
	}, m.GetName())
}

// authorizeBinding lets those bind a role who hold all of its rights, or the right to `bind` it.
func (s *Server) authorizeBinding(ctx context.Context, k kinds.Kind, obj, old store.Object) error {
	caller, ok := rpc.IdentityFrom(ctx)
	b, is := obj.(binding)
	if !ok || !is {
		return nil
	}
	if before, ok := old.(binding); ok && proto.Equal(before.GetRoleRef(), b.GetRoleRef()) &&
		slices.EqualFunc(before.GetSubjects(), b.GetSubjects(), func(a, b *authv1.Subject) bool { return proto.Equal(a, b) }) {
		return nil
	}
	m, ref := b.GetMetadata(), b.GetRoleRef()
	bound := s.kinds.clusterRole
	key := store.Key{Name: ref.GetName()}
	if ref.GetKind() == kindRole {
		bound, key.Namespace = s.kinds.role, m.GetNamespace()
	}
	right := rpc.Attributes{Verb: "bind", Group: Group, Resource: bound.Plural, Namespace: m.GetNamespace(), Name: ref.GetName()}
	rules, err := s.rulesOf(ctx, bound, key)
	if err != nil {
		if apierror.IsNotFound(err) && s.authz.Authorize(ctx, caller, right) == nil {
			return nil // the binding may come before the role
		}
		return err
	}
	return s.mayGive(ctx, k, caller, rules, right, m.GetName())
}

// rulesOf reads the rules of a role from the store, not the cache, which may not have the newest.
func (s *Server) rulesOf(ctx context.Context, k kinds.Kind, key store.Key) ([]rbacv1.PolicyRule, error) {
	obj, err := s.deps.Store.Get(ctx, k, key)
	if err != nil {
		return nil, err
	}
	r, ok := obj.(role)
	if !ok {
		return nil, fmt.Errorf("auth: %s %s has no rules", k.Kind, key)
	}
	c, ok := r.(*authv1.ClusterRole)
	if !ok || c.GetAggregationRule() == nil {
		return mirror.Rules(r.GetRules()), nil
	}
	all, err := s.policy.clusterRoles.List(ctx, store.ListOptions{})
	if err != nil {
		return nil, err
	}
	return mirror.Rules(aggregated(c, all.Items)), nil
}

// mayGive refuses to give rights that the caller does not hold, unless the caller has a right that stands above.
func (s *Server) mayGive(ctx context.Context, k kinds.Kind, caller *rpc.Identity, rules []rbacv1.PolicyRule, above rpc.Attributes, name string) error {
	lacks, err := s.policy.covers(ctx, caller, above.Namespace, rules)
	if err != nil || len(lacks) == 0 {
		return err
	}
	if s.authz.Authorize(ctx, caller, above) == nil {
		return nil
	}
	return apierror.Forbidden(resourceOf(k), name,
		"%s %q is forbidden: user %q (groups=[%s]) is attempting to grant rights not currently held: %s",
		resourceOf(k), name, caller.User, strings.Join(caller.Groups, " "), listed(lacks))
}
