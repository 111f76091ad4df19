// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/codec"
)

// TestObjects holds both forms of the object that is written to each other, and its size to what is promised.
func TestObjects(t *testing.T) {
	t.Parallel()
	const sent = 1767323045123456789
	got := &authv1.Role{}
	data := roleJSON("shop", "web", sent)
	if _, err := codec.Unmarshal(data, got, codec.Options{Strict: true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(role("shop", "web", sent), got, protocmp.Transform()); diff != "" {
		t.Errorf("JSON and protobuf are different objects (-protobuf +JSON):\n%s", diff)
	}
	if len(data) < 1300 || len(data) > 1600 {
		t.Errorf("the object is %d bytes of JSON; with what a server adds it is to be 1.6 kB", len(data))
	}
	encoded, err := proto.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for form, data := range map[string][]byte{"JSON": data, "protobuf": encoded} {
		var seen []int64
		sentIn(slices.Concat(data, data), func(n int64) { seen = append(seen, n) })
		if !slices.Equal(seen, []int64{sent, sent}) {
			t.Errorf("%s: times %d", form, seen)
		}
	}
	sentIn([]byte(sentMark+"12"), func(int64) { t.Error("a time that is cut off is no time") })
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	values := []int{5, 1, 4, 2, 3}
	for _, tc := range []struct {
		reason string
		part   float64
		want   int
	}{
		{"the middle", 0.5, 3},
		{"the greatest", 1, 5},
		{"the least", 0, 1},
	} {
		if got := quantile(values, tc.part); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.reason, got, tc.want)
		}
	}
	if got := quantile([]int(nil), 0.5); got != 0 {
		t.Errorf("nothing has the quantile %d", got)
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0: "0", 999.4: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(f); got != want {
			t.Errorf("thousands(%v) is %s, want %s", f, got, want)
		}
	}
}
