// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
)

// FuzzSelectors has selectors choose from memory just what they choose by themselves, and watchers with them rebuild that
// from a change.
func FuzzSelectors(f *testing.F) {
	f.Add("tier=front,app in (a,b),!x", "metadata.name=web", "shop", "web", "tier", "front")
	f.Add("", "metadata.namespace!=shop", "", "web", "tier", "")
	f.Add("a notin (b)", "metadata.name=web,metadata.namespace=shop", "shop", "web", "a", "c")
	f.Add("x>1", "metadata.name=", "", "w", "x", "2")
	f.Fuzz(func(t *testing.T, labelText, fieldText, namespace, name, key, value string) {
		l, err := labels.Parse(labelText)
		if err != nil {
			return
		}
		fs, err := fields.ParseSelector(fieldText)
		if err != nil {
			return
		}
		kind, _ := kinds.ByMessage((&servingv1.Service{}).ProtoReflect().Descriptor().FullName())
		chosen, err := newFilter(kind, namespace, l, fs)
		if err != nil || checkSegment("namespace", namespace) != nil || checkSegment("name", name) != nil {
			return
		}
		before, after := fuzzEntry(t, kind, namespace, name, nil, 1), fuzzEntry(t, kind, namespace, name, map[string]string{key: value}, 2)
		for _, e := range []*entry{before, after} {
			want := l.Matches(labels.Set(e.labels)) && fs.Matches(fields.Set{nameField: name, namespaceField: namespace})
			if got := chosen.matches(e); got != want {
				t.Errorf("%q, %q choose %v: %t, want %t", labelText, fieldText, e.labels, got, want)
			}
			if chosen.matches(e) && !strings.HasPrefix(e.path, chosen.within()) {
				t.Errorf("%q is chosen outside of %q", e.path, chosen.within())
			}
		}
		was, is := chosen.matches(before), chosen.matches(after)
		kindOf, told := chosen.event(&change{revision: 2, previous: before, object: after})
		want := map[[2]bool]EventType{{true, true}: Modified, {false, true}: Added, {true, false}: Deleted}[[2]bool{was, is}]
		if kindOf != want || (told == nil) != (want == "") || (told != nil && told.revision != 2) {
			t.Errorf("chosen before: %t, after: %t: told %q", was, is, kindOf)
		}
	})
}

func fuzzEntry(t *testing.T, k kinds.Kind, namespace, name string, l map[string]string, revision int64) *entry {
	t.Helper()
	form, err := newForm(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	obj := &servingv1.Service{Metadata: &metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: l}}
	return form.entry(namespace+"/"+name, &stored{object: obj, revision: revision})
}
