// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// auditFile is where the server of the suite keeps who did what.
func auditFile() string { return filepath.Join(s.dir, "audit.log") }

// TestAuditLog has a write, and one that is refused, in the log, and a read and all tokens not.
func TestAuditLog(t *testing.T) {
	ns := namespace(t)
	brokers := path("eventing.knative.dev/v1", ns, "brokers")
	body := `{"apiVersion":"eventing.knative.dev/v1","kind":"Broker","metadata":{"name":"audited"}}`
	if a := do(t, request{method: http.MethodPost, path: brokers, body: body, contentType: "application/json"}); a.code != http.StatusCreated {
		t.Fatalf("create: %d %s", a.code, a.body)
	}
	if a := do(t, request{method: http.MethodGet, path: brokers + "/audited"}); a.code != http.StatusOK {
		t.Fatalf("get: %d %s", a.code, a.body)
	}
	issued := do(t, request{method: http.MethodPost, path: "/apis/auth.fairlead.dev/v1/tokens", body: `{"user":"mallory-` + ns + `"}`, contentType: "application/json"})
	var mallory struct{ Token string }
	if err := json.Unmarshal(issued.body, &mallory); err != nil || mallory.Token == "" {
		t.Fatalf("issue: %d %s", issued.code, issued.body)
	}
	if a := do(t, request{method: http.MethodGet, path: brokers, token: mallory.Token}); a.code != http.StatusForbidden {
		t.Fatalf("list as mallory: %d %s", a.code, a.body)
	}
	type line struct {
		Kind, APIVersion, Verb string
		User                   struct{ Username string }
		ObjectRef              struct{ Resource, Namespace, Name string }
		ResponseStatus         struct{ Code int }
	}
	wanted := map[line]bool{}
	want := func(verb, user, name string, code int) {
		l := line{Kind: "Event", APIVersion: "audit.k8s.io/v1", Verb: verb}
		l.User.Username, l.ObjectRef.Resource, l.ObjectRef.Namespace, l.ObjectRef.Name, l.ResponseStatus.Code = user, "brokers", ns, name, code
		wanted[l] = true
	}
	want("create", "admin", "audited", http.StatusCreated)
	want("list", "mallory-"+ns, "", http.StatusForbidden)
	for deadline := time.Now().Add(20 * time.Second); ; {
		left := map[line]bool{}
		for l := range wanted {
			left[l] = true
		}
		f, err := os.Open(auditFile())
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			if strings.Contains(lines.Text(), mallory.Token) || strings.Contains(lines.Text(), token(t)) {
				t.Fatalf("a token is in the log: %s", lines.Text())
			}
			var l line
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				continue // the last line, half written
			}
			if l.ObjectRef.Namespace == ns && l.Verb == "get" {
				t.Errorf("a read is in the log: %s", lines.Text())
			}
			delete(left, l)
		}
		_ = f.Close()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not in the log: %+v", left)
		}
	}
}
