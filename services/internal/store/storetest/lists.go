// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

func listTests() map[string]func(*testing.T, *store.Store) {
	return map[string]func(*testing.T, *store.Store){
		"ListSelects":               testListSelects,
		"ListPagesAtOneRevision":    testPages,
		"ListPagesWithSelectors":    testPagesSelected,
		"ListReadsInChunks":         testChunks,
		"ListVersions":              testListVersions,
		"ListRefuses":               testListRefuses,
		"ContinueTokensOfOthers":    testForeignTokens,
		"ContinueOfALastPageLeaves": testExactPages,
	}
}

func list(t testing.TB, s *store.Store, o store.ListOptions) *store.ListOf[*servingv1.Service] {
	t.Helper()
	return must[*store.ListOf[*servingv1.Service]](t)(services(t, s).List(t.Context(), o))
}

func selector(t testing.TB, text string) labels.Selector {
	t.Helper()
	return must[labels.Selector](t)(labels.Parse(text))
}

func fieldSelector(t testing.TB, text string) fields.Selector {
	t.Helper()
	return must[fields.Selector](t)(fields.ParseSelector(text))
}

func testListSelects(t *testing.T, s *store.Store) {
	// Of the namespaces, one is the start of another's name.
	create(t, s, "shop/web", "shop/db", "shop-2/web", "a/web")
	relabel(t, s, store.Key{Namespace: "shop", Name: "web"}, "tier=front", "app=x")
	relabel(t, s, store.Key{Namespace: "shop-2", Name: "web"}, "tier=front")
	cases := map[string]struct {
		o    store.ListOptions
		want []string
	}{
		"all":                  {store.ListOptions{}, []string{"a/web", "shop-2/web", "shop/db", "shop/web"}},
		"a namespace":          {store.ListOptions{Namespace: "shop"}, []string{"shop/db", "shop/web"}},
		"an empty namespace":   {store.ListOptions{Namespace: "none"}, []string{}},
		"a label":              {store.ListOptions{LabelSelector: selector(t, "tier=front")}, []string{"shop-2/web", "shop/web"}},
		"a label's absence":    {store.ListOptions{LabelSelector: selector(t, "!tier")}, []string{"a/web", "shop/db"}},
		"labels, namespace":    {store.ListOptions{Namespace: "shop", LabelSelector: selector(t, "tier in (front),app=x")}, []string{"shop/web"}},
		"a name":               {store.ListOptions{FieldSelector: fieldSelector(t, "metadata.name=web")}, []string{"a/web", "shop-2/web", "shop/web"}},
		"a name in one":        {store.ListOptions{Namespace: "shop", FieldSelector: fieldSelector(t, "metadata.name=web")}, []string{"shop/web"}},
		"a name and labels":    {store.ListOptions{Namespace: "shop", FieldSelector: fieldSelector(t, "metadata.name=web"), LabelSelector: selector(t, "app=y")}, []string{}},
		"not a name":           {store.ListOptions{FieldSelector: fieldSelector(t, "metadata.name!=web")}, []string{"shop/db"}},
		"a namespace by field": {store.ListOptions{FieldSelector: fieldSelector(t, "metadata.namespace=shop")}, []string{"shop/db", "shop/web"}},
		"a contradiction":      {store.ListOptions{Namespace: "a", FieldSelector: fieldSelector(t, "metadata.namespace=shop")}, []string{}},
	}
	check := func(t *testing.T) {
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				if d := cmp.Diff(tc.want, names(list(t, s, tc.o).Items)); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			})
		}
	}
	t.Run("from etcd", check)
	newest := list(t, s, store.ListOptions{}).ResourceVersion
	if err := s.Cache(Services(t)).WaitVersion(t.Context(), newest); err != nil {
		t.Fatal(err)
	}
	for name, tc := range cases {
		tc.o.ResourceVersion = "0"
		cases[name] = tc
	}
	t.Run("from the cache", check)
}

func testPages(t *testing.T, s *store.Store) {
	create(t, s, "a/1", "a/2", "b/1", "b/2", "c/1")
	first := list(t, s, store.ListOptions{Limit: 2})
	// What changes between the pages is not in them.
	create(t, s, "a/3", "b/0")
	must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), store.Key{Namespace: "c", Name: "1"}, store.DeleteOptions{}))
	second := list(t, s, store.ListOptions{Limit: 2, Continue: first.Continue})
	third := list(t, s, store.ListOptions{Limit: 2, Continue: second.Continue})
	got := [][]string{names(first.Items), names(second.Items), names(third.Items)}
	if d := cmp.Diff([][]string{{"a/1", "a/2"}, {"b/1", "b/2"}, {"c/1"}}, got); d != "" {
		t.Errorf("pages (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]*int64{new(int64(3)), new(int64(1)), nil}, []*int64{first.Remaining, second.Remaining, third.Remaining}); d != "" {
		t.Errorf("remaining (-want +got):\n%s", d)
	}
	if first.ResourceVersion != second.ResourceVersion || first.ResourceVersion != third.ResourceVersion {
		t.Errorf("versions of the pages: %s, %s, %s", first.ResourceVersion, second.ResourceVersion, third.ResourceVersion)
	}
	if third.Continue != "" {
		t.Error("the last page has a continue token")
	}
}

func testExactPages(t *testing.T, s *store.Store) {
	create(t, s, "a/1", "a/2")
	page := list(t, s, store.ListOptions{Limit: 2})
	if page.Continue != "" || page.Remaining != nil {
		t.Errorf("a page that holds all goes on: continue %q, remaining %v", page.Continue, page.Remaining)
	}
}

func testPagesSelected(t *testing.T, s *store.Store) {
	for i := range 9 {
		l := "odd=no"
		if i%2 == 1 {
			l = "odd=yes"
		}
		must[*servingv1.Service](t)(services(t, s).Create(t.Context(), Service("a", strconv.Itoa(i), l)))
	}
	var got []string
	o := store.ListOptions{Limit: 3, LabelSelector: selector(t, "odd=yes")}
	for range 5 {
		page := list(t, s, o)
		got = append(got, names(page.Items)...)
		if page.Remaining != nil {
			t.Errorf("remaining: got %d, want none: it is not known", *page.Remaining)
		}
		if o.Continue = page.Continue; o.Continue == "" {
			break
		}
	}
	if d := cmp.Diff([]string{"a/1", "a/3", "a/5", "a/7"}, got); d != "" {
		t.Errorf("all pages (-want +got):\n%s", d)
	}
}

func testChunks(t *testing.T, s *store.Store) {
	const n = 1100
	want := make([]string, 0, n)
	for i := range n {
		want = append(want, fmt.Sprintf("a/n%04d", i))
	}
	create(t, s, want...)
	if d := cmp.Diff(want, names(list(t, s, store.ListOptions{}).Items)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	last := list(t, s, store.ListOptions{Limit: 1050})
	if len(last.Items) != 1050 || last.Remaining == nil || *last.Remaining != 50 {
		t.Errorf("a page of 1050: got %d items, remaining %v", len(last.Items), last.Remaining)
	}
}

func testListVersions(t *testing.T, s *store.Store) {
	first := create(t, s, "a/1")[0].GetMetadata().GetResourceVersion()
	second := create(t, s, "a/2")[0].GetMetadata().GetResourceVersion()
	cases := map[string]struct {
		o    store.ListOptions
		want []string
	}{
		"exactly the first":    {store.ListOptions{ResourceVersion: first, ResourceVersionMatch: store.Exact}, []string{"a/1"}},
		"exactly the second":   {store.ListOptions{ResourceVersion: second, ResourceVersionMatch: store.Exact}, []string{"a/1", "a/2"}},
		"not older: first":     {store.ListOptions{ResourceVersion: first, ResourceVersionMatch: store.NotOlderThan}, []string{"a/1", "a/2"}},
		"not older by default": {store.ListOptions{ResourceVersion: second}, []string{"a/1", "a/2"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, names(list(t, s, tc.o).Items)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func testListRefuses(t *testing.T, s *store.Store) {
	create(t, s, "a/1", "a/2")
	token := list(t, s, store.ListOptions{Limit: 1}).Continue
	cases := map[string]struct {
		o      store.ListOptions
		reason apierror.Reason
	}{
		"a negative limit":        {store.ListOptions{Limit: -1}, apierror.ReasonBadRequest},
		"a strange version":       {store.ListOptions{ResourceVersion: "x"}, apierror.ReasonBadRequest},
		"a negative version":      {store.ListOptions{ResourceVersion: "-1"}, apierror.ReasonBadRequest},
		"a match of nothing":      {store.ListOptions{ResourceVersionMatch: store.NotOlderThan}, apierror.ReasonBadRequest},
		"exactly any":             {store.ListOptions{ResourceVersion: "0", ResourceVersionMatch: store.Exact}, apierror.ReasonBadRequest},
		"an unknown match":        {store.ListOptions{ResourceVersion: "1", ResourceVersionMatch: "Near"}, apierror.ReasonBadRequest},
		"a version yet to come":   {store.ListOptions{ResourceVersion: "999999999"}, apierror.ReasonTimeout},
		"exactly the future":      {store.ListOptions{ResourceVersion: "999999999", ResourceVersionMatch: store.Exact}, apierror.ReasonTimeout},
		"a field it cannot match": {store.ListOptions{FieldSelector: fieldSelector(t, "spec.x=1")}, apierror.ReasonBadRequest},
		"a namespace with slash":  {store.ListOptions{Namespace: "a/b"}, apierror.ReasonBadRequest},
		"a token and a version":   {store.ListOptions{Continue: token, ResourceVersion: "1"}, apierror.ReasonBadRequest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := services(t, s).List(t.Context(), tc.o)
			wantReason(t, err, tc.reason)
		})
	}
}

func testForeignTokens(t *testing.T, s *store.Store) {
	create(t, s, "a/1", "a/2", "b/1", "b/2")
	token := list(t, s, store.ListOptions{Limit: 1, Namespace: "a"}).Continue
	raw := must[[]byte](t)(base64.RawURLEncoding.DecodeString(token))
	flipped := append([]byte(nil), raw...)
	flipped[len(flipped)-1] ^= 1
	cases := map[string]store.ListOptions{
		"of another namespace": {Continue: token, Namespace: "b"},
		"of all namespaces":    {Continue: token},
		"of another selector":  {Continue: token, Namespace: "a", LabelSelector: selector(t, "a=b")},
		"no token":             {Continue: "../../etc", Namespace: "a"},
		"a changed one":        {Continue: base64.RawURLEncoding.EncodeToString(flipped), Namespace: "a"},
		"a cut one":            {Continue: token[:len(token)/2], Namespace: "a"},
	}
	for name, o := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := services(t, s).List(t.Context(), o)
			wantReason(t, err, apierror.ReasonBadRequest)
		})
	}
}
