// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package bench_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fairlead.dev/services/e2e/bench"
)

// TestShort runs everything once, with next to no load: every row of the table has figures. What they are is not looked at.
func TestShort(t *testing.T) {
	state := os.Getenv("FAIRLEAD_STATE")
	if state == "" {
		t.Fatal("FAIRLEAD_STATE is not set; run these tests with 'make test'")
	}
	o := bench.Short()
	o.Devcluster, o.Fairlead = filepath.Join(state, "bin", "devcluster"), filepath.Join(state, "bin", "fairlead")
	o.Dir = t.TempDir()
	table, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := table.Markdown(&text); err != nil {
		t.Fatal(err)
	}
	for _, work := range []string{"create, 1 client", "create, 4 clients", "create by apply, 1 client", "change by apply, 4 clients", "apply of what is there, 4 clients", "get, 4 clients", "list of 50", "write sent → seen", "memory for 100", "CPU idle", "restart with 100"} {
		if !strings.Contains(text.String(), "| "+work) {
			t.Errorf("the table has no row of %q:\n%s", work, text.String())
		}
	}
	if strings.Contains(text.String(), "lost") {
		t.Errorf("watchers were lost:\n%s", text.String())
	}
}
