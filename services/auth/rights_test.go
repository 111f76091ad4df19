// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/auth/mirror"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// pick returns some of the choices, at least one.
func pick(r *rand.Rand, choices ...string) []string {
	n := 1 + r.IntN(2)
	out := make([]string, 0, n)
	for range n {
		out = append(out, choices[r.IntN(len(choices))])
	}
	return out
}

func randomRule(r *rand.Rand) rbacv1.PolicyRule {
	verbs := pick(r, "get", "list", "create", "update", "*")
	if r.IntN(4) == 0 {
		return rbacv1.PolicyRule{Verbs: verbs, NonResourceURLs: pick(r, "/metrics", "/metrics/*", "/met*", "/healthz", "*")}
	}
	rule := rbacv1.PolicyRule{
		Verbs: verbs, APIGroups: pick(r, "", "a", "b", "*"), Resources: pick(r, "x", "y", "x/status", "*/status", "*/log", "y/log", "*"),
	}
	if r.IntN(3) == 0 {
		rule.ResourceNames = pick(r, "one", "two")
	}
	return rule
}

func randomCall(r *rand.Rand) rpc.Attributes {
	one := func(choices ...string) string { return choices[r.IntN(len(choices))] }
	verb := one("get", "list", "create", "update", "delete")
	if r.IntN(4) == 0 {
		return rpc.Attributes{Verb: verb, Path: one("/metrics", "/metrics/a", "/metricsx", "/healthz", "/")}
	}
	return rpc.Attributes{Verb: verb, Group: one("", "a", "b", "c"), Resource: one("x", "y", "z"), Subresource: one("", "", "status", "log"), Name: one("", "one", "two", "three")}
}

// asRule is the rule that gives the right to one call, and no more.
func asRule(a rpc.Attributes) rbacv1.PolicyRule {
	if a.Path != "" {
		return rbacv1.PolicyRule{Verbs: []string{a.Verb}, NonResourceURLs: []string{a.Path}}
	}
	r := rbacv1.PolicyRule{Verbs: []string{a.Verb}, APIGroups: []string{a.Group}, Resources: []string{a.Resource}}
	if a.Subresource != "" {
		r.Resources[0] += "/" + a.Subresource
	}
	if a.Name != "" && (a.Verb != "create" || a.Subresource != "") { // a creation has no name that rules go by
		r.ResourceNames = []string{a.Name}
	}
	return r
}

// What is allowed is what Kubernetes takes for covered, on random rules and calls.
func TestAllowsAsKubernetesDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	allowed := 0
	for range 200_000 {
		held := []rbacv1.PolicyRule{randomRule(r), randomRule(r)}
		call := randomCall(r)
		got := allows(held[0], call) || allows(held[1], call)
		want, _ := validation.Covers(held, []rbacv1.PolicyRule{asRule(call)})
		if got != want {
			t.Fatalf("%+v by %+v: got %v, want %v", call, held, got, want)
		}
		if got {
			allowed++
		}
	}
	if allowed < 1000 {
		t.Errorf("only %d calls were allowed: they show little", allowed)
	}
}

func TestAllowsPathsAndNames(t *testing.T) {
	paths := func(verbs string, urls ...string) *authv1.PolicyRule {
		r := rule(verbs, "", "")
		return &authv1.PolicyRule{Verbs: r.GetVerbs(), NonResourceUrls: urls}
	}
	path := func(p string) rpc.Attributes { return rpc.Attributes{Verb: "get", Path: p} }
	named := rpc.Attributes{Verb: "create", Group: builds, Resource: "builds", Name: "web"}
	token := rpc.Attributes{Verb: "create", Group: Group, Resource: "serviceaccounts", Subresource: "token", Name: "web"}
	cases := map[string]struct {
		reason string
		rule   *authv1.PolicyRule
		a      rpc.Attributes
		want   bool
	}{
		"path":                 {"a rule names it", paths("get", "/metrics"), path("/metrics"), true},
		"path below":           {"without a star only the path itself is meant", paths("get", "/metrics"), path("/metrics/x"), false},
		"path by star":         {"a star at the end stands for any rest", paths("get", "/metrics/*"), path("/metrics/x"), true},
		"path without rest":    {"the slash belongs to what has to be there", paths("get", "/metrics/*"), path("/metrics"), false},
		"every path":           {"a star alone is every path", paths("*", "*"), path("/debug/pprof"), true},
		"path, other verb":     {"verbs count for paths too", paths("post", "/metrics"), path("/metrics"), false},
		"path by resources":    {"rules on resources say nothing of paths", rule("*", "*", "*"), path("/metrics"), false},
		"resource by paths":    {"rules on paths say nothing of resources", paths("*", "*"), named, false},
		"create by name":       {"what is made has no name yet that a rule could go by", rule("create", builds, "builds", "web"), named, false},
		"create below by name": {"what is made below an object goes by the object's name", rule("create", Group, "serviceaccounts/token", "web"), token, true},
		"empty name":           {"a rule for the empty name allows nothing", rule("list", builds, "builds", ""), rpc.Attributes{Verb: "list", Group: builds, Resource: "builds"}, false},
		"list of one":          {"a list by name is about that object", rule("list", builds, "builds", "web"), rpc.Attributes{Verb: "list", Group: builds, Resource: "builds", Name: "web"}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := allows(mirror.Rules([]*authv1.PolicyRule{tc.rule})[0], tc.a); got != tc.want {
				t.Errorf("%s: got %v", tc.reason, got)
			}
		})
	}
}

func labelled(r *authv1.ClusterRole, labels ...string) *authv1.ClusterRole {
	r.Metadata.Labels = map[string]string{}
	for _, l := range labels {
		r.Metadata.Labels[l] = "true"
	}
	return r
}

func aggregating(name string, labels ...string) *authv1.ClusterRole {
	r := clusterRole(name)
	r.AggregationRule = &authv1.AggregationRule{}
	for _, l := range labels {
		r.AggregationRule.ClusterRoleSelectors = append(r.AggregationRule.ClusterRoleSelectors, &metav1.LabelSelector{MatchLabels: map[string]string{l: "true"}})
	}
	return r
}

func TestAggregated(t *testing.T) {
	get, list, del := rule("get", builds, "builds"), rule("list", builds, "builds"), rule("delete", builds, "builds")
	stale := aggregating("stale", "to-all")
	stale.Rules = []*authv1.PolicyRule{del}
	all := []*authv1.ClusterRole{
		labelled(clusterRole("b", list, get), "to-a", "to-all"),
		labelled(clusterRole("a", get), "to-a"),
		labelled(aggregating("middle", "to-a"), "to-all", "to-loop"),
		labelled(aggregating("loop", "to-loop"), "to-loop"),
		clusterRole("other", del),
		stale,
	}
	cases := map[string]struct {
		reason string
		role   *authv1.ClusterRole
		want   []*authv1.PolicyRule
	}{
		"plain":     {"a role without the rule has its own rules", all[0], []*authv1.PolicyRule{list, get}},
		"selected":  {"rules come in the order of names, each once", all[2], []*authv1.PolicyRule{get, list}},
		"two steps": {"what a selected role selects counts; what was written before does not", stale, []*authv1.PolicyRule{list, get}},
		"loop":      {"roles that select each other end", all[3], []*authv1.PolicyRule{get, list}},
		"nothing":   {"nothing selected is nothing", aggregating("none", "to-nobody"), nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, aggregated(tc.role, all), protocmp.Transform()); d != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, d)
			}
		})
	}
}

func TestAggregationHoldsAtOnceAndIsWritten(t *testing.T) {
	p := install(t).start(t)
	admin := p.admin(t)
	if _, err := p.crbs.Create(admin, &authv1.ClusterRoleBindingServiceCreateRequest{Object: clusterBinding("viewers", "view", user("ada"))}); err != nil {
		t.Fatal(err)
	}
	get := func() codes.Code {
		_, err := p.crs.Get(p.as(t, "ada"), &metav1.GetRequest{Name: "view"})
		return status.Code(err)
	}
	if c := get(); c != codes.PermissionDenied {
		t.Fatalf("before: %s", c)
	}
	more := labelled(clusterRole("roles-reader", rule("get", Group, "clusterroles")), "auth.fairlead.dev/aggregate-to-view")
	if _, err := p.crs.Create(admin, &authv1.ClusterRoleServiceCreateRequest{Object: more}); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, func() bool { return get() == codes.OK })
	p.eventually(t, func() bool {
		view, err := p.crs.Get(admin, &metav1.GetRequest{Name: "view"})
		return err == nil && len(view.GetRules()) > 0 && view.GetRules()[len(view.GetRules())-1].GetResources()[0] == "clusterroles"
	})
	// Whoever writes an aggregated role leaves its rules alone.
	view, err := p.crs.Patch(admin, &metav1.PatchRequest{Name: "view", ContentType: "application/merge-patch+json", Patch: []byte(`{"rules":[]}`)})
	if err != nil || len(view.GetRules()) == 0 {
		t.Errorf("the rules went: %v, %v", view, err)
	}
	if _, err := p.crs.Delete(admin, &metav1.DeleteRequest{Name: "roles-reader"}); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, func() bool { return get() == codes.PermissionDenied })
}

func TestNobodyAggregatesWhatTheyDoNotHold(t *testing.T) {
	p := install(t).start(t)
	p.give(t, "role-writer", user("eve"), rule("create,update,patch,get", Group, "clusterroles,clusterrolebindings"), rule("get", builds, "builds"))
	eve := p.as(t, "eve")
	create := func(r *authv1.ClusterRole) error {
		_, err := p.crs.Create(eve, &authv1.ClusterRoleServiceCreateRequest{Object: r})
		return err
	}
	fails(t, create(aggregating("gather", "x")), apierror.ReasonForbidden, "* *")
	if err := create(labelled(clusterRole("held", rule("get", builds, "builds")), "x")); err != nil {
		t.Errorf("what is held may be labelled: %v", err)
	}
	fails(t, create(clusterRole("paths", &authv1.PolicyRule{Verbs: []string{"get"}, NonResourceUrls: []string{"/debug/*"}})), apierror.ReasonForbidden, "get /debug/*")
	_, err := p.crbs.Create(eve, &authv1.ClusterRoleBindingServiceCreateRequest{Object: clusterBinding("me", "view", user("eve"))})
	fails(t, err, apierror.ReasonForbidden, "not currently held")
	_, err = p.crs.Patch(eve, &metav1.PatchRequest{Name: "view", ContentType: "application/merge-patch+json", Patch: []byte(`{"aggregationRule":null}`)})
	fails(t, err, apierror.ReasonForbidden, "not currently held")
	bad := aggregating("bad")
	bad.AggregationRule.ClusterRoleSelectors = []*metav1.LabelSelector{{MatchLabels: map[string]string{"a b": "c"}}}
	_, err = p.crs.Create(p.admin(t), &authv1.ClusterRoleServiceCreateRequest{Object: bad})
	if e := fails(t, err, apierror.ReasonInvalid, ""); len(e.Causes) != 1 || e.Causes[0].Field != "aggregationRule.clusterRoleSelectors[0]" {
		t.Errorf("causes %v", e.Causes)
	}
}

// Callers are told what they may do, by the rules that hold for them.
func TestReviews(t *testing.T) {
	p := install(t).start(t)
	p.give(t, "reader", user("ada"), rule("get", builds, "builds", "web"), &authv1.PolicyRule{Verbs: []string{"get"}, NonResourceUrls: []string{"/debug/*"}})
	access := authv1.NewAccessServiceClient(p.conn)
	cases := map[string]struct {
		r    *authv1.ReviewRequest
		want bool
	}{
		"name":       {&authv1.ReviewRequest{Verb: "get", Group: builds, Resource: "builds", Namespace: "shop", Name: "web"}, true},
		"other name": {&authv1.ReviewRequest{Verb: "get", Group: builds, Resource: "builds", Namespace: "shop", Name: "api"}, false},
		"path":       {&authv1.ReviewRequest{Verb: "get", Path: "/debug/pprof"}, true},
		"other path": {&authv1.ReviewRequest{Verb: "get", Path: "/metrics"}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := access.Review(p.as(t, "ada"), tc.r)
			if err != nil || got.GetAllowed() != tc.want || (got.GetReason() == "") != tc.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	_, err := access.Review(p.as(t, "ada"), &authv1.ReviewRequest{Verb: "get", Path: "/x", Resource: "builds"})
	fails(t, err, apierror.ReasonBadRequest, "either a resource or a path")
	rules, err := access.Rules(p.as(t, "ada"), &authv1.RulesRequest{Namespace: "shop"})
	if err != nil || len(rules.GetRules()) != 2 || rules.GetIncomplete() {
		t.Errorf("got %v, %v", rules, err)
	}
}

func TestNothingIsMirroredWithoutACluster(t *testing.T) {
	p := install(t).start(t)
	r := clusterRole("x", rule("get", builds, "builds"))
	r.Metadata.Annotations = map[string]string{"auth.fairlead.dev/mirror": "true"}
	_, err := p.crs.Create(p.admin(t), &authv1.ClusterRoleServiceCreateRequest{Object: r})
	fails(t, err, apierror.ReasonForbidden, "this server mirrors nothing")
	r.Metadata.Annotations["auth.fairlead.dev/mirror"] = "yes"
	_, err = p.crs.Create(p.admin(t), &authv1.ClusterRoleServiceCreateRequest{Object: r})
	fails(t, err, apierror.ReasonInvalid, `it is "true", or absent`)
	_, err = p.tokens.IssueForServiceAccount(p.admin(t), &authv1.IssueForServiceAccountRequest{Namespace: "a", Name: "b"})
	fails(t, err, apierror.ReasonServiceUnavailable, "no service accounts")
}
