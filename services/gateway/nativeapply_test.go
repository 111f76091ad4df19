// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"fairlead.dev/services/gateway"
)

// TestAVersionThatWasNotThereIsNotRemembered applies an object of a group that the cluster comes to have.
func TestAVersionThatWasNotThereIsNotRemembered(t *testing.T) {
	var there atomic.Bool
	f := startBefore(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !there.Load():
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, "/v1"):
			_, _ = io.WriteString(w, `{"kind":"APIResourceList","groupVersion":"example.org/v1","resources":[{"name":"things","kind":"Thing"}]}`)
		default:
			_, _ = io.WriteString(w, `{"metadata":{"name":"a","resourceVersion":"1"}}`)
		}
	}, func(*gateway.Config, *gateway.Deps) {})
	const thing = `{"apiVersion":"example.org/v1","kind":"Thing","metadata":{"name":"a"}}`
	for _, want := range []int{http.StatusNotFound, http.StatusOK} {
		if code, _, body := f.send(http.MethodPost, "/apply", thing); code != want {
			t.Errorf("%d, want %d: %s", code, want, body)
		}
		there.Store(true)
	}
}
