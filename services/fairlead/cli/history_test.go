// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	"fairlead.dev/gen/go/kinds"
)

func TestHistoryAndRollback(t *testing.T) {
	f := start(t)
	second := strings.NewReplacer("hello:1", "hello:2", `"blue"`, `"red"`, "note: first", "note: second").Replace(helloYAML)
	third := strings.Replace(second, "containerConcurrency: 10", "containerConcurrency: 5", 1)
	f.write("reader", "reader")
	f.transcript(t, "history.golden",
		call{args: "apply -f -", stdin: helloYAML},
		call{args: "history ksvc hello"},
		call{args: "rollback ksvc hello"},
		call{args: "apply -f -", stdin: second},
		call{args: "apply -f -", stdin: third},
		call{args: "history ksvc/hello"},
		call{args: "history ksvc hello -o yaml"},
		call{args: "rollback ksvc hello --to 1 --dry-run=server"},
		call{args: "get ksvc hello -o jsonpath={.spec.template.spec.containers[0].image}"},
		call{args: "rollback ksvc hello --to 1"},
		call{args: "get ksvc hello -o jsonpath={.spec.template.spec.containers[0].image}|{.metadata.annotations.note}"},
		call{args: "rollback service/hello"},
		call{args: "history ksvc hello"},
		call{args: "rollback ksvc hello --to 99"},
		call{args: "rollback ksvc hello --to 0"},
		call{args: "rollback ksvc hello --to x"},
		call{args: "rollback ksvc none"},
		call{args: "rollback ksvc"},
		call{args: "rollback ksvc hello --dry-run=client"},
		call{args: "rollback ksvc hello --token-file reader"},
		call{args: "history ksvc none"},
		call{args: "history ksvc"},
		call{args: "history ksvc a b"},
		call{args: "history ksvc hello -o wide"},
	)
}

func TestAtomicApply(t *testing.T) {
	f := start(t)
	f.write("good.yaml", serviceYAML("one", "")+"---\n"+buildYAML("first"))
	f.write("more.yaml", serviceYAML("two", "")+"---\n"+serviceYAML("one", ""))
	f.write("faults.yaml", strings.NewReplacer("image: registry.example/hello:1", "name: x").Replace(helloYAML)+"---\n"+serviceYAML("Bad_Name", ""))
	f.write("reader", "reader")
	f.transcript(t, "atomic.golden",
		call{args: "apply --atomic -f good.yaml --dry-run=server"},
		call{args: "get ksvc,builds"},
		call{args: "apply --atomic -f good.yaml"},
		call{args: "apply --atomic -f more.yaml -n other"},
		call{args: "apply --atomic -f good.yaml -f more.yaml"},
		call{args: "apply --atomic -f good.yaml -f faults.yaml"},
		call{args: "get ksvc"},
		call{args: "apply --atomic -f -", stdin: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"},
		call{args: "apply --atomic -f good.yaml --token-file reader"},
		call{args: "apply --atomic -f good.yaml -n absent"},
	)
}

// An older form of a kind is meant only where its version is named.
func TestKindNamesOfVersions(t *testing.T) {
	stored := kinds.Kind{Group: "g.dev", Version: "v1", Kind: "Thing", Plural: "things", Singular: "thing", ShortNames: []string{"th"}, Categories: []string{"all"}, Message: "a"}
	older := stored
	older.Version, older.StoredVersion, older.Message = "v1beta1", "v1", "b"
	known := kindNames{stored, older}
	for name, want := range map[string]string{
		"things": "v1", "thing": "v1", "th": "v1", "things.g.dev": "v1", "things.v1.g.dev": "v1", "things.v1beta1.g.dev": "v1beta1", "Thing.v1beta1.g.dev": "v1beta1", "all": "v1",
	} {
		found, err := known.find(name)
		if err != nil || len(found) != 1 || found[0].Version != want {
			t.Errorf("%s: got %v, %v, want %s", name, found, err, want)
		}
	}
}
