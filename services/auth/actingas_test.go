// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/auth/mirror"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// bind has the cluster give rights to names.
func (i *installation) bind(t *testing.T, subjects ...rbacv1.Subject) {
	t.Helper()
	_, err := i.cluster.clientset.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: kmetav1.ObjectMeta{Name: "rights"}, Subjects: subjects,
	}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// TestActingAsAnotherGivesNothingInTheCluster has eve, whom our roles let act as ada, do as ada what reaches the cluster in
// ada's name, or would by a token of hers. She may once the cluster lets her act as ada as well.
func TestActingAsAnotherGivesNothingInTheCluster(t *testing.T) {
	i := install(t)
	p := i.start(t)
	i.bind(t, rbacv1.Subject{Kind: rbacv1.UserKind, Name: "fairlead:ada"})
	p.give(t, "ada", user("ada"), rule("*", Group, "tokens,serviceaccounts/token,clusterroles"))
	p.give(t, "eve", user("eve"), rule("impersonate", "", "users", "ada"))
	mirrored := clusterRole("mirrored")
	mirrored.Metadata.Annotations = map[string]string{mirror.Annotation: "true"}
	calls := map[string]func(context.Context) error{
		"a token": func(ctx context.Context) error {
			_, err := p.tokens.Issue(ctx, &authv1.IssueRequest{User: "ada"})
			return err
		},
		"a service account's token": func(ctx context.Context) error {
			_, err := p.tokens.IssueForServiceAccount(ctx, &authv1.IssueForServiceAccountRequest{Namespace: "shop", Name: "robot"})
			return err
		},
		"a service account's kubeconfig": func(ctx context.Context) error {
			p.auth.SetKubeconfigTarget("https://front", nil)
			_, err := p.tokens.KubeconfigForServiceAccount(ctx, &authv1.KubeconfigForServiceAccountRequest{Namespace: "shop", Name: "robot"})
			return err
		},
		"a role that is mirrored": func(ctx context.Context) error {
			_, err := p.crs.Create(ctx, &authv1.ClusterRoleServiceCreateRequest{Object: mirrored})
			return err
		},
	}
	refused := func(err error) bool {
		return err != nil && strings.Contains(err.Error(), `"fairlead:ada"`)
	}
	asAda := func() context.Context {
		return metadata.AppendToOutgoingContext(p.as(t, "eve"), "impersonate-user", "ada")
	}
	for name, call := range calls {
		if err := call(p.as(t, "ada")); refused(err) {
			t.Errorf("ada: %s: %v", name, err)
		}
		if err := call(asAda()); !refused(err) || apierror.FromStatus(err).Reason != apierror.ReasonForbidden {
			t.Errorf("eve as ada: %s: %v", name, err)
		}
	}
	i.cluster.claims.set(func(c *claimed) {
		c.allowed = func(s authorizationv1.SubjectAccessReviewSpec) bool { return s.User == "fairlead:eve" }
	})
	for name, call := range calls {
		soon(t, func() bool { return !refused(call(asAda())) })
		if t.Failed() {
			t.Fatalf("eve as ada, whom the cluster lets: %s", name)
		}
	}
}

// TestPodsOfWhoActsAsAnother wants the right to create pods of whoever is acted as, and that to act so of who does.
func TestPodsOfWhoActsAsAnother(t *testing.T) {
	i := install(t)
	p := i.start(t)
	i.cluster.claims.set(func(c *claimed) {
		c.allowed = func(s authorizationv1.SubjectAccessReviewSpec) bool {
			r := s.ResourceAttributes
			if r.Verb == "impersonate" {
				return s.User == "fairlead:boss" && r.Resource == "users" && r.Name == "fairlead:ada" ||
					s.User == "fairlead:ci" && r.Resource == "serviceaccounts" && r.Namespace == "shop" && r.Name == "robot"
			}
			return s.User == "fairlead:ada" || s.User == "system:serviceaccount:shop:robot"
		}
	})
	robot := func(groups ...string) rpc.Identity {
		return rpc.Identity{User: "system:serviceaccount:shop:robot", Groups: groups, Source: rpc.SourceCluster}
	}
	cases := []struct {
		reason, by string
		as         rpc.Identity
		allowed    bool
	}{
		{"the cluster does not let eve act as ada", "eve", rpc.Identity{User: "ada"}, false},
		{"it lets boss", "boss", rpc.Identity{User: "ada", Groups: []string{"system:authenticated"}}, true},
		{"but not in another group", "boss", rpc.Identity{User: "ada", Groups: []string{"ops"}}, false},
		{"a service account, in the groups that it is in", "ci", robot("system:serviceaccounts", "system:serviceaccounts:shop"), true},
		{"and not in those of another namespace", "ci", robot("system:serviceaccounts:kube-system"), false},
		{"nor as another one", "ci", rpc.Identity{User: "system:serviceaccount:shop:root", Source: rpc.SourceCluster}, false},
	}
	for _, tc := range cases {
		tc.as.Impersonator = &rpc.Identity{User: tc.by}
		err := p.auth.Access().MayCreatePods(t.Context(), &tc.as, "shop")
		if tc.allowed && err != nil || !tc.allowed && !apierror.Is(err, apierror.ReasonForbidden) {
			t.Errorf("%s: %v", tc.reason, err)
		}
	}
}

// TestNamesInTheClusterAreCompared has users of the cluster ask for tokens of ours of the same name, to which the cluster
// gives rights that it does not give to them.
func TestNamesInTheClusterAreCompared(t *testing.T) {
	i := install(t)
	p := i.start(t)
	i.bind(t, rbacv1.Subject{Kind: rbacv1.UserKind, Name: "fairlead:ada"}, rbacv1.Subject{Kind: rbacv1.GroupKind, Name: "fairlead:ops"})
	ada, ops := rpc.Identity{User: "ada"}, rpc.Identity{User: "x", Groups: []string{"ops"}}
	cases := []struct {
		reason        string
		caller, other rpc.Identity
		bound         string
	}{
		{"her own", ada, ada, ""},
		{"her own group", rpc.Identity{User: "eve", Groups: []string{"ops"}}, ops, ""},
		{"another's", rpc.Identity{User: "eve"}, ada, "fairlead:ada"},
		{"of the same name, in the cluster", rpc.Identity{User: "ada", Source: rpc.SourceClusterCertificate}, ada, "fairlead:ada"},
		{"of a group of the same name, in the cluster", rpc.Identity{User: "x", Groups: []string{"ops"}, Source: rpc.SourceFrontProxy}, ops, "fairlead:ops"},
		{"of whom it acts as", rpc.Identity{User: "ada", Impersonator: &rpc.Identity{User: "eve"}}, ada, "fairlead:ada"},
	}
	for _, tc := range cases {
		bound, err := p.auth.exceedsInCluster(t.Context(), &tc.caller, &tc.other)
		if err != nil || bound != tc.bound {
			t.Errorf("%s: %q, %v, want %q", tc.reason, bound, err, tc.bound)
		}
	}
}
