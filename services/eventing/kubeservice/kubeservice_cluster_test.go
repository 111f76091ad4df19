// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package kubeservice_test

import (
	"context"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/store"

	"fairlead.dev/services/eventing/kubeservice"
)

func TestServicesComeAndGo(t *testing.T) {
	path := os.Getenv("FAIRLEAD_CLUSTER_KUBECONFIG")
	if path == "" {
		t.Fatal("FAIRLEAD_CLUSTER_KUBECONFIG names no cluster")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(config)
	ns, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: kmetav1.ObjectMeta{GenerateName: "eventing-test-"}}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.CoreV1().Namespaces().Delete(context.Background(), ns.Name, kmetav1.DeleteOptions{})
	})

	k, err := kube.NewClient(config, kube.Options{Installation: ns.Name, Component: "fairlead-test"})
	if err != nil {
		t.Fatal(err)
	}
	services := kubeservice.New(k)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	defer func() {
		services.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	key := store.Key{Namespace: ns.Name, Name: "web"}
	changes := make(chan store.Key, 1000)
	services.Subscribe(ctx, func(k store.Key) {
		if k == key {
			changes <- k
		}
	})
	exists := func(want bool) {
		t.Helper()
		if got, err := services.Exists(ctx, key); err != nil || got != want {
			t.Errorf("exists: got %t, %v, want %t", got, err, want)
		}
	}
	changed := func() {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(20 * time.Second):
			t.Fatal("nobody was told")
		}
	}
	exists(false)
	for name, labels := range map[string]map[string]string{"somebody's": nil, "ours": {kube.LabelInstallation: k.Installation()}} {
		_, err = client.CoreV1().Services(ns.Name).Create(ctx, &corev1.Service{
			ObjectMeta: kmetav1.ObjectMeta{Name: key.Name, Labels: labels},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
		}, kmetav1.CreateOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		changed()
		exists(true)
		if err := client.CoreV1().Services(ns.Name).Delete(ctx, key.Name, kmetav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		changed()
		exists(false)
	}
}
