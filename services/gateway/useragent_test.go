// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/services/internal/audit"
)

// TestAuditNamesTheCallersProgram has calls on every way through the gateway in the audit log, by the program that called it.
func TestAuditNamesTheCallersProgram(t *testing.T) {
	dir := t.TempDir()
	cfg := audit.Config{File: filepath.Join(dir, "audit.log"), PolicyFile: filepath.Join(dir, "policy.yaml")}
	if err := os.WriteFile(cfg.PolicyFile, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- log.Run(ctx) }()
	t.Run("calls", func(t *testing.T) { // whose end is the server's
		f := startAudited(t, log)
		document := build("b", "")
		for _, call := range [][]string{
			{"POST", builds, build("a", ""), "kubectl/1"},
			{"GET", builds, "", "kubectl/2"},
			{"GET", builds + "?watch=true&timeoutSeconds=1", "", "kubectl/3"},
			{"POST", "/apply", document, "curl/4"},
			{"POST", "/apply?atomic=true", document, "curl/5"},
			{"DELETE", builds + "/a", "", "Wände/6"}, // which gRPC cannot carry
			{"POST", "/apply", document, "Wände/7"},
		} {
			if code, _, body := f.send(call[0], call[1], call[2], "User-Agent", call[3]); code > 299 {
				t.Errorf("%v: %d %s", call, code, body)
			}
		}
	})
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(cfg.File)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(data)) {
		var e struct{ RequestURI, UserAgent string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		method := e.RequestURI[strings.LastIndex(e.RequestURI, "/")+1:]
		if method == "WhoAmI" {
			continue // its answers are remembered, so that some calls have none
		}
		if agent, _, _ := strings.Cut(e.UserAgent, " "); !strings.HasPrefix(agent, "grpc-go/") && !strings.Contains(got[method], agent) {
			got[method] += agent + ","
		}
	}
	if d := cmp.Diff(map[string]string{
		"Create": "kubectl/1,", "List": "kubectl/2,", "Watch": "kubectl/3,", "Get": "curl/4,", "Patch": "curl/4,", "Apply": "curl/5,", "Prepare": "curl/5,",
	}, got); d != "" {
		t.Errorf("programs by method (-want +got):\n%s", d)
	}
}
