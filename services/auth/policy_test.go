// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	rbacv1 "k8s.io/api/rbac/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/auth/mirror"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

const builds = "build.knative.dev"

func TestAllows(t *testing.T) {
	get := rpc.Attributes{Verb: "get", Group: builds, Resource: "builds", Namespace: "shop", Name: "web"}
	log := get
	log.Subresource = "log"
	cases := map[string]struct {
		rule *authv1.PolicyRule
		a    rpc.Attributes
		want bool
	}{
		"exact":                           {rule("get", builds, "builds"), get, true},
		"wildcards":                       {rule("*", "*", "*"), get, true},
		"other verb":                      {rule("list", builds, "builds"), get, false},
		"other group":                     {rule("get", "", "builds"), get, false},
		"other resource":                  {rule("get", builds, "build"), get, false},
		"subresource is not resource":     {rule("get", builds, "builds"), log, false},
		"resource is not subresource":     {rule("get", builds, "builds/log"), get, false},
		"subresource":                     {rule("get", builds, "builds/log"), log, true},
		"subresource of any":              {rule("get", builds, "*/log"), log, true},
		"wildcard covers subresources":    {rule("get", builds, "*"), log, true},
		"name":                            {rule("get", builds, "builds", "web"), get, true},
		"other name":                      {rule("get", builds, "builds", "api"), get, false},
		"names do not allow the nameless": {rule("get", builds, "builds", "web"), rpc.Attributes{Verb: "get", Group: builds, Resource: "builds"}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := allows(mirror.Rules([]*authv1.PolicyRule{tc.rule})[0], tc.a); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestRolesGiveRights(t *testing.T) {
	p := install(t).start(t)
	build := buildv1.NewBuildServiceClient(p.conn)
	get := func(user, namespace string) error {
		_, err := build.Get(p.as(t, user), &metav1.GetRequest{Namespace: namespace, Name: "web"})
		return err
	}
	fails(t, get("ada", "shop"), apierror.ReasonForbidden,
		`builds.build.knative.dev "web" is forbidden: User "ada" cannot get resource "builds" in API group "build.knative.dev" in the namespace "shop"`)
	ctx := p.admin(t)
	if _, err := p.roles.Create(ctx, &authv1.RoleServiceCreateRequest{Object: &authv1.Role{
		Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "reader"}, Rules: []*authv1.PolicyRule{rule("get", builds, "builds")},
	}}); err != nil {
		t.Fatal(err)
	}
	bound, err := p.binds.Create(ctx, &authv1.RoleBindingServiceCreateRequest{Object: &authv1.RoleBinding{
		Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "readers"},
		Subjects: []*authv1.Subject{user("ada"), {Kind: "ServiceAccount", Namespace: "ci", Name: "robot"}},
		RoleRef:  &authv1.RoleRef{Kind: "Role", Name: "reader"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if bound.GetRoleRef().GetApiGroup() != Group || bound.GetSubjects()[0].GetApiGroup() != Group || bound.GetSubjects()[1].GetApiGroup() != "" {
		t.Errorf("defaults: %v", bound)
	}
	p.eventually(t, func() bool { return status.Code(get("ada", "shop")) == codes.Unimplemented })
	if err := get("system:serviceaccount:ci:robot", "shop"); status.Code(err) != codes.Unimplemented {
		t.Errorf("service account: %v", err)
	}
	if err := get("ada", "other"); status.Code(err) != codes.PermissionDenied {
		t.Errorf("another namespace: %v", err)
	}
	if _, err := build.List(p.as(t, "ada"), &metav1.ListRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("all namespaces: %v", err)
	}
	if _, err := p.roles.Delete(ctx, &metav1.DeleteRequest{Namespace: "shop", Name: "reader"}); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, func() bool { return status.Code(get("ada", "shop")) == codes.PermissionDenied })
}

func TestEveryoneIsAuthenticated(t *testing.T) {
	p := install(t).start(t)
	p.give(t, "all", &authv1.Subject{Kind: "Group", Name: groupAuthenticated}, rule("get", builds, "builds"))
	_, err := buildv1.NewBuildServiceClient(p.conn).Get(p.as(t, "anyone"), &metav1.GetRequest{Namespace: "a", Name: "b"})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v", err)
	}
}

func TestNobodyGivesWhatTheyDoNotHold(t *testing.T) {
	p := install(t).start(t)
	p.give(t, "role-writer", user("eve"), rule("*", Group, "roles,clusterroles,rolebindings,clusterrolebindings"), rule("get", builds, "builds"))
	eve := p.as(t, "eve")
	create := func(name string, rules ...*authv1.PolicyRule) error {
		_, err := p.crs.Create(eve, &authv1.ClusterRoleServiceCreateRequest{Object: clusterRole(name, rules...)})
		return err
	}
	// The wildcard holds `escalate` and `bind` too: take it away.
	admin := p.admin(t)
	narrow := clusterRole("role-writer", rule("create,update,patch,delete,get", Group, "roles,clusterroles,rolebindings,clusterrolebindings"), rule("get", builds, "builds"))
	if _, err := p.crs.Update(admin, &authv1.ClusterRoleServiceUpdateRequest{Object: narrow}); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, func() bool {
		for _, g := range p.auth.policy.index()[subject{"User", "eve"}] {
			return len(g.rules) == 2 && len(g.rules[0].Verbs) == 5
		}
		return false
	})
	if err := create("held", rule("get", builds, "builds")); err != nil {
		t.Errorf("what is held: %v", err)
	}
	fails(t, create("more", rule("get,list", builds, "builds")), apierror.ReasonForbidden,
		`user "eve" (groups=[]) is attempting to grant rights not currently held: list builds in API group "build.knative.dev"`)
	fails(t, create("all", rule("*", "*", "*")), apierror.ReasonForbidden, "not currently held")
	_, err := p.crs.Patch(eve, &metav1.PatchRequest{
		Name: "held", ContentType: "application/merge-patch+json", Patch: []byte(`{"rules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}]}`),
	})
	fails(t, err, apierror.ReasonForbidden, "not currently held")
	_, err = p.crs.Patch(eve, &metav1.PatchRequest{Name: "cluster-admin", ContentType: "application/merge-patch+json", Patch: []byte(`{"metadata":{"annotations":{"a":"b"}}}`)})
	if err != nil {
		t.Errorf("an annotation gives no right: %v", err)
	}
	_, err = p.crs.Patch(eve, &metav1.PatchRequest{
		Name: "cluster-admin", ContentType: "application/merge-patch+json", Patch: []byte(`{"metadata":{"labels":{"auth.fairlead.dev/aggregate-to-view":"true"}}}`),
	})
	fails(t, err, apierror.ReasonForbidden, "not currently held")
	_, err = p.crbs.Create(eve, &authv1.ClusterRoleBindingServiceCreateRequest{Object: clusterBinding("me", "cluster-admin", user("eve"))})
	fails(t, err, apierror.ReasonForbidden, "not currently held")
	_, err = p.crbs.Create(eve, &authv1.ClusterRoleBindingServiceCreateRequest{Object: clusterBinding("absent", "absent", user("eve"))})
	fails(t, err, apierror.ReasonNotFound, `clusterroles.auth.fairlead.dev "absent" not found`)
	if _, err = p.crbs.Create(eve, &authv1.ClusterRoleBindingServiceCreateRequest{Object: clusterBinding("fine", "held", user("bob"))}); err != nil {
		t.Errorf("what is held: %v", err)
	}
	_, err = p.crbs.Patch(eve, &metav1.PatchRequest{
		Name: "cluster-admin", ContentType: "application/merge-patch+json", Patch: []byte(`{"subjects":[{"kind":"User","name":"eve"}]}`),
	})
	fails(t, err, apierror.ReasonForbidden, "not currently held")
	_, err = p.binds.Create(eve, &authv1.RoleBindingServiceCreateRequest{Object: &authv1.RoleBinding{
		Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "me"}, Subjects: []*authv1.Subject{user("eve")},
		RoleRef: &authv1.RoleRef{Kind: "ClusterRole", Name: "edit"},
	}})
	fails(t, err, apierror.ReasonForbidden, "not currently held")

	p.give(t, "binder", user("eve"), rule("bind", Group, "clusterroles", "edit"))
	_, err = p.binds.Create(eve, &authv1.RoleBindingServiceCreateRequest{Object: &authv1.RoleBinding{
		Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "me"}, Subjects: []*authv1.Subject{user("bob")},
		RoleRef: &authv1.RoleRef{Kind: "ClusterRole", Name: "edit"},
	}})
	if err != nil {
		t.Errorf("with the right to bind: %v", err)
	}
}

func TestNobodyIssuesTokensAboveThemselves(t *testing.T) {
	i := install(t)
	p := i.start(t)
	p.give(t, "issuer", user("eve"), rule("create", Group, "tokens"), rule("get", builds, "builds"))
	p.give(t, "reader", user("bob"), rule("get", builds, "builds"))
	p.give(t, "writer", user("ada"), rule("delete", builds, "builds"))
	eve := p.as(t, "eve")
	issue := func(user string, groups ...string) error {
		_, err := p.tokens.Issue(eve, &authv1.IssueRequest{User: user, Groups: groups})
		return err
	}
	if err := issue("bob"); err != nil {
		t.Errorf("no more rights: %v", err)
	}
	if err := issue("eve"); err != nil {
		t.Errorf("for oneself: %v", err)
	}
	fails(t, issue("ada"), apierror.ReasonForbidden, "delete builds")
	fails(t, issue("bob", "admins"), apierror.ReasonForbidden, "would have rights that user \"eve\" has not")
	_, err := p.tokens.Kubeconfig(eve, &authv1.KubeconfigRequest{User: "admin", Groups: []string{"admins"}})
	fails(t, err, apierror.ReasonServiceUnavailable, "")
	p.auth.SetKubeconfigTarget("https://x", nil)
	_, err = p.tokens.Kubeconfig(eve, &authv1.KubeconfigRequest{User: "admin", Groups: []string{"admins"}})
	fails(t, err, apierror.ReasonForbidden, "")

	_, err = i.cluster.clientset.RbacV1().RoleBindings("prod").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: kmetav1.ObjectMeta{Name: "deployers", Namespace: "prod"},
		Subjects:   []rbacv1.Subject{{Kind: "Group", APIGroup: rbacv1.GroupName, Name: "fairlead:deployers"}},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: "edit"},
	}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fails(t, issue("bob", "deployers"), apierror.ReasonForbidden, `the cluster gives rights to "fairlead:deployers"`)
	if _, err := p.tokens.Issue(p.as(t, "eve", "deployers"), &authv1.IssueRequest{User: "bob", Groups: []string{"deployers"}}); err != nil {
		t.Errorf("of one's own group: %v", err)
	}
	if _, err := p.tokens.Issue(p.admin(t), &authv1.IssueRequest{User: "bob", Groups: []string{"deployers"}}); err != nil {
		t.Errorf("by who may do everything in the cluster: %v", err)
	}
}

func TestBuiltIn(t *testing.T) {
	i := install(t)
	p := i.start(t)
	list, err := p.crs.List(p.admin(t), &metav1.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(list.GetItems()))
	for _, r := range list.GetItems() {
		names = append(names, r.GetMetadata().GetName())
	}
	if d := cmp.Diff([]string{
		"admin", "cluster-admin", "edit", "fairlead:aggregate-to-admin", "fairlead:aggregate-to-edit", "fairlead:aggregate-to-view", "fairlead:data-plane", "view",
	}, names); d != "" {
		t.Errorf("roles (-want +got):\n%s", d)
	}
	// A role that was changed stays changed when another process starts, unless it says otherwise.
	for _, name := range []string{"view", "edit"} {
		changed := clusterRole(name, rule("get", builds, "builds"))
		if name == "edit" {
			changed.Metadata.Annotations = map[string]string{annotationAutoupdate: "true"}
		}
		if _, err := p.crs.Update(p.admin(t), &authv1.ClusterRoleServiceUpdateRequest{Object: changed}); err != nil {
			t.Fatal(err)
		}
	}
	second := i.start(t)
	view, err := second.crs.Get(p.admin(t), &metav1.GetRequest{Name: "view"})
	if err != nil || len(view.GetRules()) != 1 {
		t.Errorf("got %v, %v", view, err)
	}
	second.eventually(t, func() bool { // what follows from other roles is written a little later
		edit, err := second.crs.Get(p.admin(t), &metav1.GetRequest{Name: "edit"})
		return err == nil && edit.GetAggregationRule() != nil && len(edit.GetRules()) >= 3
	})
	soon(t, func() bool {
		b, err := i.cluster.clientset.RbacV1().ClusterRoleBindings().Get(t.Context(), "fairlead-admins-test", kmetav1.GetOptions{})
		return err == nil && b.RoleRef.Name == "cluster-admin" && b.Subjects[0].Name == "fairlead:admins" && b.Labels["fairlead.dev/installation"] == "test"
	})
}

func TestFaultsOfRolesAndBindings(t *testing.T) {
	p := install(t).start(t)
	ctx := p.admin(t)
	fields := func(err error) string {
		t.Helper()
		e := fails(t, err, apierror.ReasonInvalid, "")
		out := make([]string, 0, len(e.Causes))
		for _, c := range e.Causes {
			out = append(out, c.Field)
		}
		return strings.Join(out, " ")
	}
	_, err := p.roles.Create(ctx, &authv1.RoleServiceCreateRequest{Object: &authv1.Role{
		Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "a/b"},
		Rules:    []*authv1.PolicyRule{{}, {Verbs: []string{"get"}, NonResourceUrls: []string{"/metrics"}}},
	}})
	if d := cmp.Diff("metadata.name rules[0].verbs rules[0].apiGroups rules[0].resources rules[1].nonResourceURLs", fields(err)); d != "" {
		t.Errorf("role (-want +got):\n%s", d)
	}
	_, err = p.crbs.Create(ctx, &authv1.ClusterRoleBindingServiceCreateRequest{Object: &authv1.ClusterRoleBinding{
		Metadata: &metav1.ObjectMeta{Name: "b"},
		Subjects: []*authv1.Subject{{Kind: "Robot", Name: "x"}, {Kind: "ServiceAccount", Name: "x"}, {Kind: "User", Name: "x", ApiGroup: "rbac.authorization.k8s.io"}},
		RoleRef:  &authv1.RoleRef{Kind: "Role", Name: "x"},
	}})
	if d := cmp.Diff("subjects[0].kind roleRef.kind subjects[1].namespace subjects[2].apiGroup", fields(err)); d != "" {
		t.Errorf("binding (-want +got):\n%s", d)
	}
	many := make([]string, 200)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	_, err = p.crs.Create(ctx, &authv1.ClusterRoleServiceCreateRequest{Object: clusterRole("huge", &authv1.PolicyRule{Verbs: many, ApiGroups: many, Resources: many})})
	if d := cmp.Diff("rules", fields(err)); d != "" {
		t.Errorf("huge role (-want +got):\n%s", d)
	}
}

func TestConfigTellsEveryFault(t *testing.T) {
	err := Config{TokenLifetime: -1, KeySecret: "A_B", Prefix: "/"}.Validate()
	for _, want := range []string{"tokenLifetime", "keySecret", "prefix"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not told of: %v", want, err)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

func TestUsersReadStatusAndWriteSpec(t *testing.T) {
	p := install(t).start(t)
	if _, err := p.crbs.Create(p.admin(t), &authv1.ClusterRoleBindingServiceCreateRequest{Object: clusterBinding("editors", "edit", user("ada"))}); err != nil {
		t.Fatal(err)
	}
	ada := &rpc.Identity{User: "ada"}
	p.eventually(t, func() bool { return len(p.auth.policy.index()[subject{"User", "ada"}]) > 0 })
	may := func(verb, group, resource, subresource string) bool {
		return p.auth.policy.Authorize(t.Context(), ada, rpc.Attributes{Verb: verb, Group: group, Resource: resource, Subresource: subresource, Namespace: "shop", Name: "x"}) == nil
	}
	for _, tc := range []struct {
		verb, group, resource, subresource string
		want                               bool
	}{
		{"create", builds, "builds", "", true},
		{"get", builds, "builds", "log", true},
		{"get", builds, "builds", "status", true},
		{"patch", "serving.knative.dev", "services", "", true},
		{"update", builds, "builds", "status", false},
		{"get", Group, "clusterroles", "", false},
		{"create", Group, "tokens", "", false},
		{"update", "serving.fairlead.dev", "routers", "", false},
	} {
		if got := may(tc.verb, tc.group, tc.resource, tc.subresource); got != tc.want {
			t.Errorf("%v: got %v", tc, got)
		}
	}
}
