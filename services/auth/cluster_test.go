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

	rbacv1 "k8s.io/api/rbac/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
)

// realCluster is a Kubernetes as one installation sees it.
type realCluster struct {
	clientset kubernetes.Interface
	id        string
}

func (c realCluster) Clientset() kubernetes.Interface { return c.clientset }
func (c realCluster) Installation() string            { return c.id }
func (c realCluster) SystemNamespace() string         { return c.id }

// connect makes a client whose connections end with the test.
func connect(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(client.Transport) })
	clientset, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		t.Fatal(err)
	}
	return clientset
}

// What the made-up cluster only claims, on a real one: the Secret, the administrators' binding, and what reviews answer.
func TestOnACluster(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("FAIRLEAD_CLUSTER_KUBECONFIG"))
	if err != nil {
		t.Fatalf("FAIRLEAD_CLUSTER_KUBECONFIG: %v", err)
	}
	id := fmt.Sprintf("auth-test-%d", time.Now().UnixNano())
	cluster := realCluster{connect(t, config), id}
	api := cluster.Clientset()
	binding := "fairlead-admins-" + id
	t.Cleanup(func() {
		ctx := context.Background()
		_ = api.RbacV1().ClusterRoleBindings().Delete(ctx, binding, kmetav1.DeleteOptions{})
		_ = api.RbacV1().ClusterRoleBindings().Delete(ctx, id, kmetav1.DeleteOptions{})
		_ = api.CoreV1().Namespaces().Delete(ctx, id, kmetav1.DeleteOptions{})
	})
	client := etcdtest.Start(t)
	st, err := store.New(client, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{}, Deps{Store: st, Etcd: client, Kube: cluster})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	var wg sync.WaitGroup
	wg.Go(func() { _ = st.Run(ctx) })
	wg.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})

	token, err := s.AdminToken(ctx)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := s.Authenticator().Authenticate(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.CoreV1().Secrets(id).Get(ctx, "fairlead-signing-keys", kmetav1.GetOptions{}); err != nil {
		t.Error(err)
	}

	soon(t, func() bool {
		all, err := s.mayDoAllInCluster(ctx, admin)
		return err == nil && all
	})
	asAdmin := rest.CopyConfig(config)
	asAdmin.Impersonate = rest.ImpersonationConfig{UserName: "fairlead:admin", Groups: []string{"fairlead:admins"}}
	front := connect(t, asAdmin)
	if _, err := front.CoreV1().Nodes().List(ctx, kmetav1.ListOptions{}); err != nil {
		t.Errorf("the administrator is none in the cluster: %v", err)
	}

	eve := &rpc.Identity{User: "eve"}
	if all, err := s.mayDoAllInCluster(ctx, eve); err != nil || all {
		t.Errorf("eve: %v, %v", all, err)
	}
	group := "deployers-" + id
	_, err = api.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: kmetav1.ObjectMeta{Name: id},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "fairlead:" + group}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
	}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other := &rpc.Identity{User: "eve", Groups: []string{group}}
	if bound, err := s.exceedsInCluster(ctx, eve, other); err != nil || bound != "fairlead:"+group {
		t.Errorf("eve: %q, %v", bound, err)
	}
	if bound, err := s.exceedsInCluster(ctx, admin, other); err != nil || bound != "" {
		t.Errorf("admin: %q, %v", bound, err)
	}
}
