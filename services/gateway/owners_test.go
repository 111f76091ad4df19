// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"

	"fairlead.dev/services/gateway"
	"fairlead.dev/services/internal/audit"
)

const (
	partialCRD = `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":%q,"uid":"1","resourceVersion":"%d"}}`
	services   = "/apis/serving.knative.dev/v1/namespaces/default/services"
)

// knative is a cluster with a CRD of a group of ours, until it is told that it is gone.
type knative struct{ gone chan struct{} }

func (k knative) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	crd := fmt.Sprintf(partialCRD, "services.serving.knative.dev", 1)
	switch q := r.URL.Query(); {
	case r.URL.Path == "/apis":
		_, _ = io.WriteString(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"serving.knative.dev","versions":[{"groupVersion":"serving.knative.dev/v0","version":"v0"}]}]}`)
	case !strings.HasPrefix(r.URL.Path, "/apis/apiextensions.k8s.io/"):
		_, _ = io.WriteString(w, `{"kind":"Theirs","metadata":{"name":"x"}}`)
	case q.Get("sendInitialEvents") != "":
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`)
	case q.Get("watch") == "":
		_, _ = fmt.Fprintf(w, `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[%s,%s]}`,
			crd, fmt.Sprintf(partialCRD, "things.example.com", 1))
	default:
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-k.gone:
			_, _ = fmt.Fprintf(w, `{"type":"DELETED","object":%s}`+"\n", fmt.Sprintf(partialCRD, "services.serving.knative.dev", 2))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case <-r.Context().Done():
		}
	}
}

// startBeside starts a gateway, whole, in front of a cluster that has Knative's CRD of Services.
func startBeside(t *testing.T, wins string) (*fixture, knative) {
	t.Helper()
	k := knative{gone: make(chan struct{})}
	cluster := httptest.NewServer(k)
	var cfg gateway.Config
	var deps gateway.Deps
	f := startWith(t, (*audit.Log)(nil), func(c *gateway.Config, d *gateway.Deps) { cfg, deps = *c, *d })
	cfg.OwnGroups, deps.Metrics, deps.Cluster = wins, prometheus.NewRegistry(), &rest.Config{Host: cluster.URL}
	g, err := gateway.New(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx, gateway.Listener{Listener: l}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		cluster.CloseClientConnections()
		cluster.Close()
	})
	f.url = "http://" + l.Addr().String()
	return f, k
}

// TestGroupsThatTheClusterHasToo asks for a group of which the cluster has CRDs.
func TestGroupsThatTheClusterHasToo(t *testing.T) {
	service := `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"a","namespace":"default"},"spec":{"template":{"spec":{"containers":[{"image":"i"}]}}}}`
	type request struct {
		method, path, body string
		code               int
		says               string
	}
	others := []request{
		{"GET", builds, "", 200, `"kind":"BuildList"`},
		{"GET", "/apis/example.com/v1/things", "", 200, `"kind":"Theirs"`},
	}
	tests := map[string][]request{
		gateway.OwnGroupsUndecided: {
			{"GET", services, "", 503, "--own-groups=fairlead or --own-groups=cluster"},
			{"POST", services, service, 503, "services.serving.knative.dev"},
			{"POST", "/apply", service, 503, "--own-groups"},
			{"POST", "/apply?atomic=true", service, 503, "--own-groups"},
			{"GET", "/apis/serving.knative.dev/v1", "", 200, `"name":"services/status"`},
		},
		gateway.OwnGroupsFairlead: {
			{"GET", services, "", 200, `"kind":"ServiceList"`},
			{"POST", "/apply", service, 200, `"action":"created"`},
			{"GET", "/apis", "", 200, `"groupVersion":"serving.knative.dev/v1"`},
		},
		gateway.OwnGroupsCluster: {
			{"GET", services, "", 200, `"kind":"Theirs"`},
			{"GET", "/apis/serving.knative.dev/v0", "", 200, `"kind":"Theirs"`},
			{"GET", "/apis", "", 200, `"groupVersion":"serving.knative.dev/v0"`},
			{"GET", "/openapi/v3/apis/serving.knative.dev/v1", "", 200, `"kind":"Theirs"`},
		},
	}
	for wins, requests := range tests {
		t.Run("answers: "+wins, func(t *testing.T) {
			f, k := startBeside(t, wins)
			for _, r := range append(requests, others...) {
				code, _, body := f.send(r.method, r.path, r.body)
				if code != r.code || !strings.Contains(body, r.says) {
					t.Errorf("%s %s: got %d %s, want %d with %q", r.method, r.path, code, body, r.code, r.says)
				}
			}
			close(k.gone)
			for deadline := time.Now().Add(30 * time.Second); ; {
				code, _, body := f.send("GET", services, "")
				if code == 200 && strings.Contains(body, `"kind":"ServiceList"`) {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("after the CRD is gone: got %d %s, want our list", code, body)
				}
			}
		})
	}
}
