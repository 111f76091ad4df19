// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package server_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fairlead.dev/services/internal/store/etcdtest"
)

// TestReadinessFollowsEtcd pauses and kills etcd behind a server that serves: it says that it is not ready, and why, over
// HTTP and gRPC, and is ready again once etcd is.
func TestReadinessFollowsEtcd(t *testing.T) {
	etcd := etcdtest.StartProcess(t)
	r := newInstallation(t).start(t, "--etcd-endpoints", etcd.Endpoint())
	services := []string{"", "fairlead.build.v1.BuildService", "fairlead.auth.v1.TokenService"}
	all := func(want string) {
		t.Helper()
		for s, got := range r.health(services...) {
			if got != want {
				t.Errorf("health of %q is %s, want %s", s, got, want)
			}
		}
	}
	all("SERVING")
	for _, fault := range []struct {
		name        string
		begin, ends func()
	}{{"paused", etcd.Pause, etcd.Resume}, {"killed", etcd.Kill, etcd.Restart}} {
		fault.begin()
		r.until(10*time.Second, "unready with etcd "+fault.name, func() (bool, string) {
			code, text := r.get("/readyz", "")
			return code == http.StatusServiceUnavailable && strings.Contains(text, "etcd"), text
		})
		all("NOT_SERVING")
		if code, text := r.get("/readyz?verbose", ""); !strings.Contains(text, "[-]etcd failed: ") || !strings.Contains(text, "[+]kubernetes ok") {
			t.Errorf("etcd %s: %d %s", fault.name, code, text)
		}
		if code, text := r.get("/livez", ""); code != http.StatusOK {
			t.Errorf("etcd %s: not alive: %d %s", fault.name, code, text)
		}
		fault.ends()
		r.until(30*time.Second, "ready again after etcd was "+fault.name, func() (bool, string) {
			code, text := r.get("/readyz?verbose", "")
			return code == http.StatusOK, text
		})
		all("SERVING")
	}
}

// TestProfilesAreForThoseWhoMay asks for profiles and metrics at the front door and at the metrics address.
func TestProfilesAreForThoseWhoMay(t *testing.T) {
	r := newInstallation(t).start(t)
	reader := r.tokenOf("reader")
	for _, base := range []string{"http://" + r.http, "http://" + r.md} {
		for _, c := range []struct {
			reason, token string
			want          int
		}{
			{"nobody", "", 401},
			{"a forged token", "x.y.z", 401},
			{"no right", reader, 403},
			{"the administrator", r.token, 200},
		} {
			if code, text := r.ask(http.MethodGet, base+"/debug/pprof/goroutine?debug=1", c.token, ""); code != c.want {
				t.Errorf("%s: %s: %d %.300s, want %d", base, c.reason, code, text, c.want)
			}
		}
	}
	r.must(http.StatusCreated, http.MethodPost, "/apis/auth.fairlead.dev/v1/clusterroles", `{"metadata":{"name":"profiles"},"rules":[{"nonResourceURLs":["/debug/pprof/*"],"verbs":["get"]}]}`)
	r.must(http.StatusCreated, http.MethodPost, "/apis/auth.fairlead.dev/v1/clusterrolebindings",
		`{"metadata":{"name":"profiles"},"roleRef":{"apiGroup":"auth.fairlead.dev","kind":"ClusterRole","name":"profiles"},"subjects":[{"kind":"User","name":"reader"}]}`)
	r.until(10*time.Second, "allowed", func() (bool, string) {
		code, text := r.ask(http.MethodGet, "http://"+r.http+"/debug/pprof/heap?debug=1", reader, "")
		return code == http.StatusOK, text
	})
}

// span is what the test reads of a span.
type span struct {
	Name        string
	SpanContext struct{ TraceID, SpanID string }
	Parent      struct{ TraceID, SpanID string }
	Links       []struct {
		SpanContext struct{ TraceID, SpanID string }
	}
}

func spans(t *testing.T, file string) []span {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var all []span
	for line := range strings.Lines(string(data)) {
		var s span
		if json.Unmarshal([]byte(line), &s) == nil { // the last line may not be whole yet
			all = append(all, s)
		}
	}
	return all
}

// TestOneTraceFromRESTToTheReconcileRun creates an object and looks for the spans of what follows.
func TestOneTraceFromRESTToTheReconcileRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "spans.jsonl")
	i := newInstallation(t)
	r := i.start(t, "--trace-file", file)
	path := "/apis/eventing.knative.dev/v1/namespaces/" + i.namespace + "/brokers"
	r.must(http.StatusCreated, http.MethodPost, path, `{"apiVersion":"eventing.knative.dev/v1","kind":"Broker","metadata":{"name":"traced"}}`)
	r.until(20*time.Second, "traced", func() (bool, string) {
		all := spans(t, file)
		byID := map[string]span{}
		for _, s := range all {
			byID[s.SpanContext.SpanID] = s
		}
		for _, s := range all {
			if s.Name != "store create" {
				continue
			}
			var chain []string
			for at, ok := s, true; ok; at, ok = byID[at.Parent.SpanID] {
				if at.SpanContext.TraceID != s.SpanContext.TraceID {
					return false, "the spans are of several traces"
				}
				chain = append(chain, at.Name)
			}
			got := strings.Join(chain, " < ")
			want := "store create < fairlead.eventing.v1.BrokerService/Create < fairlead.eventing.v1.BrokerService/Create < POST brokers.eventing.knative.dev"
			if got != want {
				return false, got
			}
			for _, run := range all {
				for _, l := range run.Links {
					if l.SpanContext.TraceID == s.SpanContext.TraceID && strings.HasPrefix(run.Name, "reconcile ") {
						return true, ""
					}
				}
			}
			return false, "no reconcile run is linked to the request"
		}
		return false, "nothing was created"
	})
}

// TestTwoServersOnOneEtcd has two servers share an etcd: both serve, both routers have a table though one process leads,
// and what the one that ends held goes on in the other.
func TestTwoServersOnOneEtcd(t *testing.T) {
	etcd := etcdtest.StartProcess(t)
	i := newInstallation(t)
	a := i.start(t, "--etcd-endpoints", etcd.Endpoint())
	b := i.start(t, "--etcd-endpoints", etcd.Endpoint())
	brokers := "/apis/eventing.knative.dev/v1/namespaces/" + i.namespace + "/brokers"
	broker := func(name string) string {
		return `{"apiVersion":"eventing.knative.dev/v1","kind":"Broker","metadata":{"name":"` + name + `"}}`
	}
	reconciled := func(by *running, name string) {
		t.Helper()
		by.until(20*time.Second, "reconciled: "+name, func() (bool, string) {
			code, text := by.get(brokers+"/"+name, by.token)
			return code == http.StatusOK && strings.Contains(text, `"observedGeneration":1`), text
		})
	}
	a.must(http.StatusCreated, http.MethodPost, brokers, broker("of-a"))
	reconciled(b, "of-a")
	b.must(http.StatusCreated, http.MethodPost, brokers, broker("of-b"))
	reconciled(a, "of-b")
	if code, text := a.get(brokers, b.token); code != http.StatusOK {
		t.Errorf("a token of one server at the other: %d %s", code, text)
	}
	a.stop()
	b.must(http.StatusCreated, http.MethodPost, brokers, broker("after-a"))
	reconciled(b, "after-a")
	if code, text := b.get("/readyz?verbose", ""); code != http.StatusOK {
		t.Errorf("the one that is left: %d %s", code, text)
	}
}

// TestASecondServerOnTheSameFolderIsRefused keeps two servers from one embedded etcd.
func TestASecondServerOnTheSameFolderIsRefused(t *testing.T) {
	i := newInstallation(t)
	first := i.start(t)
	cmd := i.command(t, &running{dir: first.dir, http: freeAddress(t), grpc: freeAddress(t), md: freeAddress(t)})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "another process uses") {
		t.Errorf("got %v, want a refusal", err)
	}
}

// TestAuditAndEncryptionByFlags has a change be in the audit log, with who made it and the request's id, and keys that are
// none be refused.
func TestAuditAndEncryptionByFlags(t *testing.T) {
	dir := t.TempDir()
	keys, log := filepath.Join(dir, "keys"), filepath.Join(dir, "audit.jsonl")
	if err := os.WriteFile(keys, []byte("1 MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := newInstallation(t)
	r := i.start(t, "--audit-log", log, "--encryption-keys", keys)
	r.must(http.StatusCreated, http.MethodPost, "/apis/eventing.knative.dev/v1/namespaces/"+i.namespace+"/brokers",
		`{"apiVersion":"eventing.knative.dev/v1","kind":"Broker","metadata":{"name":"audited"}}`)
	r.until(10*time.Second, "in the audit log", func() (bool, string) {
		data, err := os.ReadFile(log)
		if err != nil {
			return false, err.Error()
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, `"verb":"create"`) && strings.Contains(line, `"audited"`) && strings.Contains(line, `"admin"`) {
				return true, ""
			}
		}
		return false, string(data)
	})
	if err := os.WriteFile(keys, []byte("1 short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := i.command(t, &running{dir: t.TempDir(), http: freeAddress(t), grpc: freeAddress(t), md: freeAddress(t)}, "--encryption-keys", keys)
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("got %v, want the keys to be refused", err)
	}
}
