// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cases_test

import (
	"net/http/httptest"
	"os"
	"testing"

	"go.uber.org/goleak"

	"fairlead.dev/services/e2e/cases"
	"fairlead.dev/services/e2e/inprocess"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t *testing.T) *cases.Suite {
	t.Helper()
	suite, err := cases.Load(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	return suite
}

// start runs a server, and returns what replays a suite on it.
func start(t *testing.T, suite *cases.Suite) *cases.Runner {
	t.Helper()
	server := inprocess.Start(t)
	front := httptest.NewServer(server.Handler)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return cases.NewRunner(suite, front.URL, server.Conn, server.Admin)
}

func TestCases(t *testing.T) {
	runner := start(t, load(t))
	for _, replay := range runner.Replays() {
		t.Run(replay.Name, func(t *testing.T) {
			t.Parallel()
			if err := replay.Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
