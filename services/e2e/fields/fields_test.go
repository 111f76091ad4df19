// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

// Package fields_test has the real kubectl apply on either side, and looks at who manages which fields then.
package fields_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/services/e2e/harness"
	"fairlead.dev/services/e2e/inprocess"
)

// commandTime is how long one command may take.
const commandTime = time.Minute

// service is a Service of an image, with more of its container.
func service(image, more string) string {
	return `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      containers:
      - image: ` + image + "\n" + more
}

// TestKubectlAppliesOnEitherSide goes from client-side apply to server-side apply and back, as people do.
func TestKubectlAppliesOnEitherSide(t *testing.T) {
	state := os.Getenv("FAIRLEAD_STATE")
	if state == "" {
		t.Fatal("FAIRLEAD_STATE is not set; run these tests with 'make test'")
	}
	server := inprocess.Start(t)
	front := httptest.NewTLSServer(server.Handler) // kubectl sends tokens over TLS only
	defer front.Close()
	home := t.TempDir()
	kubectl := func(stdin string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), commandTime)
		defer cancel()
		cmd := exec.CommandContext(ctx, harness.Kubectl(state), append([]string{"--server", front.URL, "--insecure-skip-tls-verify", "--token", server.Admin}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+home, "KUBECACHEDIR="+home, "KUBECONFIG="+os.DevNull)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	const env = "        env: [{name: A, value: a}]\n"
	for _, c := range []struct {
		args, doc, want string
		fails           bool
		managers        []string
	}{
		{args: "apply -f -", doc: service("one", ""), want: "created", managers: []string{"kubectl-client-side-apply Update"}},
		{args: "apply --server-side -f -", doc: service("two", env), want: "serverside-applied", managers: []string{"kubectl Apply", "kubectl-last-applied Apply"}},
		{args: "apply --server-side -f -", doc: service("two", env), want: "serverside-applied", managers: []string{"kubectl Apply", "kubectl-last-applied Apply"}},
		{args: "apply --server-side --field-manager=other -f -", doc: service("three", ""), fails: true,
			want: `conflict with "kubectl": .spec.template.spec.containers\[name="user-container"\].image`},
		{args: "apply --server-side --field-manager=other --force-conflicts -f -", doc: service("three", ""), want: "serverside-applied",
			managers: []string{"kubectl Apply", "kubectl-last-applied Apply", "other Apply"}},
		{args: "apply -f -", doc: service("four", env), want: "configured",
			managers: []string{"kubectl Apply", "kubectl-client-side-apply Update", "other Apply"}},
		{args: "apply -f -", doc: service("four", ""), want: "configured"},
		{args: "apply --server-side --force-conflicts -f -", doc: service("five", ""), want: "serverside-applied",
			managers: []string{"kubectl Apply", "kubectl-last-applied Apply", "other Apply"}},
		{args: "get ksvc web -n shop -o jsonpath={.spec.template.spec.containers[*].image}", want: `^five$`},
		{args: "get ksvc web -n shop -o jsonpath={.spec.template.spec.containers[*].env}", want: `^$`},
	} {
		out, err := kubectl(c.doc, strings.Fields(c.args)...)
		if (err != nil) != c.fails || !regexp.MustCompile(c.want).MatchString(out) {
			t.Fatalf("kubectl %s: %v\n%s", c.args, err, out)
		}
		if c.managers == nil {
			continue
		}
		text, err := kubectl("", "get", "ksvc", "web", "-n", "shop", "--show-managed-fields", "-o",
			`jsonpath={range .metadata.managedFields[*]}{.manager} {.operation}{"\n"}{end}`)
		got := strings.Split(strings.TrimSpace(text), "\n")
		slices.Sort(got)
		if d := cmp.Diff(c.managers, got); d != "" || err != nil {
			t.Errorf("kubectl %s: %v: managers (-want +got):\n%s", c.args, err, d)
		}
	}
}
