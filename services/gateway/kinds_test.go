// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"fairlead.dev/gen/go/kinds"
)

// TestEveryKindIsServed fails for a kind that is not answered over REST.
func TestEveryKindIsServed(t *testing.T) {
	f := start(t)
	for _, k := range kinds.Versions() {
		t.Run(k.Kind+"."+k.Group, func(t *testing.T) {
			group := "/apis/" + k.APIVersion()
			lists := []string{group + "/" + k.Plural}
			if k.Namespaced {
				lists = append(lists, group+"/namespaces/default/"+k.Plural)
			}
			for _, path := range lists {
				code, _, body := f.send(http.MethodGet, path, "")
				if want := fmt.Sprintf(`"kind":"%sList"`, k.Kind); code != http.StatusOK || !strings.Contains(body, want) {
					t.Errorf("GET %s: got %d %s, want 200 with %s", path, code, body, want)
				}
			}
			path := lists[len(lists)-1] + "/absent"
			if code, _, body := f.send(http.MethodGet, path, ""); code != http.StatusNotFound || !strings.Contains(body, `\"absent\" not found`) {
				t.Errorf("GET %s: got %d %s, want 404 for that object", path, code, body)
			}
		})
	}
}
