// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"fairlead.dev/services/e2e/clients"
)

// TestClients runs the examples of the generated clients against a server in a process of its own, where a controller and a
// cluster have their say about the Services: between the first line and the last there may be others.
func TestClients(t *testing.T) {
	at := clients.Server{Address: fmt.Sprintf("127.0.0.1:%d", s.server.Config().Ports.GRPC), Token: token(t), Namespace: namespace(t)}
	for _, e := range clients.Examples() {
		t.Run(e.Language, func(t *testing.T) {
			out, err := e.Run(t.Context(), at)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if err != nil || lines[0] != "ADDED "+e.Service || lines[len(lines)-1] != "DELETED "+e.Service {
				t.Errorf("%v: %q", err, lines)
			}
		})
	}
}
