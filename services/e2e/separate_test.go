// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fairlead.dev/services/build/images"
	"fairlead.dev/services/e2e/harness"
)

// separate are services in processes of their own, over an etcd and a NATS in another.
type separate struct {
	*harness.Services

	cfg    harness.ServerConfig
	client *http.Client
	token  string
	ns     string
	// outsiders come by certificates, whose authorities the processes are told of.
	outsiders *outsiders
}

// backing runs an etcd and a NATS in another process until the test ends.
func backing(t *testing.T, dir string) *harness.Backing {
	t.Helper()
	binary := filepath.Join(dir, "backing-binary")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/backing").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	shared, err := harness.StartBacking(t.Context(), binary, filepath.Join(dir, "backing"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.Stop(); err != nil {
			t.Error(err)
		}
	})
	return shared
}

// startSeparate starts seven processes and what they share.
func startSeparate(t *testing.T) *separate {
	t.Helper()
	dir := t.TempDir()
	shared := backing(t, dir)
	ports, err := harness.FreePorts(s.cluster.BridgeIP)
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := images.Push(t.Context(), images.Config{Registry: s.cluster.Registry, Insecure: true, Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	id := "sep-" + strings.TrimPrefix(s.id, "test-")
	cfg := harness.ServerConfig{
		Binary: filepath.Join(s.state, "bin"), Dir: filepath.Join(dir, "services"), Cluster: s.cluster,
		Installation: id, SystemNamespace: "fairlead-" + id + "-" + s.id, Ports: ports, StepImage: pushed[images.Step],
		Kubeconfig: filepath.Join(dir, "kubeconfig"), Token: filepath.Join(dir, "token"),
	}
	people := newOutsiders(t, dir)
	services, err := harness.StartServices(t.Context(), harness.ServicesConfig{
		Server: cfg, Etcd: shared.Etcd, NATS: shared.NATS, Flags: people.flags(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := services.Stop(); err != nil {
			t.Error(err)
		}
		out, err := exec.Command(harness.Kubectl(s.state), "--kubeconfig", s.cluster.Kubeconfig, "delete", "clusterrolebindings",
			"--selector", "fairlead.dev/installation="+id).CombinedOutput()
		if err != nil {
			t.Errorf("%v %s", err, out)
		}
	})
	return &separate{Services: services, cfg: cfg, client: clientOf(t, cfg), token: tokenOf(t, cfg), ns: namespace(t), outsiders: people}
}

// ask sends a request to the front door.
func (p *separate) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("https://127.0.0.1:%d%s", p.cfg.Ports.HTTPS, path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/yaml")
	res, err := p.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(data)
}

// eventually tries until it is done, and fails the test after a while.
func eventually(t *testing.T, within time.Duration, what string, try func() (bool, string)) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); ; <-tick.C {
		ok, last := try()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %s", what, within, last)
		}
	}
}

// apply applies documents, once the services that own them are there.
func (p *separate) apply(t *testing.T, docs string) {
	t.Helper()
	eventually(t, time.Minute, "apply", func() (bool, string) {
		code, text := p.ask(t, http.MethodPost, "/apply?namespace="+p.ns, docs)
		return code == http.StatusOK, text
	})
}

// routed asks the service through the router.
func (p *separate) routed(t *testing.T) {
	t.Helper()
	eventually(t, 2*time.Minute, "a request through the router", func() (bool, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", p.cfg.Ports.Router), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "web." + p.ns + ".localhost"
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, err.Error()
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode == http.StatusOK, string(text)
	})
}

// builds runs a build to its end.
func (p *separate) builds(t *testing.T, name, image string) {
	t.Helper()
	p.apply(t, fmt.Sprintf(`{"apiVersion":"build.knative.dev/v1alpha1","kind":"Build","metadata":{"name":%q},"spec":{"steps":[{"name":"s","image":%q,"args":["exit","0"]}]}}`, name, image))
	p.condition(t, "build.knative.dev/v1alpha1", "builds", name, "Succeeded")
}

// condition waits until a condition of an object is true.
func (p *separate) condition(t *testing.T, groupVersion, plural, name, kind string) {
	t.Helper()
	eventually(t, 2*time.Minute, kind+" of "+plural+" "+name, func() (bool, string) {
		code, text := p.ask(t, http.MethodGet, path(groupVersion, p.ns, plural, name), "")
		var o object
		return code == http.StatusOK && json.Unmarshal([]byte(text), &o) == nil && o.condition(kind).Status == "True", text
	})
}

// event has an event delivered to the service.
func (p *separate) event(t *testing.T, id string) {
	t.Helper()
	eventually(t, time.Minute, "an event is taken", func() (bool, string) {
		out, err := exec.CommandContext(t.Context(), "curl", "-sS", "--fail-with-body", fmt.Sprintf("http://127.0.0.1:%d/%s/default", p.cfg.Ports.Broker, p.ns),
			"-H", "Ce-Specversion: 1.0", "-H", "Ce-Id: "+id, "-H", "Ce-Type: t", "-H", "Ce-Source: e2e", "-H", "Content-Type: text/plain", "--data", "x").CombinedOutput()
		return err == nil, string(out)
	})
	waitLog(t, p.ns, "serving.knative.dev/service=web", id)
}

// TestSeparateProcesses runs each service as a process of its own: a service is routed, a build runs and an event arrives,
// before and after each of the processes was killed.
func TestSeparateProcesses(t *testing.T) {
	image := app(t)
	p := startSeparate(t)
	p.apply(t, goodService(image)+`
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: t}
spec:
  broker: default
  subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: web}}
`)
	p.condition(t, "eventing.knative.dev/v1", "triggers", "t", "Ready")
	t.Run("who calls", p.whoCalls)
	all := func(t *testing.T, round string) {
		t.Helper()
		p.routed(t)
		p.builds(t, "b-"+round, image)
		p.event(t, "event-"+round)
	}
	all(t, "first")
	// What the data plane goes on doing while those who program it are away.
	without := map[string]func(t *testing.T){
		"serving":  p.routed,
		"eventing": func(t *testing.T) { p.event(t, "event-without-eventing") },
		"build":    p.routed,
		"gateway":  p.routed,
		"auth":     p.routed,
	}
	for _, name := range harness.ServiceNames() {
		t.Run("killed "+name, func(t *testing.T) {
			if err := p.Kill(name); err != nil {
				t.Fatal(err)
			}
			if check := without[name]; check != nil {
				check(t)
			}
			if err := p.Start(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			all(t, "after-"+name)
		})
	}
}
