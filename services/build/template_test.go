// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/store"
)

// TestBuildOfATemplate applies the Build of an existing document as it is. No template is there, and the build says so.
func TestBuildOfATemplate(t *testing.T) {
	data, err := os.ReadFile("testdata/build-v1alpha1.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents, err := codec.Documents(data, codec.Limits{Documents: 10})
	if err != nil {
		t.Fatal(err)
	}
	var b *buildv1.Build
	for _, document := range documents {
		if !bytes.Contains(document, []byte(`"kind":"Build"`)) {
			continue
		}
		b = &buildv1.Build{}
		if _, err := codec.Unmarshal(document, b, codec.Options{Strict: true}); err != nil {
			t.Fatal(err)
		}
	}
	if b == nil {
		t.Fatal("the document has no Build")
	}
	h := hooks{cfg: DefaultConfig()}
	h.setDefaults(t.Context(), b, nil)
	if causes := h.validate(t.Context(), b, nil); len(causes) > 0 {
		t.Fatalf("faults: %v", causes)
	}
	f := newFixture(t)
	key := f.create("template", func(spec *buildv1.BuildSpec) {
		spec.Steps, spec.Source, spec.Template = nil, b.GetSpec().GetSource(), b.GetSpec().GetTemplate()
	})
	w := &world{now: time.Unix(1_700_000_000, 0)}
	r := f.reconciler(w)
	for range 3 {
		wait(t, f, key)
		if _, err := r.Reconcile(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.builds.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c := succeeded(got); !isDone(got) || c.GetReason() != reasonTemplateNotServed || !strings.Contains(c.GetMessage(), `ClusterBuildTemplate "init-namespace"`) || w.created > 0 {
		t.Errorf("condition %v, %d pods", c, w.created)
	}
}

func wait(t *testing.T, f *fixture, key store.Key) {
	t.Helper()
	b, err := f.builds.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.store.Cache(f.kind).WaitVersion(t.Context(), b.GetMetadata().GetResourceVersion()); err != nil {
		t.Fatal(err)
	}
}
