// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestDataPlaneKnowsNeitherEtcdNorKubernetes keeps the dispatcher apart from what only the service may use.
func TestDataPlaneKnowsNeitherEtcdNorKubernetes(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		for _, no := range []string{"go.etcd.io/", "k8s.io/client-go", "sigs.k8s.io/controller-runtime", "fairlead.dev/services/internal/store"} {
			if strings.HasPrefix(pkg, no) {
				t.Errorf("the dispatcher depends on %s", pkg)
			}
		}
	}
}
