// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package mirror_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/auth"
	"fairlead.dev/services/auth/mirror"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // connections that client-go keeps for a while
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientConnReadLoop).run"))
}

// installation is one on the real cluster, in a namespace of its own.
type installation struct {
	id     string
	api    kubernetes.Interface
	server *auth.Server
	conn   *grpc.ClientConn
}

func start(t *testing.T) *installation {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("FAIRLEAD_CLUSTER_KUBECONFIG"))
	if err != nil {
		t.Fatalf("FAIRLEAD_CLUSTER_KUBECONFIG: %v", err)
	}
	i := &installation{id: fmt.Sprintf("mirror-test-%d", time.Now().UnixNano())}
	k, err := kube.NewClient(config, kube.Options{Installation: i.id, Component: "fairlead-test", SystemNamespace: i.id})
	if err != nil {
		t.Fatal(err)
	}
	i.api = k.Clientset()
	t.Cleanup(func() {
		ctx, mine := context.Background(), kmetav1.ListOptions{LabelSelector: kube.LabelInstallation + "=" + i.id}
		_ = i.api.RbacV1().ClusterRoleBindings().DeleteCollection(ctx, kmetav1.DeleteOptions{}, mine)
		_ = i.api.RbacV1().ClusterRoles().DeleteCollection(ctx, kmetav1.DeleteOptions{}, mine)
		_ = i.api.CoreV1().Namespaces().Delete(ctx, i.id, kmetav1.DeleteOptions{})
	})
	if _, err := i.api.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: kmetav1.ObjectMeta{Name: i.id}}, kmetav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	client := etcdtest.Start(t)
	st, err := store.New(client, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if i.server, err = auth.New(auth.Config{}, auth.Deps{Store: st, Etcd: client, Kube: k, Objects: k}); err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{Authn: i.server.Authenticator(), Authz: i.server.Authorizer()})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.server.Register(server); err != nil {
		t.Fatal(err)
	}
	memory := rpc.NewInMemory(server)
	if i.conn, err = memory.Dial(nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{st.Run, k.Run, i.server.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		_ = i.conn.Close()
		server.Stop()
		_ = memory.Close()
		cancel()
		wg.Wait()
	})
	return i
}

func with(t *testing.T, token string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, rpc.AuthorizationKey, "Bearer "+token)
}

func (i *installation) admin(t *testing.T) context.Context {
	t.Helper()
	token, err := i.server.AdminToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return with(t, token)
}

func (i *installation) as(t *testing.T, user string) context.Context {
	t.Helper()
	made, err := authv1.NewTokenServiceClient(i.conn).Issue(i.admin(t), &authv1.IssueRequest{User: user})
	if err != nil {
		t.Fatal(err)
	}
	return with(t, made.GetToken())
}

func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	begin := time.Now()
	for !is() {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("it does not become true: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Logf("%s after %s", what, time.Since(begin))
}

func refused(t *testing.T, err error, reason apierror.Reason, text string) {
	t.Helper()
	if e := apierror.FromStatus(err); err == nil || e.Reason != reason || !strings.Contains(e.Message, text) {
		t.Errorf("got %v, want %s: %s", err, reason, text)
	}
}

func mirrored(m *metav1.ObjectMeta) *metav1.ObjectMeta {
	m.Annotations = map[string]string{mirror.Annotation: "true"}
	return m
}

func TestRolesHoldInTheCluster(t *testing.T) {
	i := start(t)
	roles, bindings := authv1.NewRoleServiceClient(i.conn), authv1.NewRoleBindingServiceClient(i.conn)
	clusterRoles, clusterBindings := authv1.NewClusterRoleServiceClient(i.conn), authv1.NewClusterRoleBindingServiceClient(i.conn)
	admin := i.admin(t)
	pods := []*authv1.PolicyRule{{Verbs: []string{"get", "list"}, ApiGroups: []string{""}, Resources: []string{"pods"}}}
	role := &authv1.Role{Metadata: mirrored(&metav1.ObjectMeta{Namespace: i.id, Name: "readers"}), Rules: pods}
	binding := &authv1.RoleBinding{
		Metadata: mirrored(&metav1.ObjectMeta{Namespace: i.id, Name: "readers"}),
		Subjects: []*authv1.Subject{{Kind: "User", Name: "ada"}}, RoleRef: &authv1.RoleRef{Kind: "Role", Name: "readers"},
	}
	_, err := bindings.Create(admin, &authv1.RoleBindingServiceCreateRequest{Object: binding})
	if err == nil {
		t.Fatal("a binding was taken whose role is not there")
	}
	may := func(verb string) bool {
		review, err := i.api.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "fairlead:ada", ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: i.id, Verb: verb, Resource: "pods"},
		}}, kmetav1.CreateOptions{})
		return err == nil && review.Status.Allowed
	}
	soon(t, "the administrator is one in the cluster", func() bool {
		_, err = roles.Create(admin, &authv1.RoleServiceCreateRequest{Object: role})
		return err == nil
	})
	if _, err := bindings.Create(admin, &authv1.RoleBindingServiceCreateRequest{Object: binding}); err != nil {
		t.Fatal(err)
	}
	soon(t, "the binding holds in the cluster", func() bool { return may("list") })
	rbac, name := i.api.RbacV1(), "fairlead:"+i.id+":readers"

	// What drifts goes back.
	drifted, err := rbac.Roles(i.id).Get(t.Context(), name, kmetav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	drifted.Rules[0].Verbs = []string{"*"}
	if _, err := rbac.Roles(i.id).Update(t.Context(), drifted, kmetav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	soon(t, "the role is as it was accepted", func() bool {
		r, err := rbac.Roles(i.id).Get(t.Context(), name, kmetav1.GetOptions{})
		return err == nil && len(r.Rules[0].Verbs) == 2
	})
	if err := rbac.RoleBindings(i.id).Delete(t.Context(), name, kmetav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	other := &rbacv1.RoleBinding{
		ObjectMeta: kmetav1.ObjectMeta{Namespace: i.id, Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "fairlead:ada"}},
	}
	_, _ = rbac.RoleBindings(i.id).Create(t.Context(), other, kmetav1.CreateOptions{}) // unless it is back already
	soon(t, "the binding is as it was accepted", func() bool {
		b, err := rbac.RoleBindings(i.id).Get(t.Context(), name, kmetav1.GetOptions{})
		return err == nil && b.RoleRef.Name == name
	})

	// Nobody gives in the cluster what they may not give there, whatever they may do here.
	if _, err := clusterRoles.Create(admin, &authv1.ClusterRoleServiceCreateRequest{Object: &authv1.ClusterRole{
		Metadata: &metav1.ObjectMeta{Name: "everything-here"}, Rules: []*authv1.PolicyRule{{Verbs: []string{"*"}, ApiGroups: []string{"*"}, Resources: []string{"*"}}},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := clusterBindings.Create(admin, &authv1.ClusterRoleBindingServiceCreateRequest{Object: &authv1.ClusterRoleBinding{
		Metadata: &metav1.ObjectMeta{Name: "eve"}, Subjects: []*authv1.Subject{{Kind: "User", Name: "eve"}}, RoleRef: &authv1.RoleRef{Kind: "ClusterRole", Name: "everything-here"},
	}}); err != nil {
		t.Fatal(err)
	}
	eve := i.as(t, "eve")
	plain := &authv1.Role{Metadata: &metav1.ObjectMeta{Namespace: i.id, Name: "eves"}, Rules: pods}
	soon(t, "eve may write roles here", func() bool {
		_, err := roles.Create(eve, &authv1.RoleServiceCreateRequest{Object: plain})
		return err == nil
	})
	_, err = roles.Patch(eve, &metav1.PatchRequest{
		Namespace: i.id, Name: "eves", ContentType: "application/merge-patch+json", Patch: []byte(`{"metadata":{"annotations":{"auth.fairlead.dev/mirror":"true"}}}`),
	})
	refused(t, err, apierror.ReasonForbidden, "does not accept it from you")
	_, err = roles.Patch(eve, &metav1.PatchRequest{
		Namespace: i.id, Name: "readers", ContentType: "application/merge-patch+json", Patch: []byte(`{"rules":[{"verbs":["*"],"apiGroups":[""],"resources":["pods"]}]}`),
	})
	refused(t, err, apierror.ReasonForbidden, "does not accept it from you")
	if may("delete") {
		t.Error("ada has the right that eve could not give")
	}
	_, err = clusterRoles.Patch(admin, &metav1.PatchRequest{
		Name: "view", ContentType: "application/merge-patch+json", Patch: []byte(`{"metadata":{"annotations":{"auth.fairlead.dev/mirror":"true"}}}`),
	})
	refused(t, err, apierror.ReasonInvalid, "gathers from others")

	// What no longer asks for it, or is gone, is gone there.
	if _, err := bindings.Patch(admin, &metav1.PatchRequest{
		Namespace: i.id, Name: "readers", ContentType: "application/merge-patch+json", Patch: []byte(`{"metadata":{"annotations":null}}`),
	}); err != nil {
		t.Fatal(err)
	}
	soon(t, "the binding is gone in the cluster", func() bool { return !may("list") })
	if _, err := roles.Delete(admin, &metav1.DeleteRequest{Namespace: i.id, Name: "readers"}); err != nil {
		t.Fatal(err)
	}
	soon(t, "the role is gone in the cluster", func() bool {
		_, err := rbac.Roles(i.id).Get(t.Context(), name, kmetav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func TestServiceAccounts(t *testing.T) {
	i := start(t)
	accounts, tokens := authv1.NewServiceAccountServiceClient(i.conn), authv1.NewTokenServiceClient(i.conn)
	admin := i.admin(t)
	create := func(name string) {
		t.Helper()
		if _, err := accounts.Create(admin, &authv1.ServiceAccountServiceCreateRequest{Object: &authv1.ServiceAccount{
			Metadata: &metav1.ObjectMeta{Namespace: i.id, Name: name}, Spec: &authv1.ServiceAccountSpec{Secrets: []string{"git"}},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	ready := func(name string) *metav1.Condition {
		a, err := accounts.Get(admin, &metav1.GetRequest{Namespace: i.id, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return condition.Get(a.GetStatus().GetConditions(), condition.Ready)
	}
	create("robot")
	soon(t, "the service account is there", func() bool { return ready("robot").GetStatus() == condition.True })
	there, err := i.api.CoreV1().ServiceAccounts(i.id).Get(t.Context(), "robot", kmetav1.GetOptions{})
	if err != nil || there.Labels[kube.LabelInstallation] != i.id || len(there.Secrets) != 1 || there.Secrets[0].Name != "git" {
		t.Errorf("got %v, %v", there, err)
	}

	made, err := tokens.IssueForServiceAccount(admin, &authv1.IssueForServiceAccountRequest{Namespace: i.id, Name: "robot"})
	if err != nil {
		t.Fatal(err)
	}
	who, err := tokens.WhoAmI(with(t, made.GetToken()), &authv1.WhoAmIRequest{})
	if err != nil || who.GetUser() != "system:serviceaccount:"+i.id+":robot" {
		t.Errorf("got %v, %v", who, err)
	}
	_, err = tokens.IssueForServiceAccount(i.as(t, "eve"), &authv1.IssueForServiceAccountRequest{Namespace: i.id, Name: "robot"})
	refused(t, err, apierror.ReasonForbidden, `cannot create resource "serviceaccounts/token"`)
	_, err = tokens.IssueForServiceAccount(admin, &authv1.IssueForServiceAccountRequest{Namespace: i.id, Name: "nobody"})
	refused(t, err, apierror.ReasonNotFound, "nobody")

	// That of others is left alone.
	if _, err := i.api.CoreV1().ServiceAccounts(i.id).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: kmetav1.ObjectMeta{Name: "theirs"}}, kmetav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	create("theirs")
	soon(t, "it is told whose it is", func() bool { return ready("theirs").GetReason() == mirror.ReasonNotOwned })
	if _, err := accounts.Delete(admin, &metav1.DeleteRequest{Namespace: i.id, Name: "theirs"}); err != nil {
		t.Fatal(err)
	}
	if _, err := accounts.Delete(admin, &metav1.DeleteRequest{Namespace: i.id, Name: "robot"}); err != nil {
		t.Fatal(err)
	}
	soon(t, "the service account is gone", func() bool {
		_, err := i.api.CoreV1().ServiceAccounts(i.id).Get(t.Context(), "robot", kmetav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	if _, err := i.api.CoreV1().ServiceAccounts(i.id).Get(t.Context(), "theirs", kmetav1.GetOptions{}); err != nil {
		t.Errorf("that of others went: %v", err)
	}
}
