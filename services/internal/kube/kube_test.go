// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package kube_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"fairlead.dev/services/internal/kube"
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"} //nolint:gochecknoglobals // a constant

// newClient makes a client of an installation, running until the test ends.
func newClient(t *testing.T, installation string) *kube.Client {
	t.Helper()
	return newClientAs(t, installation, "fairlead-test")
}

// newClientAs makes one that writes under a field manager.
func newClientAs(t *testing.T, installation, component string) *kube.Client {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("FAIRLEAD_CLUSTER_KUBECONFIG"))
	if err != nil {
		t.Fatalf("FAIRLEAD_CLUSTER_KUBECONFIG: %v", err)
	}
	c, err := kube.NewClient(config, kube.Options{Installation: installation, Component: component, SystemNamespace: "default", Log: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return c
}

func newNamespace(t *testing.T, c *kube.Client) string {
	t.Helper()
	ns, err := c.Clientset().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: kmetav1.ObjectMeta{GenerateName: "kube-test-"}}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Clientset().CoreV1().Namespaces().Delete(context.Background(), ns.Name, kmetav1.DeleteOptions{}); err != nil {
			t.Errorf("delete namespace: %v", err)
		}
	})
	return ns.Name
}

func owner(ns, name string) kube.Owner {
	return kube.Owner{Group: "serving.knative.dev", Version: "v1", Kind: "Revision", Namespace: ns, Name: name, UID: uuid.NewString()}
}

func configMap(ns, name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: kmetav1.ObjectMeta{Namespace: ns, Name: name}, Data: map[string]string{"k": value}}
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}

// TestOwnership applies objects for owners of two installations: each sees its own only, and prunes what an earlier owner
// of the same name left, and nothing else.
func TestOwnership(t *testing.T) {
	a, b := newClient(t, "a-"+uuid.NewString()[:8]), newClient(t, "b-"+uuid.NewString()[:8])
	ns := newNamespace(t, a)
	earlier, now := owner(ns, "web"), owner(ns, "web")
	for _, c := range []*kube.Client{a, b} {
		if err := c.Synced(t.Context(), configMaps); err != nil {
			t.Fatal(err)
		}
	}
	apply := func(c *kube.Client, o kube.Owner, name, value string) {
		t.Helper()
		if _, err := c.Apply(t.Context(), o, configMap(ns, name, value)); err != nil {
			t.Fatal(err)
		}
	}
	apply(a, earlier, "old", "1")
	apply(a, now, "new", "1")
	apply(b, earlier, "theirs", "1")
	owned := func(c *kube.Client) string {
		objs, err := c.Owned(configMaps, now)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, o := range objs {
			names[o.GetName()] = true
		}
		return fmt.Sprint(names)
	}
	eventually(t, "a sees its two", func() bool { return owned(a) == fmt.Sprint(map[string]bool{"old": true, "new": true}) })
	eventually(t, "b sees its one", func() bool { return owned(b) == fmt.Sprint(map[string]bool{"theirs": true}) })
	if err := a.Prune(t.Context(), configMaps, now); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the earlier owner's is gone", func() bool { return owned(a) == fmt.Sprint(map[string]bool{"new": true}) })
	if got := owned(b); got != fmt.Sprint(map[string]bool{"theirs": true}) {
		t.Errorf("the other installation's objects were touched: %s", got)
	}
	now.UID = ""
	if err := a.Prune(t.Context(), configMaps, now); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are gone", func() bool { return owned(a) == "map[]" })
}

// TestApplyPutsDriftRight has a change by another hand undone by the next apply, and what others added kept.
func TestApplyPutsDriftRight(t *testing.T) {
	c := newClient(t, "drift-"+uuid.NewString()[:8])
	ns := newNamespace(t, c)
	o := owner(ns, "web")
	if _, err := c.Apply(t.Context(), o, configMap(ns, "cm", "ours")); err != nil {
		t.Fatal(err)
	}
	maps := c.Clientset().CoreV1().ConfigMaps(ns)
	cm, err := maps.Get(t.Context(), "cm", kmetav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cm.Data = map[string]string{"k": "theirs", "more": "kept"}
	if _, err := maps.Update(t.Context(), cm, kmetav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Apply(t.Context(), o, configMap(ns, "cm", "ours")); err != nil {
		t.Fatal(err)
	}
	if cm, err = maps.Get(t.Context(), "cm", kmetav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if cm.Data["k"] != "ours" || cm.Data["more"] != "kept" {
		t.Errorf("data: got %v, want ours put back and theirs kept", cm.Data)
	}
}

// TestNamespaceStates has namespaces told apart that are there, are ending and are absent.
func TestNamespaceStates(t *testing.T) {
	c := newClient(t, "ns-"+uuid.NewString()[:8])
	ns := newNamespace(t, c)
	is := func(name string, want kube.NamespaceState) func() bool {
		return func() bool {
			got, err := c.State(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			return got == want
		}
	}
	if !is(ns, kube.NamespaceActive)() {
		t.Error("a new namespace is not seen as active")
	}
	if !is("no-such-namespace", kube.NamespaceAbsent)() {
		t.Error("an absent namespace is seen as there")
	}
	ending, err := c.Clientset().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: kmetav1.ObjectMeta{
		GenerateName: "kube-test-", Finalizers: []string{"fairlead.dev/test"},
	}}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Clientset().CoreV1().Namespaces().Delete(t.Context(), ending.Name, kmetav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an ending namespace is seen as such", is(ending.Name, kube.NamespaceTerminating))
	if ending, err = c.Clientset().CoreV1().Namespaces().Get(t.Context(), ending.Name, kmetav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	ending.Finalizers = nil
	if _, err := c.Clientset().CoreV1().Namespaces().Update(t.Context(), ending, kmetav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestEvents has an event of an object of ours stand where kubectl describe looks for it.
func TestEvents(t *testing.T) {
	c := newClient(t, "ev-"+uuid.NewString()[:8])
	ns := newNamespace(t, c)
	if err := c.Synced(t.Context(), kube.Namespaces); err != nil {
		t.Fatal(err)
	}
	o := owner(ns, "web")
	eventually(t, "the event", func() bool {
		c.Event(o, corev1.EventTypeWarning, "Broken", "it is broken; mend it")
		list, err := c.Clientset().CoreV1().Events(ns).List(t.Context(), kmetav1.ListOptions{FieldSelector: "involvedObject.uid=" + o.UID})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Items) == 1 && list.Items[0].Reason == "Broken" && list.Items[0].InvolvedObject.Kind == "Revision"
	})
}

// TestOneInformerAResource has all who ask share one.
func TestOneInformerAResource(t *testing.T) {
	c := newClient(t, "inf-"+uuid.NewString()[:8])
	var all []cache.SharedIndexInformer
	for range 3 {
		i, err := c.Informer(kube.Pods)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, i)
	}
	if all[0].GetIndexer() != all[1].GetIndexer() || all[1].GetIndexer() != all[2].GetIndexer() {
		t.Error("the same resource has several informers")
	}
}
