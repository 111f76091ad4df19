// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fairlead.dev/services/e2e/harness"
)

func gitURL(t *testing.T) string {
	t.Helper()
	return serveGit(t, map[string]string{"README": "a repository\n"})
}

// TestBuildsThatFail has each way in which a build goes wrong told by its condition.
func TestBuildsThatFail(t *testing.T) {
	ns := namespace(t)
	image := app(t)
	url := gitURL(t)
	cases := map[string]struct {
		spec   string
		reason string // a part of it
		says   []string
	}{
		"no such repository": {
			fmt.Sprintf(`{source: {git: {url: %q, revision: main}}, steps: [{image: %q, args: [exit, "0"]}]}`, strings.Replace(url, "repo.git", "none.git", 1), image),
			"Source", []string{"none.git"},
		},
		"no such revision": {
			fmt.Sprintf(`{source: {git: {url: %q, revision: no-such-branch}}, steps: [{image: %q, args: [exit, "0"]}]}`, url, image),
			"Source", []string{"no-such-branch"},
		},
		"an image that cannot be pulled": {
			fmt.Sprintf(`{steps: [{name: one, image: "%s/no/such:image"}]}`, s.cluster.Registry),
			"Image", []string{"no/such:image"},
		},
		"a step that fails": {
			fmt.Sprintf(`{steps: [{name: fine, image: %[1]q, args: [exit, "0"]}, {name: bad, image: %[1]q, args: [exit, "3"]}, {name: never, image: %[1]q, args: [exit, "0"]}]}`, image),
			"StepFailed", []string{"bad", "3"},
		},
		"a step that takes too long": {
			fmt.Sprintf(`{timeout: 5s, steps: [{name: slow, image: %q, args: [sleep]}]}`, image),
			"BuildTimeout", []string{"5s"},
		},
	}
	i := 0
	for name, tc := range cases {
		i++
		build := fmt.Sprintf("b%d", i)
		t.Run(name, func(t *testing.T) {
			apply(t, ns, "apiVersion: build.knative.dev/v1alpha1\nkind: Build\nmetadata: {name: "+build+"}\nspec: "+tc.spec+"\n")
			got := until(t, "build.knative.dev/v1alpha1", ns, "builds", build, 2*time.Minute, func(o object) bool {
				c := o.condition("Succeeded")
				return c.Status == "False" || c.Status == "True"
			}).condition("Succeeded")
			if got.Status != "False" || !strings.Contains(got.Reason, tc.reason) {
				t.Errorf("condition: %+v, want reason %s", got, tc.reason)
			}
			for _, text := range tc.says {
				if !strings.Contains(got.Message, text) {
					t.Errorf("the message does not name %q: %s", text, got.Message)
				}
			}
		})
	}
}

// TestBuildCancelled cancels a build that runs.
func TestBuildCancelled(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, fmt.Sprintf("apiVersion: build.knative.dev/v1alpha1\nkind: Build\nmetadata: {name: long}\nspec: {steps: [{image: %q, args: [sleep]}]}\n", app(t)))
	until(t, "build.knative.dev/v1alpha1", ns, "builds", "long", time.Minute, func(o object) bool {
		return o.condition("Succeeded").Status == "Unknown"
	})
	a := do(t, request{
		method: "PATCH", path: path("build.knative.dev/v1alpha1", ns, "builds", "long"),
		contentType: "application/merge-patch+json", body: `{"spec":{"status":"BuildCancelled"}}`,
	})
	if a.code != 200 {
		t.Fatalf("cancel: %d %s", a.code, a.body)
	}
	got := until(t, "build.knative.dev/v1alpha1", ns, "builds", "long", time.Minute, func(o object) bool {
		return o.condition("Succeeded").Status == "False"
	}).condition("Succeeded")
	if got.Reason != "BuildCancelled" {
		t.Errorf("reason: got %s, want BuildCancelled", got.Reason)
	}
}

// TestBuildSharesWorkspaceAndHome has steps hand on files, and the log tell what they print.
func TestBuildSharesWorkspaceAndHome(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, fmt.Sprintf(`apiVersion: build.knative.dev/v1alpha1
kind: Build
metadata: {name: share}
spec:
  source: {git: {url: %q, revision: main}}
  steps:
  - {name: write, image: %[2]q, args: [write, /builder/home/note, "kept at home"]}
  - {name: home, image: %[2]q, args: [cat, /builder/home/note]}
  - {name: source, image: %[2]q, args: [cat, README]}
`, gitURL(t), app(t)))
	got := until(t, "build.knative.dev/v1alpha1", ns, "builds", "share", 2*time.Minute, func(o object) bool {
		return o.condition("Succeeded").Status != "Unknown" && o.condition("Succeeded").Status != ""
	}).condition("Succeeded")
	if got.Status != "True" {
		t.Fatalf("condition: %+v", got)
	}
	log := do(t, request{method: "GET", path: path("build.knative.dev/v1alpha1", ns, "builds", "share", "log")})
	for _, text := range []string{"kept at home", "a repository"} {
		if !strings.Contains(string(log.body), text) {
			t.Errorf("the log lacks %q: %s", text, log.body)
		}
	}
}

// TestServicesThatFail has each way in which a service does not come up told by its condition.
func TestServicesThatFail(t *testing.T) {
	ns := namespace(t)
	image := app(t)
	cases := map[string]struct {
		annotations, container string
		says                   []string
	}{
		"no such image": {"{}", fmt.Sprintf(`{image: "%s/no/such:image"}`, s.cluster.Registry), []string{"no/such:image"}},
		"it crashes":    {"{}", fmt.Sprintf(`{image: %q, args: [crash]}`, image), []string{"7"}},
		"it never listens": {
			"{serving.knative.dev/progress-deadline: 8s}", fmt.Sprintf(`{image: %q, args: [deaf]}`, image), []string{"8s"},
		},
	}
	i := 0
	for name, tc := range cases {
		i++
		svc := fmt.Sprintf("s%d", i)
		t.Run(name, func(t *testing.T) {
			apply(t, ns, fmt.Sprintf("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: %s}\nspec: {template: {metadata: {annotations: %s}, spec: {containers: [%s]}}}\n",
				svc, tc.annotations, tc.container))
			got := until(t, "serving.knative.dev/v1", ns, "services", svc, 2*time.Minute, func(o object) bool {
				return o.condition("Ready").Status == "False"
			}).condition("Ready")
			for _, text := range tc.says {
				if !strings.Contains(got.Message, text) {
					t.Errorf("the message does not name %q: %+v", text, got)
				}
			}
			if code, body := get(t, svc+"."+ns+".localhost", "/"); code != 503 && code != 404 {
				t.Errorf("the router answered %d %s, want 503 or 404", code, body)
			}
		})
	}
}

// TestTriggerWhoseSubscriberIsDown has events wait, the condition tell why, and delivery happen once it is there.
func TestTriggerWhoseSubscriberIsDown(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, `apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: t}
spec:
  broker: default
  subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: late}}
`)
	until(t, "eventing.knative.dev/v1", ns, "brokers", "default", time.Minute, func(o object) bool { return o.condition("Ready").Status == "True" })
	got := until(t, "eventing.knative.dev/v1", ns, "triggers", "t", time.Minute, func(o object) bool {
		return o.condition("SubscriberResolved").Status == "False"
	}).condition("SubscriberResolved")
	if !strings.Contains(got.Message, "late") {
		t.Errorf("the message does not name the subscriber: %+v", got)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/%s/default", s.server.Config().Ports.Broker, ns)
	out, err := exec.CommandContext(t.Context(), "curl", "-sS", "--fail-with-body", url, "-H", "Ce-Specversion: 1.0", "-H", "Ce-Id: waits-1",
		"-H", "Ce-Type: t", "-H", "Ce-Source: e2e", "-H", "Content-Type: text/plain", "--data", "for later").CombinedOutput()
	if err != nil {
		t.Fatalf("post: %v %s", err, out)
	}
	apply(t, ns, strings.Replace(goodService(app(t)), `"name":"web"`, `"name":"late"`, 1))
	until(t, "eventing.knative.dev/v1", ns, "triggers", "t", 2*time.Minute, func(o object) bool { return o.condition("Ready").Status == "True" })
	waitLog(t, ns, "serving.knative.dev/service=late", "waits-1")
}

// TestTriggerWhoseSubscriberDoesNotAnswer has events wait while nobody listens at the subscriber's address, the
// condition say so, and the event arrive once somebody does.
func TestTriggerWhoseSubscriberDoesNotAnswer(t *testing.T) {
	ns := namespace(t)
	listener, err := net.Listen("tcp", net.JoinHostPort(s.cluster.BridgeIP, "0"))
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	apply(t, ns, fmt.Sprintf(`apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: t}
spec:
  broker: default
  subscriber: {uri: "http://%s/"}
  delivery: {retry: 1000, backoffPolicy: linear, backoffDelay: PT0.2S}
`, address))
	until(t, "eventing.knative.dev/v1", ns, "triggers", "t", time.Minute, func(o object) bool { return o.condition("Ready").Status == "True" })
	url := fmt.Sprintf("http://127.0.0.1:%d/%s/default", s.server.Config().Ports.Broker, ns)
	out, err := exec.CommandContext(t.Context(), "curl", "-sS", "--fail-with-body", url, "-H", "Ce-Specversion: 1.0", "-H", "Ce-Id: waits-2",
		"-H", "Ce-Type: t", "-H", "Ce-Source: e2e", "-H", "Content-Type: text/plain", "--data", "for later").CombinedOutput()
	if err != nil {
		t.Fatalf("post: %v %s", err, out)
	}
	got := until(t, "eventing.knative.dev/v1", ns, "triggers", "t", time.Minute, func(o object) bool {
		return o.condition("Delivering").Status == "False"
	}).condition("Delivering")
	if !strings.Contains(got.Message, "refused") {
		t.Errorf("the message does not say why: %+v", got)
	}
	if listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	arrived := make(chan string, 10)
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.Header.Get("Ce-Id") })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	select {
	case id := <-arrived:
		if id != "waits-2" {
			t.Errorf("event %q arrived, not the one that waited", id)
		}
	case <-time.After(time.Minute):
		t.Fatal("the event did not arrive within a minute of somebody listening")
	}
	until(t, "eventing.knative.dev/v1", ns, "triggers", "t", time.Minute, func(o object) bool { return o.condition("Delivering").Status != "False" })
}

// waitLog follows the logs of the pods that a selector chooses until one says text.
func waitLog(t *testing.T, ns, selector, text string) {
	t.Helper()
	var out []byte
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		out, _ = exec.CommandContext(t.Context(), harness.Kubectl(s.state), "--kubeconfig", s.cluster.Kubeconfig, "--namespace", ns, "logs", "--selector", selector, "--all-containers").CombinedOutput()
		if strings.Contains(string(out), text) {
			return
		}
	}
	t.Fatalf("no pod of %s said %q: %s", selector, text, out)
}

// TestObjectsGoWithTheirNamespace deletes a namespace with a service in it: our objects go, and the namespace can.
func TestObjectsGoWithTheirNamespace(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, goodService(app(t)))
	until(t, "serving.knative.dev/v1", ns, "services", "web", time.Minute, func(o object) bool { return o.condition("Ready").Status == "True" })
	if out, err := kubectl(t, "", "delete", "namespace", ns, "--timeout=90s"); err != nil {
		t.Fatalf("delete: %v %s", err, out)
	}
	for _, plural := range []string{"services", "configurations", "routes", "revisions"} {
		var list struct{ Items []object }
		for deadline := time.Now().Add(20 * time.Second); ; {
			a := do(t, request{method: "GET", path: path("serving.knative.dev/v1", ns, plural)})
			if err := json.Unmarshal(a.body, &list); err != nil {
				t.Fatalf("%d %s", a.code, a.body)
			}
			if len(list.Items) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s are left: %s", plural, a.body)
			}
		}
	}
	a := do(t, request{method: "POST", path: path("serving.knative.dev/v1", ns, "services"), body: goodService(app(t)), contentType: "application/json"})
	if a.code != 404 {
		t.Errorf("a service in the namespace that is gone: %d %s, want 404", a.code, a.body)
	}
}
