// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/metadata"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/audit"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/storetest"
)

// readAudited creates a build, reads and lists it, and returns for each call what the audit log keeps of the answer, by verb.
func readAudited(t *testing.T, handler resource.Handler) map[string]string {
	t.Helper()
	dir := t.TempDir()
	cfg := audit.Config{File: filepath.Join(dir, "audit.log"), PolicyFile: filepath.Join(dir, "policy.yaml")}
	if err := os.WriteFile(cfg.PolicyFile, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{Authn: everyone{}, Authz: everyone{}, Audit: log})
	if err != nil {
		t.Fatal(err)
	}
	deps := resource.Deps{Store: storetest.StartOn(t, startEtcd(t), store.Options{}), Namespaces: namespaces{"shop": kube.NamespaceActive}}
	if err := resource.Register(server, deps, handler); err != nil {
		t.Fatal(err)
	}
	memory := rpc.NewInMemory(server)
	conn, err := memory.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), rpc.AuthorizationKey, "Bearer alice"), time.Minute)
	defer cancel()
	builds := buildv1.NewBuildServiceClient(conn)
	if _, err := builds.Create(ctx, &buildv1.BuildServiceCreateRequest{Object: aBuild("shop", "web")}); err != nil {
		t.Error(err)
	}
	if _, err := builds.Get(ctx, &metav1.GetRequest{Namespace: "shop", Name: "web"}); err != nil {
		t.Error(err)
	}
	if _, err := builds.List(ctx, &metav1.ListRequest{Namespace: "shop"}); err != nil {
		t.Error(err)
	}
	_ = conn.Close()
	server.GracefulStop() // calls are over, and noted
	_ = memory.Close()
	over, end := context.WithCancel(context.Background())
	end()
	_ = log.Run(over) // writes what it has
	data, err := os.ReadFile(cfg.File)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]string{}
	for line := range strings.Lines(string(data)) {
		var event struct {
			Verb           string
			ResponseObject struct {
				Metadata struct{ Name string }
				Items    []struct{ Metadata struct{ Name string } }
			}
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		said := event.ResponseObject.Metadata.Name
		for _, item := range event.ResponseObject.Items {
			said += "[" + item.Metadata.Name + "]"
		}
		kept[event.Verb] = said
	}
	return kept
}

// Reads are answered with objects that are encoded already; the audit log keeps them all the same.
func TestAuditKeepsWhatIsRead(t *testing.T) {
	open := resource.Handler{Kind: kind(t, &buildv1.Build{}), Hooks: buildHooks()}
	if d := cmp.Diff(map[string]string{"create": "web", "get": "web", "list": "[web]"}, readAudited(t, open)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
