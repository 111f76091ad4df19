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

// server is one on which suites are replayed.
type server struct {
	inprocess.Server

	url string
}

func serve(t *testing.T) server {
	t.Helper()
	s := inprocess.Start(t)
	front := httptest.NewServer(s.Handler)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return server{s, front.URL}
}

func (s server) runner(suite *cases.Suite) *cases.Runner {
	return cases.NewRunner(suite, s.url, s.Conn, s.Admin)
}

func TestCases(t *testing.T) {
	for _, replay := range serve(t).runner(load(t)).Replays() {
		t.Run(replay.Name, func(t *testing.T) {
			t.Parallel()
			if err := replay.Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
