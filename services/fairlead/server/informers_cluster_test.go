// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/auth"
	"fairlead.dev/services/build"
	"fairlead.dev/services/eventing"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/namespaces"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/serving"
)

// watches notes the watches that are asked of kube-apiserver.
type watches struct {
	next http.RoundTripper

	mu    sync.Mutex
	count map[string]int // by path and selectors
}

// RoundTrip passes a request on.
func (w *watches) RoundTrip(r *http.Request) (*http.Response, error) {
	if q := r.URL.Query(); q.Get("watch") != "" {
		w.mu.Lock()
		w.count[strings.TrimSpace(r.URL.Path+" "+q.Get("labelSelector")+q.Get("fieldSelector"))]++
		w.mu.Unlock()
	}
	return w.next.RoundTrip(r)
}

func (w *watches) seen(installation string) map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]int{}
	for what, n := range w.count {
		out[strings.ReplaceAll(what, installation, "ID")] = n
	}
	return out
}

// TestInformers has all services in one process, and counts what they watch in the cluster: each resource once, of this
// installation's objects only. Of others, only namespaces and the names of Services are seen, those once too.
func TestInformers(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("FAIRLEAD_CLUSTER_KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	counted := &watches{count: map[string]int{}}
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { counted.next = rt; return counted })
	installation := fmt.Sprintf("informers-%d", time.Now().UnixNano())
	system := installation // made for the signing keys
	cluster, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.CoreV1().Namespaces().Delete(context.Background(), system, kmetav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
		mine := kmetav1.ListOptions{LabelSelector: kube.LabelInstallation + "=" + installation}
		if err := cluster.RbacV1().ClusterRoleBindings().DeleteCollection(context.Background(), kmetav1.DeleteOptions{}, mine); err != nil {
			t.Error(err)
		}
	})
	log := slog.New(slog.DiscardHandler)
	client := etcdtest.Start(t)
	s, err := store.New(client, store.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	k, err := kube.NewClient(config, kube.Options{Installation: installation, Component: "fairlead", SystemNamespace: system, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	authConfig := auth.DefaultConfig()
	authService, err := auth.New(authConfig, auth.Deps{Store: s, Etcd: client, Kube: k, Objects: k, Namespaces: k, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	buildConfig := build.DefaultConfig()
	buildConfig.StepImage = "registry.example.com/step"
	buildService, err := build.New(buildConfig, build.Deps{Store: s, Kube: k, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	servingService, err := serving.New(serving.DefaultConfig(), serving.Deps{Store: s, Kube: k, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	eventingConfig := eventing.DefaultConfig()
	eventingConfig.IngressURL = "http://127.0.0.1:1"
	eventingService, err := eventing.New(eventingConfig, eventing.Deps{Store: s, Kube: k, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for name, run := range map[string]func(context.Context) error{
		"store": s.Run, "kube": k.Run, "auth": authService.Run, "build": buildService.Run, "serving": servingService.Run, "eventing": eventingService.Run,
		"namespaces": func(ctx context.Context) error { return namespaces.Run(ctx, s, k, kinds.All(), log) },
	} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	// A subscriber that is a Service has eventing ask which there are.
	kind, _ := kinds.ByMessage((&eventingv1.Trigger{}).ProtoReflect().Descriptor().FullName())
	_, err = s.Create(ctx, kind, &eventingv1.Trigger{
		Metadata: &metav1.ObjectMeta{Namespace: "default", Name: "t"},
		Spec: &eventingv1.TriggerSpec{Broker: "none", Subscriber: &eventingv1.Destination{
			Ref: &eventingv1.KReference{ApiVersion: "v1", Kind: "Service", Namespace: "default", Name: "kubernetes"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const ours = " fairlead.dev/installation=ID"
	others := []string{ // what is seen besides this installation's objects
		"/api/v1/namespaces",                                                // objects of ours go with theirs
		"/api/v1/services fairlead.dev/installation!=ID",                    // subscribers: their names
		"/api/v1/namespaces/ID/secrets metadata.name=fairlead-signing-keys", // one object
	}
	want := append([]string{
		"/api/v1/pods" + ours, "/api/v1/services" + ours, "/apis/apps/v1/replicasets" + ours, "/apis/discovery.k8s.io/v1/endpointslices" + ours,
	}, others...)
	late := time.After(60 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, what := range want {
		for counted.seen(installation)[what] == 0 {
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("%s is not watched; what is: %v", what, counted.seen(installation))
			}
		}
	}
	for what, n := range counted.seen(installation) {
		if n != 1 {
			t.Errorf("%d watches of %s, want one", n, what)
		}
		if !strings.HasSuffix(what, ours) && !slices.Contains(others, what) {
			t.Errorf("%s is watched, which is not only this installation's", what)
		}
	}
}
