// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMissing(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		exists func(string) bool
		want   []string
	}{
		"All": {"nothing to do", func(string) bool { return true }, []string{}},
		"OneOfAPackage": {
			"a package is named once, and if one of its files is gone",
			func(path string) bool { return !strings.HasPrefix(path, CNIPlugins) },
			[]string{"containernetworking-plugins"},
		},
		"None": {
			"sorted, each once",
			func(string) bool { return false },
			[]string{"conntrack", "containerd", "containernetworking-plugins", "ethtool", "iptables", "nftables", "runc", "socat"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, missing(tc.exists)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
