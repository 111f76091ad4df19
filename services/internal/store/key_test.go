// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/gen/go/kinds"
)

var (
	namespaced = kinds.Kind{Group: "serving.knative.dev", Plural: "services", Kind: "Service", Namespaced: true}
	cluster    = kinds.Kind{Group: "auth.fairlead.dev", Plural: "clusterroles", Kind: "ClusterRole"}
	core       = kinds.Kind{Plural: "things", Kind: "Thing", Namespaced: true}
)

func TestObjectKeys(t *testing.T) {
	keys, err := newKeyspace("fairlead/")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		kind kinds.Kind
		key  Key
		want string
	}{
		"namespaced":     {namespaced, Key{"shop", "web"}, "/fairlead/serving.knative.dev/services/shop/web"},
		"cluster-scoped": {cluster, Key{"", "admin"}, "/fairlead/auth.fairlead.dev/clusterroles/_cluster/admin"},
		"no group":       {core, Key{"shop", "x"}, "/fairlead/~core/things/shop/x"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := keys.object(tc.kind, tc.key)
			if err != nil || got != tc.want {
				t.Errorf("got %q and %v, want %q", got, err, tc.want)
			}
			back, err := keys.parse(tc.kind, got)
			if d := cmp.Diff(tc.key, back); err != nil || d != "" {
				t.Errorf("parsed: %v (-want +got):\n%s", err, d)
			}
		})
	}
}

func TestKeyspaceNeedsAPrefix(t *testing.T) {
	for _, prefix := range []string{"", "/", "//"} {
		if _, err := newKeyspace(prefix); err == nil {
			t.Errorf("prefix %q is accepted", prefix)
		}
	}
}

func TestParseRefusesOtherKeys(t *testing.T) {
	keys := keyspace{prefix: "/fairlead"}
	for _, path := range []string{
		"", "/fairlead", "/fairlead/serving.knative.dev/services/", "/fairlead/serving.knative.dev/services/shop",
		"/fairlead/serving.knative.dev/services/shop/", "/fairlead/serving.knative.dev/services//web",
		"/fairlead/serving.knative.dev/services/a/b/c", "/other/serving.knative.dev/services/a/b",
		"/fairlead/serving.knative.dev/services/_cluster/web",
	} {
		if key, err := keys.parse(namespaced, path); err == nil {
			t.Errorf("%q is parsed as %+v", path, key)
		}
	}
}

// FuzzKeys checks that no name leads out of the place of its kind and namespace, and that keys can be read again.
func FuzzKeys(f *testing.F) {
	for _, seed := range [][2]string{{"shop", "web"}, {"..", "web"}, {"a/b", "c"}, {"", "x"}, {"_cluster", "x"}, {"a\x00", "b"}, {"ü", "é"}, {"a", "%2e%2e"}} {
		f.Add(seed[0], seed[1], true)
		f.Add(seed[0], seed[1], false)
	}
	keys := keyspace{prefix: "/fairlead"}
	f.Fuzz(func(t *testing.T, namespace, name string, isNamespaced bool) {
		kind := cluster
		if isNamespaced {
			kind = namespaced
		}
		key := Key{namespace, name}
		path, err := keys.object(kind, key)
		if err != nil {
			return
		}
		prefix, err := keys.within(kind, namespace)
		if err != nil {
			t.Fatal(err)
		}
		if rest, ok := strings.CutPrefix(path, prefix); !ok || rest != name || strings.Contains(rest, "/") {
			t.Errorf("%q is not a key below %q", path, prefix)
		}
		back, err := keys.parse(kind, path)
		if d := cmp.Diff(key, back); err != nil || d != "" {
			t.Errorf("%q parsed again: %v (-want +got):\n%s", path, err, d)
		}
	})
}

// FuzzContinueTokens checks that a token leads nowhere but below the prefix of its list, and is read as it was written.
func FuzzContinueTokens(f *testing.F) {
	all, err := newFilter(namespaced, "", nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	const prefix = "/fairlead/serving.knative.dev/services/"
	f.Add(continuation{5, "shop/web"}.token(prefix, all), int64(5), "shop/web")
	f.Add("", int64(1), "../x")
	f.Add("AQ", int64(1<<40), "a/b/c")
	f.Fuzz(func(t *testing.T, token string, revision int64, after string) {
		if c, err := parseToken(token, prefix, all); err == nil {
			if again := c.token(prefix, all); again != token {
				t.Errorf("token %q is read as %+v, whose token is %q", token, c, again)
			}
			checkAfter(t, c.after)
		}
		if revision <= 0 || revision > 1<<62 {
			return
		}
		want := continuation{revision, after}
		got, err := parseToken(want.token(prefix, all), prefix, all)
		if err != nil {
			return // after is no key
		}
		checkAfter(t, got.after)
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func checkAfter(t *testing.T, after string) {
	t.Helper()
	for part := range strings.SplitSeq(after, "/") {
		if part == "" || part == "." || part == ".." || strings.Count(after, "/") > 1 {
			t.Errorf("a token leads to %q", after)
		}
	}
}
