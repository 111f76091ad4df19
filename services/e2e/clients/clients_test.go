// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/e2e/clients"
	"fairlead.dev/services/e2e/inprocess"
	"fairlead.dev/services/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the services, whose front door lets pages of origins call, and returns where the front door is.
func start(t *testing.T, origins ...string) (server clients.Server, door string) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs what 'deploy/packages.sh development' and services/tools/npm.sh install")
	}
	s := inprocess.Start(t, func(c *gateway.Config) { c.WebOrigins = origins })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.RPC.Serve(l) }()
	front := httptest.NewServer(s.Handler)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		s.RPC.Stop()
		<-served
	})
	return clients.Server{Address: l.Addr().String(), Token: s.Admin, Namespace: "examples"}, front.URL
}

// lines are what every example prints about its Service.
func lines(service string, more ...string) []string {
	return append([]string{"ADDED " + service, "DELETED " + service}, more...)
}

func TestExamples(t *testing.T) {
	server, _ := start(t)
	for _, e := range clients.Examples() {
		t.Run(e.Language, func(t *testing.T) {
			out, err := e.Run(t.Context(), server)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(lines(e.Service), strings.Split(strings.TrimSpace(out), "\n")); d != "" {
				t.Errorf("the example's lines (-want +got):\n%s", d)
			}
		})
	}
}

// TestExampleInBrowser has the page, which is of an origin of its own, call the front door.
func TestExampleInBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	folders, err := clients.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files := http.NewServeMux()
	files.Handle("/", http.FileServer(http.Dir(folders[0])))
	files.Handle("/browser.js", http.FileServer(http.Dir(folders[1])))
	pages := httptest.NewServer(files)
	t.Cleanup(pages.Close)
	server, door := start(t, pages.URL)
	for _, protocol := range []string{"connect", "grpc-web"} {
		t.Run(protocol, func(t *testing.T) {
			out, err := clients.Look(t.Context(), "example.cjs", pages.URL, door, server.Token, server.Namespace, protocol)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(lines("hello-browser", "done"), strings.Split(strings.TrimSpace(out), "\n")); d != "" {
				t.Errorf("the page's lines (-want +got):\n%s", d)
			}
		})
	}
}

// TestReference looks at the API reference, whose page and documents are the front door's.
func TestReference(t *testing.T) {
	server, door := start(t)
	out, err := clients.Look(t.Context(), "reference.cjs", door+"/reference/", server.Token, "serving.knative.dev/v1", clients.Screenshot(t.TempDir(), "reference"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Title, Refused, Opened string
		Groups                 []string
		Operations             []string
		Elsewhere, Blocked     []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var groups []string
	for _, k := range kinds.Versions() {
		groups = append(groups, k.APIVersion())
	}
	slices.Sort(groups)
	if d := cmp.Diff(slices.Compact(groups), got.Groups); d != "" {
		t.Errorf("groups (-want +got):\n%s", d)
	}
	const services = "/apis/serving.knative.dev/v1/namespaces/{namespace}/services"
	for _, want := range []string{"GET " + services, "POST " + services, "GET " + services + "/{name}", "PATCH " + services + "/{name}", "DELETE " + services + "/{name}"} {
		if !slices.Contains(got.Operations, want) {
			t.Errorf("no operation %s among %q", want, got.Operations)
		}
	}
	if !strings.Contains(got.Opened, "Create stores a new object") || !strings.Contains(got.Opened, "fieldManager") || !strings.Contains(got.Opened, "Request body") {
		t.Errorf("an opened operation shows %q", got.Opened)
	}
	if !strings.Contains(got.Refused, "token") {
		t.Errorf("with a bad token the page says %q", got.Refused)
	}
	if len(got.Elsewhere) > 0 || len(got.Blocked) > 0 {
		t.Errorf("the page asks other servers %q, or for what its policy forbids %q", got.Elsewhere, got.Blocked)
	}
}
