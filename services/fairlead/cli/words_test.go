// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/gen/go/kinds"
)

func TestKindNames(t *testing.T) {
	same := kinds.Kind{Group: "messaging.knative.dev", Version: "v1", Kind: "Trigger", Plural: "triggers", Singular: "trigger", Message: "x"}
	known := kindNames(append(kinds.All(), same))
	for name, want := range map[string]string{
		"services": "services.serving.knative.dev", "service": "services.serving.knative.dev", "Service": "services.serving.knative.dev",
		"ksvc": "services.serving.knative.dev", "KSVC": "services.serving.knative.dev", "services.serving.knative.dev": "services.serving.knative.dev",
		"service.v1.serving.knative.dev": "services.serving.knative.dev", "triggers.messaging.knative.dev": "triggers.messaging.knative.dev",
		"triggers": `"triggers" may be triggers.eventing.knative.dev or triggers.messaging.knative.dev`, "servcies": `did you mean "services"?`,
		"bulid": `did you mean "build"?`, "knatve": `did you mean "knative"?`, "services.example.com": `did you mean "services"?`, "": "there are brokers", "deployments.apps": "kubectl",
		strings.Repeat("a", 1000): "there are brokers",
	} {
		k, err := known.one(name)
		got := k.Plural + "." + k.Group
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

func TestGrid(t *testing.T) {
	var b strings.Builder
	g := &grid{}
	g.add("NAME", "URL", "AGE")
	g.add("größe", "", "3d")
	if err := g.flush(&b, ""); err != nil {
		t.Fatal(err)
	}
	g.add("a", "http://\x1b[0m\n", "")
	if err := g.flush(&b, ""); err != nil {
		t.Fatal(err)
	}
	want := "NAME    URL   AGE\ngröße         3d\na       http://\\x1b[0m\\n\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestLabelOf(t *testing.T) {
	for name, want := range map[string]string{
		"url": "Url", "containerConcurrency": "Container Concurrency", "podIPs": "Pod IPs", "app.kubernetes.io/name": "app.kubernetes.io/name", "": "",
	} {
		if got := labelOf(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
