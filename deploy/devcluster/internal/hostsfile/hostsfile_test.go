// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package hostsfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/deploy/devcluster/internal/hostsfile"
)

const marker = "fairlead-devcluster"

func TestWith(t *testing.T) {
	t.Parallel()
	line := "10.0.0.1 registry.test # fairlead-devcluster\n"
	cases := map[string]struct {
		reason  string
		content string
		want    string
	}{
		"Empty":     {"an empty file gets the line", "", line},
		"Appended":  {"other lines stay as they are", "127.0.0.1 localhost # home\n", "127.0.0.1 localhost # home\n" + line},
		"NoNewline": {"a last line without an end is ended", "127.0.0.1 localhost", "127.0.0.1 localhost\n" + line},
		"Twice":     {"there is one line, whatever was there", line + "::1 ip6\n" + line, "::1 ip6\n" + line},
		"OldOne":    {"an old address goes", "10.9.9.9 old # fairlead-devcluster\n", line},
		"Similar":   {"another marker is another's", "1.1.1.1 a # fairlead-devcluster-2\n", "1.1.1.1 a # fairlead-devcluster-2\n" + line},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := hostsfile.With(tc.content, marker, "10.0.0.1", "registry.test")
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(got, hostsfile.With(got, marker, "10.0.0.1", "registry.test")); diff != "" {
				t.Errorf("a second edit changes the file (-first +second):\n%s", diff)
			}
		})
	}
}

func TestSetThenUnsetLeavesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "hosts")
	const content = "127.0.0.1 localhost\n# a comment\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := hostsfile.Set(path, marker, "10.0.0.1", "registry.test"); err != nil {
		t.Fatal(err)
	}
	if err := hostsfile.Unset(path, marker); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(content, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
