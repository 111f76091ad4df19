// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package auth

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// onCluster is one process of an installation of its own on the real cluster.
type onCluster struct {
	*Server

	id     string
	api    kubernetes.Interface
	server *grpc.Server
	conn   *grpc.ClientConn
}

func startOnCluster(t *testing.T) *onCluster {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("FAIRLEAD_CLUSTER_KUBECONFIG"))
	if err != nil {
		t.Fatalf("FAIRLEAD_CLUSTER_KUBECONFIG: %v", err)
	}
	id := fmt.Sprintf("auth-test-%d", time.Now().UnixNano())
	api := connect(t, config)
	t.Cleanup(func() {
		ctx := context.Background()
		_ = api.RbacV1().ClusterRoleBindings().Delete(ctx, "fairlead-admins-"+id, kmetav1.DeleteOptions{})
		_ = api.CoreV1().Namespaces().Delete(ctx, id, kmetav1.DeleteOptions{})
	})
	if _, err := api.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: kmetav1.ObjectMeta{Name: id}}, kmetav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	client := etcdtest.Start(t)
	st, err := store.New(client, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{}, Deps{Store: st, Etcd: client, Kube: realCluster{api, id}})
	if err != nil {
		t.Fatal(err)
	}
	o := &onCluster{Server: s, id: id, api: api}
	if o.server, err = rpc.NewServer(rpc.Config{Authn: s.Authenticator(), Authz: s.Authorizer()}); err != nil {
		t.Fatal(err)
	}
	if err := s.Register(o.server); err != nil {
		t.Fatal(err)
	}
	servingv1.RegisterServiceServiceServer(o.server, servingv1.UnimplementedServiceServiceServer{})
	memory := rpc.NewInMemory(o.server)
	if o.conn, err = memory.Dial(nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = st.Run(ctx) })
	wg.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() {
		_ = o.conn.Close()
		o.server.Stop()
		_ = memory.Close()
		cancel()
		wg.Wait()
	})
	return o
}

// account makes a service account and returns a token of it, as `kubectl create token` does.
func (o *onCluster) account(t *testing.T, name string, audiences ...string) string {
	t.Helper()
	accounts := o.api.CoreV1().ServiceAccounts(o.id)
	_, _ = accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: kmetav1.ObjectMeta{Name: name}}, kmetav1.CreateOptions{})
	res, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return res.Status.Token
}

// A service account of the cluster, with the rights that the cluster gives it on a kind of ours, as long as it does.
func TestServiceAccountsOnACluster(t *testing.T) {
	o := startOnCluster(t)
	tokens, services := authv1.NewTokenServiceClient(o.conn), servingv1.NewServiceServiceClient(o.conn)
	user := "system:serviceaccount:" + o.id + ":robot"
	token := o.account(t, "robot")
	for name, token := range map[string]string{"for the cluster's API": token, "for ours": o.account(t, "robot", "fairlead")} {
		who, err := tokens.WhoAmI(with(t, token), &authv1.WhoAmIRequest{})
		if err != nil || who.GetUser() != user || who.GetSource() != "cluster" || who.GetUid() == "" {
			t.Errorf("%s: %v, %v", name, who, err)
		}
	}
	_, err := tokens.WhoAmI(with(t, o.account(t, "robot", "vault")), &authv1.WhoAmIRequest{})
	fails(t, err, apierror.ReasonUnauthorized, "")

	get := func() codes.Code { // Unimplemented is past the check of rights
		_, err := services.Get(with(t, token), &metav1.GetRequest{Namespace: o.id, Name: "web"})
		return status.Code(err)
	}
	if c := get(); c != codes.PermissionDenied {
		t.Fatalf("without a right: %s", c)
	}
	rbac := o.api.RbacV1()
	if _, err := rbac.Roles(o.id).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: kmetav1.ObjectMeta{Name: "reader"},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{"serving.knative.dev"}, Resources: []string{"services"}}},
	}, kmetav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	bind := &rbacv1.RoleBinding{
		ObjectMeta: kmetav1.ObjectMeta{Name: "robots"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: o.id, Name: "robot"}},
	}
	for range 3 {
		if _, err := rbac.RoleBindings(o.id).Create(t.Context(), bind, kmetav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		soon(t, func() bool { return get() == codes.Unimplemented })
		t.Logf("a right that the cluster gave was there after %s", time.Since(start))
		if err := rbac.RoleBindings(o.id).Delete(t.Context(), "robots", kmetav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		soon(t, func() bool { return get() == codes.PermissionDenied })
		t.Logf("a right that the cluster took away was gone after %s", time.Since(start))
	}

	// A user of ours gets nothing here by a binding of the cluster to its name there.
	bind.Subjects = []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "fairlead:ada"}}
	if _, err := rbac.RoleBindings(o.id).Create(t.Context(), bind, kmetav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	made, err := o.tokens.mint(t.Context(), tokenSpec{user: "ada", lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	_, err = services.Get(with(t, made.token), &metav1.GetRequest{Namespace: o.id, Name: "web"})
	fails(t, err, apierror.ReasonForbidden, `User "ada" cannot get`)
}

func TestMayCreatePodsOnACluster(t *testing.T) {
	o := startOnCluster(t)
	ada := &rpc.Identity{User: "ada", Groups: []string{"deployers"}}
	err := o.Access().MayCreatePods(t.Context(), ada, o.id)
	fails(t, err, apierror.ReasonForbidden, "cannot create pods there")
	if _, err := o.api.RbacV1().RoleBindings(o.id).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: kmetav1.ObjectMeta{Name: "deployers"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "fairlead:deployers"}},
	}, kmetav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	soon(t, func() bool { return o.Access().MayCreatePods(t.Context(), ada, o.id) == nil })
	robot, err := o.Authenticator().Authenticate(t.Context(), o.account(t, "robot"))
	if err != nil {
		t.Fatal(err)
	}
	fails(t, o.Access().MayCreatePods(t.Context(), robot, o.id), apierror.ReasonForbidden, "system:serviceaccount:"+o.id+":robot")
}

// Processes that find a key old at the same time make one new key.
func TestKeysRotateOnceOnACluster(t *testing.T) {
	o := startOnCluster(t)
	set, err := o.keys.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		k := newKeyring(o.deps.Kube, o.cfg, o.deps.Log, newSignal())
		k.now = func() time.Time { return set.newest().from.Add(o.cfg.KeyRotation + time.Hour) }
		wg.Go(func() {
			if _, err := k.rotateIfDue(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	secret, err := o.api.CoreV1().Secrets(o.id).Get(t.Context(), "fairlead-signing-keys", kmetav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	after, err := parseKeys(secret.Data)
	if err != nil || len(after.byID) != 2 || after.byID[set.newest().id] == nil {
		t.Errorf("got %d keys, %v", len(after.byID), err)
	}
}
