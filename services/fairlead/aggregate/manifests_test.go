// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
