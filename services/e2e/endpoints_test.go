// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import "testing"

// endpoint is a place where Kubernetes clients find our kinds.
type endpoint struct {
	name, kubeconfig string
}

// endpoints are all of them: what is tested with a Kubernetes client is tested at each.
func endpoints(t *testing.T) []endpoint {
	t.Helper()
	return []endpoint{{name: "front door", kubeconfig: s.server.Config().Kubeconfig}, clusterEndpoint(t)}
}
