// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package apply_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/apply"
)

// memory keeps builds. Those whose name begins with `bad` have two faults, and `late` fails once it is stored.
type memory struct {
	grpc.ClientConnInterface

	stored map[string]*buildv1.Build
	writes int
}

func (m *memory) Invoke(_ context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	out := reply.(*buildv1.Build)
	if r, ok := args.(*metav1.GetRequest); ok {
		found, ok := m.stored[r.GetName()]
		if !ok {
			return apierror.ToStatus(apierror.NotFound(apierror.Resource{Plural: "builds"}, r.GetName())).Err()
		}
		proto.Merge(out, found)
		return nil
	}
	r, ok := args.(*metav1.PatchRequest)
	if !ok {
		return errors.New(method)
	}
	dryRun := len(r.GetDryRun()) > 0
	if strings.HasPrefix(r.GetName(), "bad") {
		return apierror.ToStatus(apierror.InvalidObject(apierror.Resource{Kind: "Build", Group: "g"}, r.GetName(), []apierror.Cause{
			apierror.Required("spec.steps", "Required value"), apierror.Invalid("spec.timeout", "Invalid value"),
		})).Err()
	}
	if r.GetName() == "late" && !dryRun {
		return apierror.ToStatus(apierror.Unavailable(0, "gone away")).Err()
	}
	before := m.stored[r.GetName()]
	after := &buildv1.Build{Metadata: &metav1.ObjectMeta{Name: r.GetName(), ResourceVersion: "1"}, Spec: &buildv1.BuildSpec{ServiceAccountName: string(r.GetPatch())}}
	if !dryRun && !proto.Equal(before, after) {
		m.writes++
		m.stored[r.GetName()] = after
	}
	proto.Merge(out, after)
	return nil
}

func document(name, account string) string {
	return "apiVersion: build.knative.dev/v1alpha1\nkind: Build\nmetadata: {name: " + name + "}\nspec: {serviceAccountName: " + account + "}\n---\n"
}

func TestApply(t *testing.T) {
	for _, c := range []struct {
		reason    string
		documents string
		dryRun    bool
		want      []string // NAME ACTION
		writes    int
		// fails is the error's text, and causes those of the one error that it wraps.
		fails  string
		causes []string
	}{
		{"each in order", document("new", "a") + document("old", "b") + document("same", "a"), false,
			[]string{"new created", "old configured", "same unchanged"}, 2, "", nil},
		{"a dry run tells the same and stores nothing", document("new", "a") + document("old", "b") + document("same", "a"), true,
			[]string{"new created", "old configured", "same unchanged"}, 0, "", nil},
		{"one at fault", document("bad", "a"), false, nil, 0, `Build.g "bad" is invalid: [spec.steps: Required value, spec.timeout: Invalid value]`,
			[]string{"spec.steps", "spec.timeout"}},
		{"some at fault, so that none is stored", document("new", "a") + document("bad1", "a") + document("bad2", "a"), false, nil, 0,
			`nothing was applied; the first of 4 faults: Build.g "bad1" is invalid: [spec.steps: Required value, spec.timeout: Invalid value]`,
			[]string{"documents[1].spec.steps", "documents[1].spec.timeout", "documents[2].spec.steps", "documents[2].spec.timeout"}},
		{"a fault that comes late", document("new", "a") + document("late", "a"), false, []string{"new created"}, 1,
			"document 2 (Build late): gone away", nil},
	} {
		m := &memory{stored: map[string]*buildv1.Build{}}
		a := &apply.Applier{Conn: m, Kinds: kinds.All()}
		prepared, err := a.Parse([]byte(document("same", "a") + document("old", "a")))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Apply(t.Context(), prepared, false, nil); err != nil {
			t.Fatal(err)
		}
		m.writes = 0
		docs, err := a.Parse([]byte(c.documents))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		results, err := a.Apply(t.Context(), docs, c.dryRun, func(r apply.Result) { got = append(got, r.Name+" "+r.Action) })
		if (err == nil) != (c.fails == "") || err != nil && err.Error() != c.fails {
			t.Errorf("%s: got error %v, want %q", c.reason, err, c.fails)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.reason, diff)
		}
		if len(results) != len(c.want) || m.writes != c.writes {
			t.Errorf("%s: %d results, %d writes", c.reason, len(results), m.writes)
		}
		var causes []string
		if err != nil {
			for _, cause := range apierror.From(err).Causes {
				causes = append(causes, cause.Field)
			}
		}
		if diff := cmp.Diff(c.causes, causes); diff != "" {
			t.Errorf("%s: causes: %s", c.reason, diff)
		}
	}
}

func TestParseFaults(t *testing.T) {
	a := &apply.Applier{Kinds: kinds.All()}
	for text, want := range map[string]string{
		"":        "there is no document",
		"kind: X": "apiVersion and kind are missing",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: x}":                          "kind of the cluster's own",
		"apiVersion: build.knative.dev/v1alpha1\nkind: Bild\nmetadata: {name: x}": "there is no kind Bild in build.knative.dev/v1alpha1; there are Build in build.knative.dev/v1alpha1",
		"apiVersion: build.knative.dev/v1alpha1\nkind: Build\n---\nkind: X\n":     "2 documents are at fault",
	} {
		if _, err := a.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
