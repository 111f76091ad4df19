// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package kn_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/e2e/inprocess"
	"fairlead.dev/services/e2e/kn"
	"fairlead.dev/services/internal/store/gc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 30 * time.Second

// start runs a server with a garbage collector, and returns what asks it as kn does, within a time.
func start(t *testing.T) (context.Context, *kn.Client) {
	t.Helper()
	server := inprocess.Start(t)
	front := httptest.NewServer(server.Handler)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	client := &http.Client{}
	var wg sync.WaitGroup
	wg.Go(func() { _ = gc.Run(ctx, server.Store, kinds.All(), slog.New(slog.DiscardHandler)) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		client.CloseIdleConnections()
		front.CloseClientConnections()
		front.Close()
	})
	return ctx, &kn.Client{URL: front.URL, Token: server.Admin, Namespace: "shop", HTTP: client}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// report writes a status as the controller does.
func report(ctx context.Context, c *kn.Client, group, resource, name string, status kn.Object) error {
	obj, err := c.Get(ctx, group, resource, name)
	if err != nil {
		return err
	}
	status = maps.Clone(status)
	if status["observedGeneration"] == nil {
		status["observedGeneration"] = kn.At(obj, "metadata", "generation")
	}
	obj["status"] = status
	_, err = c.Do(ctx, http.MethodPut, c.Path(group, resource, name)+"/status", nil, "application/json", obj)
	return err
}

func TestServiceCreate(t *testing.T) {
	ctx, c := start(t)
	made := must[kn.Object](t)(c.CreateService(ctx, kn.Service("shop", "web", "registry.test/web"), false))
	if got := kn.At(made, "kind"); got != "Service" || kn.At(made, "apiVersion") != kn.Serving {
		t.Errorf("a created object is a %v", got)
	}
	if _, err := c.CreateService(ctx, kn.Service("shop", "web", "registry.test/web"), false); !kn.IsReason(err, kmetav1.StatusReasonAlreadyExists) {
		t.Errorf("a second one: %v, want AlreadyExists", err)
	}
	forced := must[kn.Object](t)(c.CreateService(ctx, kn.Service("shop", "web", "registry.test/other"), true))
	if kn.Container(forced)["image"] != "registry.test/other" || kn.At(forced, "metadata", "uid") != kn.At(made, "metadata", "uid") {
		t.Errorf("--force made %v", forced)
	}
	c.Namespace = inprocess.Missing
	if _, err := c.CreateService(ctx, kn.Service(c.Namespace, "web", "registry.test/web"), false); !kn.IsReason(err, kmetav1.StatusReasonNotFound) {
		t.Errorf("in a namespace that does not exist: %v, want NotFound", err)
	}
}

// TestServiceWait has the controller say what it says on the way: of an older generation, unknown, and then ready.
func TestServiceWait(t *testing.T) {
	ctx, c := start(t)
	must[kn.Object](t)(c.CreateService(ctx, kn.Service("shop", "web", "registry.test/web"), false))
	waited := make(chan error, 1)
	go func() { waited <- c.WaitReady(ctx, kn.Serving, "services", "web") }()
	condition := func(status string) []any { return []any{kn.Object{"type": "Ready", "status": status}} }
	for _, status := range []kn.Object{
		{"observedGeneration": 0, "conditions": condition("True")}, {"conditions": condition("Unknown")}, {"conditions": condition("True")},
	} {
		select {
		case err := <-waited:
			t.Fatalf("kn waits no longer: %v", err)
		default:
		}
		done(t, report(ctx, c, kn.Serving, "services", "web", status))
	}
	done(t, <-waited)
	done(t, report(ctx, c, kn.Serving, "services", "web", kn.Object{"conditions": []any{kn.Object{"type": "Ready", "status": "False", "reason": "NoImage", "message": "there is none"}}}))
	if err := c.WaitReady(ctx, kn.Serving, "services", "web"); err == nil || !strings.Contains(err.Error(), "NoImage") {
		t.Errorf("of a service that cannot become ready kn hears %v", err)
	}
}

func TestServiceUpdate(t *testing.T) {
	ctx, c := start(t)
	must[kn.Object](t)(c.CreateService(ctx, kn.Service("shop", "web", "registry.test/web"), false))
	for i, tc := range []struct {
		reason string
		change func(kn.Object)
		says   func(kn.Object) any
		want   any
	}{
		{"--image", func(s kn.Object) { kn.Container(s)["image"] = "registry.test/web:2" }, func(s kn.Object) any { return kn.Container(s)["image"] }, "registry.test/web:2"},
		{
			"--env", func(s kn.Object) { kn.Container(s)["env"] = []any{kn.Object{"name": "A", "value": "b"}} },
			func(s kn.Object) any { return kn.Container(s)["env"] }, []any{kn.Object{"name": "A", "value": "b"}},
		},
		{"--concurrency-limit", func(s kn.Object) { kn.Child(s, "spec", "template", "spec")["containerConcurrency"] = 7 }, func(s kn.Object) any {
			return kn.At(s, "spec", "template", "spec", "containerConcurrency")
		}, 7.0},
		{"--scale 1..5", func(s kn.Object) {
			a := kn.Child(s, "spec", "template", "metadata", "annotations")
			a["autoscaling.knative.dev/min-scale"], a["autoscaling.knative.dev/max-scale"] = "1", "5"
		}, func(s kn.Object) any {
			return kn.At(s, "spec", "template", "metadata", "annotations", "autoscaling.knative.dev/max-scale")
		}, "5"},
		{"--traffic @latest=90,web-00001=10 --tag web-00001=old", func(s kn.Object) {
			kn.Child(s, "spec")["traffic"] = []any{kn.Object{"latestRevision": true, "percent": 90}, kn.Object{"revisionName": "web-00001", "percent": 10, "tag": "old"}}
		}, func(s kn.Object) any { return kn.At(s, "spec", "traffic") }, []any{
			kn.Object{"latestRevision": true, "percent": 90.0},
			kn.Object{"revisionName": "web-00001", "percent": 10.0, "tag": "old", "latestRevision": false},
		}},
		{"--untag old", func(s kn.Object) {
			traffic, _ := kn.At(s, "spec", "traffic").([]any)
			delete(traffic[1].(kn.Object), "tag")
		}, func(s kn.Object) any {
			return kn.At(s, "spec", "traffic").([]any)[1].(kn.Object)["tag"]
		}, nil},
	} {
		after := must[kn.Object](t)(c.Update(ctx, kn.Serving, "services", "web", tc.change))
		if d := cmp.Diff(tc.want, tc.says(after)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.reason, d)
		}
		if got := kn.At(after, "metadata", "generation"); got != float64(i+2) {
			t.Errorf("%s: it is generation %v, want %d", tc.reason, got, i+2)
		}
	}
}

// TestServiceUpdateConflicts has somebody else write between kn's read and its write: twice, and then at every try.
func TestServiceUpdateConflicts(t *testing.T) {
	ctx, c := start(t)
	must[kn.Object](t)(c.CreateService(ctx, kn.Service("shop", "web", "registry.test/web"), false))
	other := *c
	writes, always := 0, false
	c.BeforeUpdate = func() {
		if writes++; writes <= 2 || always {
			must[kn.Object](t)(other.Update(ctx, kn.Serving, "services", "web", func(s kn.Object) { kn.Child(s, "metadata", "labels")["n"] = fmt.Sprint(writes) }))
		}
	}
	change := func(s kn.Object) { kn.Container(s)["image"] = "registry.test/web:2" }
	after := must[kn.Object](t)(c.Update(ctx, kn.Serving, "services", "web", change))
	if kn.Container(after)["image"] != "registry.test/web:2" || kn.At(after, "metadata", "labels", "n") != "2" || writes != 3 {
		t.Errorf("after %d tries: %v", writes, after)
	}
	always = true
	if _, err := c.Update(ctx, kn.Serving, "services", "web", change); !kn.IsReason(err, kmetav1.StatusReasonConflict) {
		t.Errorf("with a writer that never rests: %v, want Conflict", err)
	}
}

func TestServiceApply(t *testing.T) {
	ctx, c := start(t)
	service := kn.Service("shop", "web", "registry.test/web")
	kn.Container(service)["env"] = []any{kn.Object{"name": "A", "value": "b"}}
	for _, tc := range []struct {
		reason  string
		change  func()
		changed bool
	}{
		{"made", func() {}, true},
		{"the same", func() {}, false},
		{"another image", func() { kn.Container(service)["image"] = "registry.test/web:2" }, true},
		{"no environment any more", func() { delete(kn.Container(service), "env") }, true},
	} {
		tc.change()
		changed, err := c.ApplyService(ctx, service)
		if err != nil || changed != tc.changed {
			t.Fatalf("%s: changed %t, %v; want %t", tc.reason, changed, err, tc.changed)
		}
	}
	got := must[kn.Object](t)(c.Get(ctx, kn.Serving, "services", "web"))
	if kn.Container(got)["image"] != "registry.test/web:2" || kn.Container(got)["env"] != nil {
		t.Errorf("what was applied has become %v", kn.Container(got))
	}
	if kn.At(got, "spec", "traffic") == nil {
		t.Error("an apply took away what it never named")
	}
}

// revisions makes revisions as the controller of a service does.
func revisions(ctx context.Context, t *testing.T, c *kn.Client, service string, n int) {
	t.Helper()
	for i := range n {
		must[kn.Object](t)(c.Create(ctx, kn.Serving, "revisions", kn.Object{
			"apiVersion": kn.Serving, "kind": "Revision",
			"metadata": kn.Object{"name": fmt.Sprintf("%s-%05d", service, i+1), "labels": kn.Object{
				kn.LabelService: service, kn.LabelConfiguration: service, "serving.knative.dev/configurationGeneration": fmt.Sprint(i + 1),
			}},
			"spec": kn.Object{"containers": []any{kn.Object{"image": "registry.test/web"}}},
		}))
	}
}

func names(objs []kn.Object) []string {
	out := make([]string, len(objs))
	for i, o := range objs {
		out[i], _ = kn.At(o, "metadata", "name").(string)
	}
	return out
}

func TestDescribeAndList(t *testing.T) {
	ctx, c := start(t)
	for _, name := range []string{"a", "b", "c", "web"} {
		must[kn.Object](t)(c.CreateService(ctx, kn.Service("shop", name, "registry.test/web"), false))
	}
	revisions(ctx, t, c, "web", 3)
	revisions(ctx, t, c, "other", 1)
	if d := cmp.Diff([]string{"a", "b", "c", "web"}, names(must[[]kn.Object](t)(c.List(ctx, kn.Serving, "services", "", 2)))); d != "" {
		t.Errorf("service list, in chunks of two (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"web-00001", "web-00002", "web-00003"}, names(must[[]kn.Object](t)(c.Revisions(ctx, "web")))); d != "" {
		t.Errorf("revision list -s web (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"web-00002"}, names(must[[]kn.Object](t)(c.BaseRevision(ctx, "web", 2)))); d != "" {
		t.Errorf("the revision of a generation (-want +got):\n%s", d)
	}
	for resource, name := range map[string]string{"revisions": "web-00002", "services": "web"} {
		if got := must[kn.Object](t)(c.Get(ctx, kn.Serving, resource, name)); kn.At(got, "apiVersion") != kn.Serving || kn.At(got, "kind") == nil {
			t.Errorf("describe: kn cannot tell what %v is", got)
		}
	}
	must[kn.Object](t)(c.Create(ctx, kn.Serving, "routes", kn.Object{
		"apiVersion": kn.Serving, "kind": "Route", "metadata": kn.Object{"name": "web"},
		"spec": kn.Object{"traffic": []any{kn.Object{"configurationName": "web", "percent": 100}}},
	}))
	if got := names(must[[]kn.Object](t)(c.List(ctx, kn.Serving, "routes", "", 500))); !slices.Contains(got, "web") {
		t.Errorf("route list: %v", got)
	}
	for _, resource := range []string{"services", "revisions", "routes", "configurations"} {
		if _, err := c.Get(ctx, kn.Serving, resource, "none"); !kn.IsReason(err, kmetav1.StatusReasonNotFound) || !strings.Contains(err.Error(), `"none" not found`) {
			t.Errorf("%s that do not exist: %v", resource, err)
		}
	}
}

func TestDelete(t *testing.T) {
	ctx, c := start(t)
	must[kn.Object](t)(c.CreateService(ctx, kn.Service("shop", "web", "registry.test/web"), false))
	owner := must[kn.Object](t)(c.Get(ctx, kn.Serving, "services", "web"))
	must[kn.Object](t)(c.Create(ctx, kn.Serving, "configurations", kn.Object{
		"apiVersion": kn.Serving, "kind": "Configuration",
		"metadata": kn.Object{"name": "web", "ownerReferences": []any{kn.Object{
			"apiVersion": kn.Serving, "kind": "Service", "name": "web", "uid": kn.At(owner, "metadata", "uid"), "controller": true, "blockOwnerDeletion": true,
		}}},
		"spec": kn.Object{"template": kn.At(owner, "spec", "template")},
	}))
	done(t, c.Delete(ctx, kn.Serving, "services", "web", true))
	for _, resource := range []string{"services", "configurations"} {
		if _, err := c.Get(ctx, kn.Serving, resource, "web"); !kn.IsReason(err, kmetav1.StatusReasonNotFound) {
			t.Errorf("%s after delete --wait: %v, want NotFound", resource, err)
		}
	}
	if err := c.Delete(ctx, kn.Serving, "services", "web", true); !kn.IsReason(err, kmetav1.StatusReasonNotFound) {
		t.Errorf("deleted again: %v, want NotFound", err)
	}
}

func TestRevisionDeletePrune(t *testing.T) {
	ctx, c := start(t)
	must[kn.Object](t)(c.CreateService(ctx, kn.Service("shop", "web", "registry.test/web"), false))
	revisions(ctx, t, c, "web", 4)
	done(t, report(ctx, c, kn.Serving, "services", "web", kn.Object{
		"latestReadyRevisionName": "web-00004", "latestCreatedRevisionName": "web-00004",
		"traffic": []any{kn.Object{"revisionName": "web-00002", "percent": 100}},
	}))
	if d := cmp.Diff([]string{"web-00001", "web-00003"}, must[[]string](t)(c.Prune(ctx, "web"))); d != "" {
		t.Errorf("revision delete --prune (-want +got):\n%s", d)
	}
	done(t, c.Delete(ctx, kn.Serving, "revisions", "web-00002", false))
	if d := cmp.Diff([]string{"web-00004"}, names(must[[]kn.Object](t)(c.Revisions(ctx, "web")))); d != "" {
		t.Errorf("what is left (-want +got):\n%s", d)
	}
}

// TestExportImport takes a service with its revisions to another namespace.
func TestExportImport(t *testing.T) {
	ctx, c := start(t)
	must[kn.Object](t)(c.CreateService(ctx, kn.Service("shop", "web", "registry.test/web"), false))
	revisions(ctx, t, c, "web", 2)
	service := must[kn.Object](t)(c.Get(ctx, kn.Serving, "services", "web"))
	exported := kn.Object{"apiVersion": kn.Serving, "kind": "Service", "metadata": kn.Object{"name": "web", "creationTimestamp": nil}, "spec": service["spec"], "status": kn.Object{}}
	var older []kn.Object
	for _, r := range must[[]kn.Object](t)(c.Revisions(ctx, "web")) {
		older = append(older, kn.Object{
			"apiVersion": kn.Serving, "kind": "Revision", "spec": r["spec"], "status": kn.Object{},
			"metadata": kn.Object{"name": kn.At(r, "metadata", "name"), "labels": kn.At(r, "metadata", "labels"), "annotations": kn.Object{}, "creationTimestamp": nil},
		})
	}
	c.Namespace = "elsewhere"
	must[kn.Object](t)(c.Create(ctx, kn.Serving, "services", exported))
	for _, r := range older {
		must[kn.Object](t)(c.Create(ctx, kn.Serving, "revisions", r))
	}
	got := must[kn.Object](t)(c.Update(ctx, kn.Serving, "services", "web", func(s kn.Object) {
		kn.Child(s, "spec")["traffic"] = []any{kn.Object{"revisionName": "web-00001", "percent": 100}}
	}))
	if d := cmp.Diff(kn.At(service, "spec", "template"), kn.At(got, "spec", "template")); d != "" {
		t.Errorf("what was imported differs (-want +got):\n%s", d)
	}
	if len(must[[]kn.Object](t)(c.Revisions(ctx, "web"))) != 2 {
		t.Error("revisions were lost on the way")
	}
}

func TestBrokersAndTriggers(t *testing.T) {
	ctx, c := start(t)
	broker := kn.Object{"apiVersion": kn.Eventing, "kind": "Broker", "metadata": kn.Object{"name": "default", "namespace": "shop", "creationTimestamp": nil}, "spec": kn.Object{}, "status": kn.Object{"address": kn.Object{}}}
	must[kn.Object](t)(c.Create(ctx, kn.Eventing, "brokers", broker))
	must[kn.Object](t)(c.CreateService(ctx, kn.Service("shop", "sink", "registry.test/web"), false))
	must[kn.Object](t)(c.Get(ctx, kn.Serving, "services", "sink")) // --sink ksvc:sink is looked up first
	trigger := kn.Object{
		"apiVersion": kn.Eventing, "kind": "Trigger", "metadata": kn.Object{"name": "orders", "namespace": "shop", "creationTimestamp": nil},
		"spec": kn.Object{
			"broker": "default", "filter": kn.Object{"attributes": kn.Object{"type": "order"}},
			"subscriber": kn.Object{"ref": kn.Object{"kind": "Service", "namespace": "shop", "name": "sink", "apiVersion": kn.Serving}},
		},
		"status": kn.Object{},
	}
	must[kn.Object](t)(c.Create(ctx, kn.Eventing, "triggers", trigger))
	after := must[kn.Object](t)(c.Update(ctx, kn.Eventing, "triggers", "orders", func(o kn.Object) {
		kn.Child(o, "spec", "filter", "attributes")["source"] = "shop"
	}))
	if d := cmp.Diff(kn.Object{"type": "order", "source": "shop"}, kn.At(after, "spec", "filter", "attributes")); d != "" {
		t.Errorf("trigger update --filter (-want +got):\n%s", d)
	}
	for resource, name := range map[string]string{"triggers": "orders", "brokers": "default"} {
		if d := cmp.Diff([]string{name}, names(must[[]kn.Object](t)(c.List(ctx, kn.Eventing, resource, "", 500)))); d != "" {
			t.Errorf("list of %s (-want +got):\n%s", resource, d)
		}
		must[kn.Object](t)(c.Get(ctx, kn.Eventing, resource, name))
		done(t, c.Delete(ctx, kn.Eventing, resource, name, true))
		if _, err := c.Get(ctx, kn.Eventing, resource, name); !kn.IsReason(err, kmetav1.StatusReasonNotFound) {
			t.Errorf("%s after delete --wait: %v", resource, err)
		}
	}
}

// TestWhatIsNotThere has kn and tkn ask for what this server does not serve: they go by the code and reason of the answer.
func TestWhatIsNotThere(t *testing.T) {
	ctx, c := start(t)
	for _, path := range []string{
		"/apis/eventing.knative.dev/v1/namespaces/shop/eventpolicies", "/apis/serving.knative.dev/v1/namespaces/shop/domainmappings",
		"/apis/serving.knative.dev/v9",
	} {
		if _, err := c.Do(ctx, http.MethodGet, path, nil, "", nil); !kn.IsReason(err, kmetav1.StatusReasonNotFound) {
			t.Errorf("%s: %v, want NotFound", path, err)
		}
	}
	group := must[kn.Object](t)(c.Do(ctx, http.MethodGet, "/apis/serving.knative.dev/v1", nil, "", nil))
	resources, _ := group["resources"].([]any)
	if len(resources) < 4 || kn.At(group, "kind") != "APIResourceList" {
		t.Errorf("discovery: %v", group)
	}
}
