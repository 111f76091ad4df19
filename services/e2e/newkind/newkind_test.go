// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package newkind_test shows that the example of a new kind in CONTRIBUTING.md works as it stands.
package newkind_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long any one thing may take.
const patience = time.Minute

func TestNewKind(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a copy of the repository")
	}
	dir := scratch(t)
	addExample(t, dir)
	copyFile(t, "testdata/main.go.txt", filepath.Join(dir, "services/fairlead/cmd/greetings/main.go"))
	command(t, dir, "", "make", "gen")
	binary := filepath.Join(dir, ".fairlead/greetings")
	command(t, dir, "", "go", "build", "-o", binary, "./services/fairlead/cmd/greetings")
	// The test of all kinds covers the new one by itself.
	if out := command(t, dir, "", "go", "test", "-run", "TestEveryVerbOfEveryKind", "-v", "./services/internal/resource"); !strings.Contains(out, "PASS: TestEveryVerbOfEveryKind/Greeting.eventing.knative.dev") {
		t.Errorf("the test of every kind does not know the new one:\n%s", out)
	}
	// So do the cases, once they have an object of it.
	if out := command(t, dir, "", "go", "test", "-run", "^TestWhatTheSuiteHas$|^TestCases$///^Greeting$", "-v", "./services/e2e/cases"); !strings.Contains(out, "/Greeting/grpc (") {
		t.Errorf("the cases do not know the new kind:\n%s", out)
	}
	s := startServer(t, binary, t.TempDir())
	s.appliesAndReconciles(t)
	s.speaksBothVersions(t)
	s.refusesFaults(t)
	s.goesBack(t)
	s.deletes(t)
}

// server is the built server, run as a process.
type server struct {
	binary, grpc, rest string
}

func startServer(t *testing.T, binary, dir string) *server {
	t.Helper()
	cmd := exec.Command(binary, dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the server says nothing: %v", err)
	}
	var at struct{ GRPC, REST string }
	if err := json.Unmarshal(line, &at); err != nil {
		t.Fatal(err)
	}
	return &server{binary, at.GRPC, at.REST}
}

// try runs a command of the command line.
func (s *server) try(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary, append([]string{"cli", "--server", s.grpc}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "FAIRLEAD_TOKEN=anybody")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// expect runs a command whose output has to contain something.
func (s *server) expect(t *testing.T, want, stdin string, args ...string) {
	t.Helper()
	out, err := s.try(t, stdin, args...)
	if err != nil || !strings.Contains(out, want) {
		t.Errorf("fairlead %s: %v, want %q in\n%s", strings.Join(args, " "), err, want, out)
	}
}

// request makes a REST request.
func (s *server) request(t *testing.T, method, path, contentType, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.rest+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer anybody")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

const (
	greetings = "/apis/eventing.knative.dev/v1/namespaces/default/greetings"
	older     = "/apis/eventing.knative.dev/v1beta1/namespaces/default/greetings"

	adaYAML = "apiVersion: eventing.knative.dev/v1\nkind: Greeting\nmetadata: {name: ada}\nspec: {name: Ada, times: 2, language: de}\n"
)

// watch begins to watch over REST. What it returns waits until an event contains something.
func (s *server) watch(t *testing.T, path string) (until func(want string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.rest+path+"?watch=true", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer anybody")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewReader(resp.Body)
	return func(want string) {
		t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("no event with %s came: %v", want, err)
			}
			if strings.Contains(line, want) {
				return
			}
		}
	}
}

func (s *server) appliesAndReconciles(t *testing.T) {
	t.Helper()
	until := s.watch(t, greetings)
	s.expect(t, "greeting.eventing.knative.dev/ada created", adaYAML, "apply", "-f", "-")
	until(`"type":"ADDED"`)
	until(`"text":"Hallo, Hallo, Ada"`)
	s.expect(t, "condition met", "", "wait", "greeting/ada", "--for=condition=Ready", "--timeout=30s")
	s.expect(t, "Hallo, Hallo, Ada", "", "get", "hi")
	code, body := s.request(t, http.MethodPatch, greetings+"/ada", "application/merge-patch+json", `{"spec":{"times":1}}`)
	if code != http.StatusOK {
		t.Errorf("patch: %d %s", code, body)
	}
	until(`"text":"Hallo, Ada"`)
}

func (s *server) speaksBothVersions(t *testing.T) {
	t.Helper()
	code, body := s.request(t, http.MethodGet, older+"/ada", "", "")
	if code != http.StatusOK || !strings.Contains(body, `"whom":"Ada"`) || !strings.Contains(body, `"text":"Hallo, Ada"`) ||
		!strings.Contains(body, `"apiVersion":"eventing.knative.dev/v1beta1"`) {
		t.Errorf("the older form: %d %s", code, body)
	}
	until := s.watch(t, older)
	if code, body = s.request(t, http.MethodPut, older+"/ada", "application/json", strings.Replace(body, `"whom":"Ada"`, `"whom":"Grace"`, 1)); code != http.StatusOK {
		t.Errorf("put of the older form: %d %s", code, body)
	}
	until(`"text":"Hallo, Grace"`) // the language, which the older form cannot say, is still there
	s.expect(t, "greeting.eventing.knative.dev/old created",
		"apiVersion: eventing.knative.dev/v1beta1\nkind: Greeting\nmetadata: {name: old}\nspec: {whom: Alan}\n", "apply", "-f", "-")
	until(`"text":"Hello, Alan"`)
	s.expect(t, "name: Alan", "", "get", "greeting", "old", "-o", "yaml")
	s.expect(t, "whom: Alan", "", "get", "greetings.v1beta1.eventing.knative.dev", "old", "-o", "yaml")
	if code, body := s.request(t, http.MethodGet, "/apis/eventing.knative.dev", "", ""); code != http.StatusOK ||
		!strings.Contains(body, `"preferredVersion":{"groupVersion":"eventing.knative.dev/v1"`) || !strings.Contains(body, "eventing.knative.dev/v1beta1") {
		t.Errorf("discovery: %d %s", code, body)
	}
	for _, version := range []string{"v1", "v1beta1"} {
		if code, body := s.request(t, http.MethodGet, "/openapi/v3/apis/eventing.knative.dev/"+version, "", ""); code != http.StatusOK || !strings.Contains(body, "greetings/{name}/history") {
			t.Errorf("OpenAPI of %s: %d %.200s", version, code, body)
		}
	}
}

func (s *server) refusesFaults(t *testing.T) {
	t.Helper()
	for path, body := range map[string]string{
		greetings: `{"apiVersion":"eventing.knative.dev/v1","kind":"Greeting","metadata":{"name":"Not_Good"},"spec":{"times":9,"language":"xx"}}`,
		older:     `{"apiVersion":"eventing.knative.dev/v1beta1","kind":"Greeting","metadata":{"name":"Not_Good"},"spec":{}}`,
	} {
		code, answer := s.request(t, http.MethodPost, path, "application/json", body)
		if code != http.StatusUnprocessableEntity || !strings.Contains(answer, `"field":"metadata.name"`) || !strings.Contains(answer, `"reason":"FieldValueRequired"`) {
			t.Errorf("faults: %d %s", code, answer)
		}
	}
	if code, answer := s.request(t, http.MethodPost, older, "application/json", `{"metadata":{"name":"n"},"spec":{"whom":"Nobody"}}`); code != http.StatusUnprocessableEntity || !strings.Contains(answer, "nobody cannot be greeted") {
		t.Errorf("a fault of the stored form: %d %s", code, answer)
	}
	if code, answer := s.request(t, http.MethodPatch, greetings+"/ada", "application/merge-patch+json", `{"spec":{"language":"en"}}`); code != http.StatusUnprocessableEntity || !strings.Contains(answer, "field is immutable") {
		t.Errorf("a change of what cannot change: %d %s", code, answer)
	}
	out, err := s.try(t, adaYAML+"---\n"+strings.NewReplacer("name: ada", "name: bad", "name: Ada", "name: nobody").Replace(adaYAML), "apply", "--atomic", "-f", "-")
	if err == nil || !strings.Contains(out, "nobody cannot be greeted") {
		t.Errorf("atomic apply with a fault: %v\n%s", err, out)
	}
	s.expect(t, "name: Grace", "", "get", "greeting", "ada", "-o", "yaml") // nothing of it was stored
}

func (s *server) goesBack(t *testing.T) {
	t.Helper()
	s.expect(t, "spec.name", "", "history", "greeting", "ada")
	until := s.watch(t, greetings)
	s.expect(t, "rolled back", "", "rollback", "greeting", "ada", "--to", "1")
	until(`"text":"Hallo, Hallo, Ada"`)
	if code, body := s.request(t, http.MethodPost, greetings+"/ada/rollback?generation=99", "", ""); code != http.StatusUnprocessableEntity {
		t.Errorf("rollback to what never was: %d %s", code, body)
	}
	if code, body := s.request(t, http.MethodPost, greetings+"/ada/rollback?generation=2&dryRun=All", "", ""); code != http.StatusOK || !strings.Contains(body, `"times":1`) {
		t.Errorf("rollback over REST: %d %s", code, body)
	}
	if code, body := s.request(t, http.MethodGet, greetings+"/ada/history", "", ""); code != http.StatusOK || !strings.Contains(body, `"generation":1`) {
		t.Errorf("history over REST: %d %s", code, body)
	}
	// The patch made another the manager of the field: who applies it is told, and may insist.
	thrice := strings.ReplaceAll(adaYAML, "times: 2", "times: 3")
	if code, body := s.request(t, http.MethodPost, "/apply?atomic=true", "application/yaml", thrice); code != http.StatusConflict || !strings.Contains(body, `"field":".spec.times"`) {
		t.Errorf("atomic apply over REST of another's field: %d %s", code, body)
	}
	if code, body := s.request(t, http.MethodPost, "/apply?atomic=true&force=true", "application/yaml", thrice); code != http.StatusOK || !strings.Contains(body, `"action":"configured"`) {
		t.Errorf("atomic apply over REST: %d %s", code, body)
	}
	until(`"text":"Hallo, Hallo, Hallo, Ada"`)
}

func (s *server) deletes(t *testing.T) {
	t.Helper()
	until := s.watch(t, greetings)
	s.expect(t, "deleted", "", "delete", "greetings", "--all")
	until(`"type":"DELETED"`)
	s.expect(t, "No resources found", "", "get", "greetings")
}
