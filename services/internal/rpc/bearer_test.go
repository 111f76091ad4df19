// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import "testing"

func TestBearer(t *testing.T) {
	for header, want := range map[string]string{
		"Bearer a.b.c": "a.b.c", "bearer  a ": "a", "BEARER a": "a", "": "", "Bearer": "", "Bearer ": "", "Basic a": "", "a": "",
	} {
		if got, ok := Bearer(header); ok != (want != "") || ok && got != want {
			t.Errorf("%q: got %q, %t", header, got, ok)
		}
	}
}
