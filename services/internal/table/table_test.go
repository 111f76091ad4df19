// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/table"
)

func kindOf(t *testing.T, m proto.Message) kinds.Kind {
	t.Helper()
	k, ok := kinds.ByMessage(m.ProtoReflect().Descriptor().FullName())
	if !ok {
		t.Fatalf("%T is no kind", m)
	}
	return k
}

func TestRender(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(-d)) }
	build := &buildv1.Build{
		Metadata: &metav1.ObjectMeta{Name: "b", Namespace: "n", CreationTimestamp: ago(2 * time.Hour)},
		Status: &buildv1.BuildStatus{
			Conditions: []*metav1.Condition{{Type: "Other", Status: "True"}, {Type: "Succeeded", Status: "Unknown", Reason: "Building"}},
			StartTime:  ago(90 * time.Second),
		},
	}
	revision := &servingv1.Revision{
		Metadata: &metav1.ObjectMeta{Name: "r", CreationTimestamp: ago(72 * time.Hour), Labels: map[string]string{
			"serving.knative.dev/configuration": "c", "serving.knative.dev/configurationGeneration": "3",
		}},
		Status: &servingv1.RevisionStatus{ActualReplicas: proto.Int32(0)},
	}
	cases := map[string]struct {
		reason  string
		in      table.Object
		columns []string
		cells   []any
	}{
		"Dates": {
			reason:  "dates are shown as ages, and a missing one as unknown",
			in:      build,
			columns: []string{"Name", "Succeeded", "Reason", "StartTime", "CompletionTime", "Age"},
			cells:   []any{"b", "Unknown", "Building", "90s", "<unknown>", "120m"},
		},
		"Labels": {
			reason:  "labels with dots are found, integers stay integers, and what is missing has no cell",
			in:      revision,
			columns: []string{"Name", "Config Name", "Generation", "Ready", "Reason", "Actual Replicas", "Desired Replicas", "Age"},
			cells:   []any{"r", "c", "3", nil, nil, int64(0), nil, "3d"},
		},
		"Empty": {
			reason:  "an object without anything has a row",
			in:      &servingv1.Service{},
			columns: []string{"Name", "URL", "LatestCreated", "LatestReady", "Ready", "Reason", "Age"},
			cells:   []any{"", nil, nil, nil, nil, nil, "<unknown>"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := table.Render(kindOf(t, tc.in), []table.Object{tc.in}, now)
			if err != nil {
				t.Fatal(err)
			}
			columns := make([]string, 0, len(got.ColumnDefinitions))
			for _, c := range got.ColumnDefinitions {
				columns = append(columns, c.Name)
			}
			if diff := cmp.Diff(tc.columns, columns); diff != "" {
				t.Errorf("%s: columns (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.cells, got.Rows[0].Cells); diff != "" {
				t.Errorf("%s: cells (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestRenderObject shows that a row carries the object's metadata, from which kubectl takes the namespace.
func TestRenderObject(t *testing.T) {
	t.Parallel()
	in := &servingv1.Service{Metadata: &metav1.ObjectMeta{Name: "a", Namespace: "n", Generation: 2}}
	got, err := table.Render(kindOf(t, in), []*servingv1.Service{in}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Rows []struct {
			Object kmetav1.PartialObjectMetadata `json:"object"`
		} `json:"rows"`
	}
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	want := kmetav1.PartialObjectMetadata{
		TypeMeta:   kmetav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"},
		ObjectMeta: kmetav1.ObjectMeta{Name: "a", Namespace: "n", Generation: 2},
	}
	if diff := cmp.Diff(want, read.Rows[0].Object); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestColumns shows that the columns of every kind can be read, and that wide and typed ones say so.
func TestColumns(t *testing.T) {
	t.Parallel()
	for _, k := range kinds.All() {
		got, err := table.Render(k, []table.Object{}, time.Now())
		if err != nil {
			t.Errorf("%s: %s", k.Kind, err)
			continue
		}
		if len(got.ColumnDefinitions) != len(k.Columns)+2 || got.Rows == nil {
			t.Errorf("%s: got %d columns for %d, rows %v", k.Kind, len(got.ColumnDefinitions), len(k.Columns), got.Rows)
		}
	}
	k := kinds.Kind{Kind: "K", Columns: []kinds.Column{
		{Name: "A", JSONPath: ".a", Priority: 1}, {Name: "B", Type: "boolean", JSONPath: ".b"}, {Name: "C", Type: "number", JSONPath: ".c"},
	}}
	got, err := table.Render(k, []table.Object{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if c := got.ColumnDefinitions[1]; c.Priority != 1 || c.Type != "string" {
		t.Errorf("got column %+v, want a wide one of strings", c)
	}
	k.Columns[0].JSONPath = ".a["
	if _, err := table.Render(k, []table.Object{}, time.Now()); err == nil {
		t.Error("a wrong path gives no error")
	}
}
