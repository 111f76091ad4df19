// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package differential_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/e2e/cases"
	"fairlead.dev/services/e2e/differential"
)

// exchange is an answer with a JSON object.
func exchange(t *testing.T, code int, body string) cases.Exchange {
	t.Helper()
	e := cases.Exchange{Step: 1, Do: "get", Request: "GET /a", Code: code, Header: http.Header{"Content-Type": {"application/json"}}}
	if err := json.Unmarshal([]byte(body), &e.Object); err != nil {
		t.Fatal(err)
	}
	if code >= http.StatusBadRequest {
		e.Status = &kmetav1.Status{}
		if err := json.Unmarshal([]byte(body), e.Status); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func TestCompare(t *testing.T) {
	for _, tc := range []struct {
		reason       string
		code         int
		theirs, ours string
		fields       []string
	}{
		{
			"what servers make is the same", 200,
			`{"metadata":{"uid":"00000000-0000-0000-0000-000000000001","resourceVersion":"5","creationTimestamp":"2020-01-01T00:00:00Z"}}`,
			`{"metadata":{"uid":"00000000-0000-0000-0000-000000000002","resourceVersion":"7","creationTimestamp":"2021-01-01T00:00:00Z"}}`, nil,
		},
		{"a time that is none", 200, `{"metadata":{"creationTimestamp":"2020-01-01T00:00:00Z"}}`, `{"metadata":{"creationTimestamp":"soon"}}`, []string{"object.metadata.creationTimestamp"}},
		{"a name that was made", 200, `{"metadata":{"name":"a-12345","generateName":"a-"}}`, `{"metadata":{"name":"a-54321","generateName":"a-"}}`, nil},
		{"a value", 200, `{"a":[{"b":1}]}`, `{"a":[{"b":2}]}`, []string{"object.a[0].b"}},
		{"a length", 200, `{"a":[1]}`, `{"a":[]}`, []string{"object.a"}},
		{"what is not there", 200, `{"a":{"b":1,"c":2}}`, `{}`, []string{"object.a.b", "object.a.c"}},
		{"empty is not nothing", 200, `{"a":{}}`, `{}`, []string{"object.a"}},
		{"messages are words", 404, `{"reason":"NotFound","message":"a"}`, `{"reason":"NotFound","message":"b"}`, nil},
		{"reasons are not", 409, `{"reason":"Conflict"}`, `{"reason":"AlreadyExists"}`, []string{"status.reason"}},
		{"causes in any order", 422, `{"details":{"causes":[{"field":"a"},{"field":"b"}]}}`, `{"details":{"causes":[{"field":"b"},{"field":"a"}]}}`, nil},
		{"other causes", 422, `{"details":{"causes":[{"field":"a"}]}}`, `{"details":{"causes":[{"field":"b"}]}}`, []string{"status.causes[0]"}},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			n, all := differential.Compare(cases.Story{}, []cases.Exchange{exchange(t, tc.code, tc.theirs)}, []cases.Exchange{exchange(t, tc.code, tc.ours)})
			var fields []string
			for _, d := range all {
				fields = append(fields, d.Field)
			}
			if d := cmp.Diff(tc.fields, fields); n != 1 || d != "" {
				t.Errorf("%d compared (-want +got):\n%s", n, d)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	list, err := differential.ReadList([]byte(`
- {reason: a, fields: ["*.b"], cases: [file/*], theirs: "1"}
- {reason: b, fields: [code], ours: "422 *name*"}
- {reason: c, fields: [c], theirs: nothing}
- {reason: d, fields: [d]}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		reason string
		d      differential.Difference
		want   bool
	}{
		{"all fits", differential.Difference{Case: "file/one", Field: "a.b", Theirs: "1"}, true},
		{"another file", differential.Difference{Case: "other/one", Field: "a.b", Theirs: "1"}, false},
		{"another value", differential.Difference{Case: "file/one", Field: "a.b", Theirs: "2"}, false},
		{"another field", differential.Difference{Case: "file/one", Field: "a.bc", Theirs: "1"}, false},
		{"parts of a message", differential.Difference{Field: "code", Ours: "422 Invalid: name: required"}, true},
		{"other parts", differential.Difference{Field: "code", Ours: "422 Invalid"}, false},
		{"nothing there", differential.Difference{Field: "c"}, true},
		{"something there", differential.Difference{Field: "c", Theirs: "1"}, false},
	} {
		if got := list.Accept(tc.d); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.reason, got, tc.want)
		}
	}
	if unused := list.Unused(); len(unused) != 1 || unused[0].Reason != "d" {
		t.Errorf("unused: %v", unused)
	}
	for _, bad := range []string{"- {fields: [a]}", "- {reason: a}", "- {reason: a, fields: [a], unknown: b}"} {
		if _, err := differential.ReadList([]byte(bad)); err == nil {
			t.Errorf("%s is taken for an entry", bad)
		}
	}
}
