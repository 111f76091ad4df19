// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package differential_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/e2e/bench"
	"fairlead.dev/services/e2e/cases"
	"fairlead.dev/services/e2e/differential"
	"fairlead.dev/services/e2e/inprocess"
)

// theirs starts a kube-apiserver that has all our kinds, and returns where it is and what sends requests to it.
func theirs(t *testing.T) (url string, transport http.RoundTripper) {
	t.Helper()
	state := os.Getenv("FAIRLEAD_STATE")
	if state == "" {
		t.Fatal("FAIRLEAD_STATE is not set; run these tests with 'make test'")
	}
	k, err := bench.StartKube(t.Context(), filepath.Join(state, "bin", "devcluster"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	var group errgroup.Group
	for _, kind := range kinds.All() {
		group.Go(func() error {
			definition, err := differential.Definition(kind)
			if err != nil {
				return err
			}
			return k.Define(t.Context(), definition, "/apis/"+kind.APIVersion()+"/"+kind.Plural)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return k.URL, &namespaces{url: k.URL, next: k.Transport(), there: map[string]*sync.Once{}}
}

// namespaces makes each namespace in which something is done, as they are simply there in process.
type namespaces struct {
	url  string
	next http.RoundTripper

	mu    sync.Mutex
	there map[string]*sync.Once
}

var namespacePath = regexp.MustCompile(`^/apis/[^/]+/[^/]+/namespaces/([a-z0-9-]+)(/|$)`)

func (n *namespaces) RoundTrip(req *http.Request) (*http.Response, error) {
	found := namespacePath.FindStringSubmatch(req.URL.Path)
	if found == nil || strings.HasPrefix(found[1], inprocess.Missing) {
		return n.next.RoundTrip(req)
	}
	n.mu.Lock()
	once, ok := n.there[found[1]]
	if !ok {
		once = &sync.Once{}
		n.there[found[1]] = once
	}
	n.mu.Unlock()
	var failed error
	once.Do(func() { failed = n.make(req, found[1]) })
	if failed != nil {
		return nil, failed
	}
	return n.next.RoundTrip(req)
}

func (n *namespaces) make(of *http.Request, name string) error {
	body, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}})
	if err != nil {
		return err
	}
	requests := [][2]string{{http.MethodPost, "/api/v1/namespaces"}}
	if strings.HasPrefix(name, inprocess.Ending) { // without controllers it never ends
		requests = append(requests, [2]string{http.MethodDelete, "/api/v1/namespaces/" + name})
	}
	for _, r := range requests {
		if r[0] == http.MethodDelete {
			body = nil
		}
		req, err := http.NewRequestWithContext(of.Context(), r[0], n.url+r[1], bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := n.next.RoundTrip(req)
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		if res.StatusCode >= http.StatusBadRequest {
			return fmt.Errorf("namespace %s: %s", name, res.Status)
		}
	}
	return nil
}

// authorized sends a token with each request.
type authorized struct {
	next  http.RoundTripper
	token string
}

func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+a.token)
	return a.next.RoundTrip(req)
}

// ours starts the front door in process.
func ours(t *testing.T) (url string, transport http.RoundTripper) {
	t.Helper()
	s := inprocess.Start(t)
	front := httptest.NewServer(s.Handler)
	next := &http.Transport{DisableCompression: true}
	t.Cleanup(func() {
		next.CloseIdleConnections()
		front.CloseClientConnections()
		front.Close()
	})
	return front.URL, &authorized{next, s.Admin}
}

// TestDifferential sends every request of the cases that another server of the same kinds can answer, and those of
// testdata/requests, to a real kube-apiserver and to us.
func TestDifferential(t *testing.T) {
	suite, err := cases.Load(os.DirFS("../cases/testdata"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cases.LoadRequests(os.DirFS("testdata/requests"), suite); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/accepted.yaml")
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := differential.ReadList(data)
	if err != nil {
		t.Fatal(err)
	}
	requests, differences := replay(t, suite)
	if requests < 500 {
		t.Errorf("%d requests were compared, want 500 at least", requests)
	}
	known := 0
	for _, d := range differences {
		if accepted.Accept(d) {
			known++
			continue
		}
		t.Error(d)
	}
	t.Logf("%d requests, %d differences, %d of them accepted by %d reasons", requests, len(differences), known, len(accepted))
	for _, a := range accepted.Unused() {
		t.Errorf("no difference is accepted any more by: %s (%v %v)", a.Reason, a.Cases, a.Fields)
	}
}

// replay takes all stories on both servers, a few at a time.
func replay(t *testing.T, suite *cases.Suite) (requests int, differences []differential.Difference) {
	t.Helper()
	theirURL, theirTransport := theirs(t)
	ourURL, ourTransport := ours(t)
	stories := suite.Stories()
	compared, found := make([]int, len(stories)), make([][]differential.Difference, len(stories))
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	for i, story := range stories {
		group.Go(func() error {
			var a, b []cases.Exchange
			pair, ctx := errgroup.WithContext(ctx)
			pair.Go(func() (err error) {
				a, err = suite.Record(ctx, story, theirURL, theirTransport)
				return err
			})
			pair.Go(func() (err error) {
				b, err = suite.Record(ctx, story, ourURL, ourTransport)
				return err
			})
			if err := pair.Wait(); err != nil {
				return fmt.Errorf("%s/%s: %w", story.File, story.Case, err)
			}
			compared[i], found[i] = differential.Compare(story, a, b)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, n := range compared {
		requests += n
	}
	return requests, slices.Concat(found...)
}
