// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"fairlead.dev/gen/go/kinds"
)

var update = flag.Bool("update", false, "write deploy/aggregated anew") //nolint:gochecknoglobals // a flag of the test

// TestManifests holds deploy/aggregated to the registry of kinds.
func TestManifests(t *testing.T) {
	made, err := Manifests(kinds.Versions())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "..", "..", "deploy", "aggregated")
	for name, data := range made {
		file := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(data), string(got)); d != "" {
			t.Errorf("%s is not what the registry makes; run `go test ./services/fairlead/aggregate -update` (-want +got):\n%s", name, d)
		}
	}
	for _, k := range kinds.Versions() {
		if !strings.Contains(string(made["apiservices.yaml"]), "name: "+k.Version+"."+k.Group+"\n") {
			t.Errorf("%s has no APIService", k.APIVersion())
		}
	}
}

// TestVersions puts the version that is stored before older ones, so that clients prefer it.
func TestVersions(t *testing.T) {
	for _, versions := range [][]kinds.Kind{
		{{Group: "g", Version: "v1beta1", StoredVersion: "v1"}, {Group: "g", Version: "v1"}},
		{{Group: "g", Version: "v1"}, {Group: "g", Version: "v1beta1", StoredVersion: "v1"}, {Group: "g", Version: "v1"}},
	} {
		if d := cmp.Diff(map[string][]string{"g": {"v1", "v1beta1"}}, Versions(versions)); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	}
}

// TestNoRoleButOursCanBeEscalated: without names, the right to register groups would be the right to everything.
func TestNoRoleButOursCanBeEscalated(t *testing.T) {
	seen := false
	for _, u := range Access("one", Service{Namespace: "fairlead-system", Name: "fairlead"}) {
		rules, _, err := unstructured.NestedSlice(u.Object, "rules")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			rule, ok := r.(map[string]any)
			verbs, _, err := unstructured.NestedStringSlice(rule, "verbs")
			if !ok || err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(verbs, "escalate") {
				continue
			}
			seen = true
			if d := cmp.Diff([]any{"fairlead-view", "fairlead-edit"}, rule["resourceNames"]); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		}
	}
	if !seen {
		t.Error("no rule is there to look at")
	}
}
