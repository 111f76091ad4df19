// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/auth/mirror"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
)

// groupAuthenticated is the group that every caller with a token is in, without a token saying so.
const groupAuthenticated = "system:authenticated"

const serviceAccountPrefix = "system:serviceaccount:"

// subject is whom a binding names: a user or a group.
type subject struct{ kind, name string }

// grant is what a binding gives: rules in a namespace, or everywhere where that is empty.
type grant struct {
	namespace string
	rules     []rbacv1.PolicyRule
}

// policy evaluates roles and bindings from the store's caches. It is indexed by subject; the index is made anew by the
// first call after a change.
type policy struct {
	kinds               authKinds
	roles               store.Client[*authv1.Role]
	clusterRoles        store.Client[*authv1.ClusterRole]
	roleBindings        store.Client[*authv1.RoleBinding]
	clusterRoleBindings store.Client[*authv1.ClusterRoleBinding]
	caches              []*store.Cache
	// ready is closed when the built-in roles are known.
	ready chan struct{}

	// changed tells of changes of roles and bindings.
	changed *signal

	mu     sync.Mutex
	grants map[subject][]grant // nil since the last change
}

func newPolicy(s *store.Store, k authKinds) *policy {
	p := &policy{
		kinds: k,
		roles: store.For[*authv1.Role](s, k.role), clusterRoles: store.For[*authv1.ClusterRole](s, k.clusterRole),
		roleBindings: store.For[*authv1.RoleBinding](s, k.roleBinding), clusterRoleBindings: store.For[*authv1.ClusterRoleBinding](s, k.clusterRoleBinding),
		ready: make(chan struct{}), changed: newSignal(),
	}
	for _, k := range k.rights() {
		p.caches = append(p.caches, s.Cache(k))
	}
	return p
}

// follow notes changes until ctx ends. The policy is ready once known tells that it knows what it must.
func (p *policy) follow(ctx context.Context, known func() bool) {
	for _, c := range p.caches {
		if err := c.WaitSynced(ctx); err != nil {
			return // ctx or the store has ended
		}
		defer c.Subscribe(p.note)()
	}
	for {
		changed := p.changed.next()
		if known() {
			close(p.ready)
			<-ctx.Done()
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// knowsRoles tells whether there is any role: there is, once a server has made those that are built in.
func (p *policy) knowsRoles() bool { return len(p.clusterRoles.ListCached("", nil)) > 0 }

func (p *policy) note(e store.Event) {
	if role, ok := e.Object.(*authv1.Role); ok && !p.bound(role) {
		return
	}
	p.mu.Lock()
	p.grants = nil
	p.mu.Unlock()
	p.changed.raise()
}

// bound tells whether any binding names a role. One that none names gives nothing to anybody; the binding that comes to name
// it is a change of its own.
func (p *policy) bound(role *authv1.Role) bool {
	m := role.GetMetadata()
	return slices.ContainsFunc(p.roleBindings.ListCached(m.GetNamespace(), nil), func(b *authv1.RoleBinding) bool {
		return b.GetRoleRef().GetKind() == kindRole && b.GetRoleRef().GetName() == m.GetName()
	})
}

// index returns what each subject is given.
func (p *policy) index() map[subject][]grant {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.grants == nil {
		p.grants = p.build()
	}
	return p.grants
}

func (p *policy) build() map[subject][]grant {
	out := map[subject][]grant{}
	all := p.clusterRoles.ListCached("", nil)
	known := map[string][]rbacv1.PolicyRule{}
	clusterRules := func(name string) ([]rbacv1.PolicyRule, bool) {
		rules, ok := known[name]
		if !ok {
			var role *authv1.ClusterRole
			if role, ok = p.clusterRoles.Cached(store.Key{Name: name}); ok {
				rules = mirror.Rules(aggregated(role, all))
				known[name] = rules
			}
		}
		return rules, ok
	}
	add := func(subjects []*authv1.Subject, g grant) {
		for _, s := range subjects {
			out[subjectOf(s)] = append(out[subjectOf(s)], g)
		}
	}
	for _, b := range p.clusterRoleBindings.ListCached("", nil) {
		if rules, ok := clusterRules(b.GetRoleRef().GetName()); ok && b.GetRoleRef().GetKind() == kindClusterRole {
			add(b.GetSubjects(), grant{rules: rules})
		}
	}
	for _, b := range p.roleBindings.ListCached("", nil) {
		namespace, ref := b.GetMetadata().GetNamespace(), b.GetRoleRef()
		switch ref.GetKind() {
		case kindRole:
			if role, ok := p.roles.Cached(store.Key{Namespace: namespace, Name: ref.GetName()}); ok {
				add(b.GetSubjects(), grant{namespace: namespace, rules: mirror.Rules(role.GetRules())})
			}
		case kindClusterRole:
			if rules, ok := clusterRules(ref.GetName()); ok {
				add(b.GetSubjects(), grant{namespace: namespace, rules: rules})
			}
		}
	}
	return out
}

func subjectOf(s *authv1.Subject) subject {
	if s.GetKind() == subjectServiceAccount {
		return subject{subjectUser, serviceAccountPrefix + s.GetNamespace() + ":" + s.GetName()}
	}
	return subject{s.GetKind(), s.GetName()}
}

// grantsOf returns what an identity is given, by whatever name. Users of the cluster may bear the names of ours, and are
// others: only names that are the cluster's alone count for them.
func (p *policy) grantsOf(id *rpc.Identity) []grant {
	index := p.index()
	ours := func(name string) bool { return !id.Source.OfCluster() || strings.HasPrefix(name, reservedPrefix) }
	var out []grant
	if ours(id.User) {
		out = append(out, index[subject{subjectUser, id.User}]...)
	}
	for _, group := range id.Groups {
		if ours(group) && group != groupAuthenticated {
			out = append(out, index[subject{subjectGroup, group}]...)
		}
	}
	return append(out, index[subject{subjectGroup, groupAuthenticated}]...)
}

// rules returns the rules that hold for an identity in a namespace; those that hold everywhere where that is empty.
func (p *policy) rules(ctx context.Context, id *rpc.Identity, namespace string) ([]rbacv1.PolicyRule, error) {
	if err := p.wait(ctx); err != nil {
		return nil, err
	}
	var out []rbacv1.PolicyRule
	for _, g := range p.grantsOf(id) {
		if g.namespace == "" || g.namespace == namespace {
			out = append(out, g.rules...)
		}
	}
	return out, nil
}

func (p *policy) wait(ctx context.Context) error {
	return waitFor(ctx, p.ready, "roles have not been read yet")
}

// Authorize allows what a rule of the caller's allows.
func (p *policy) Authorize(ctx context.Context, id *rpc.Identity, a rpc.Attributes) error {
	rules, err := p.rules(ctx, id, a.Namespace)
	if err != nil {
		return err
	}
	for _, r := range rules {
		if allows(r, a) {
			return nil
		}
	}
	return forbidden(id, a)
}

// forbidden says what is not allowed, in Kubernetes' words.
func forbidden(id *rpc.Identity, a rpc.Attributes) error {
	if a.Path != "" {
		return apierror.Forbidden(apierror.Resource{}, "", "forbidden: User %q cannot %s path %q", id.User, a.Verb, a.Path)
	}
	target := apierror.Resource{Group: a.Group, Plural: a.Resource}
	resource := a.Resource
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	subjectText := target.String()
	if a.Name != "" {
		subjectText += fmt.Sprintf(" %q", a.Name)
	}
	where := "at the cluster scope"
	if a.Namespace != "" {
		where = fmt.Sprintf("in the namespace %q", a.Namespace)
	}
	return apierror.Forbidden(target, a.Name, "%s is forbidden: User %q cannot %s resource %q in API group %q %s",
		subjectText, id.User, a.Verb, resource, a.Group, where)
}

// covers refuses to give what the giver does not hold: in a namespace, or everywhere where that is empty.
func (p *policy) covers(ctx context.Context, id *rpc.Identity, namespace string, rules []rbacv1.PolicyRule) ([]string, error) {
	held, err := p.rules(ctx, id, namespace)
	if err != nil {
		return nil, err
	}
	return missing(held, rules), nil
}

// exceeds returns which rights another identity has that the caller lacks.
func (p *policy) exceeds(ctx context.Context, caller, other *rpc.Identity) ([]string, error) {
	if err := p.wait(ctx); err != nil {
		return nil, err
	}
	byNamespace := map[string][]rbacv1.PolicyRule{}
	for _, g := range p.grantsOf(other) {
		byNamespace[g.namespace] = append(byNamespace[g.namespace], g.rules...)
	}
	var out []string
	for namespace, rules := range byNamespace {
		lacks, err := p.covers(ctx, caller, namespace, rules)
		if err != nil {
			return nil, err
		}
		for _, l := range lacks {
			if namespace != "" {
				l += " in namespace " + namespace
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// listed joins what a person has to read, which is not endless.
func listed(texts []string) string {
	const most = 10
	if len(texts) <= most {
		return strings.Join(texts, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(texts[:most], "; "), len(texts)-most)
}
