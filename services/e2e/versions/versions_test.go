// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package versions_test shows that documents of older versions apply as they are, over REST and by the command line, and read
// back in their own version and in v1.
package versions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/e2e/inprocess"
	"fairlead.dev/services/fairlead/cli"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files anew")

// patience is how long any one thing may take.
const patience = time.Minute

// rig is a server in the process, with REST and gRPC on addresses.
type rig struct {
	inprocess.Server

	t    *testing.T
	rest string
	grpc string
	ctx  context.Context //nolint:containedctx // of all calls of a test
}

func start(t *testing.T) *rig {
	t.Helper()
	r := &rig{Server: inprocess.Start(t), t: t}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r.ctx = ctx
	front := httptest.NewServer(r.Handler)
	t.Cleanup(front.Close)
	r.rest = front.URL
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.RPC.Serve(listener) }() // ends with the server
	r.grpc = listener.Addr().String()
	return r
}

// call makes a REST request.
func (r *rig) call(method, path, contentType, body string, header ...string) (int, string, http.Header) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.ctx, method, r.rest+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Admin)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(data), resp.Header
}

// must makes a REST request that has to succeed.
func (r *rig) must(method, path, contentType, body string, header ...string) string {
	r.t.Helper()
	code, data, _ := r.call(method, path, contentType, body, header...)
	if code >= http.StatusBadRequest {
		r.t.Fatalf("%s %s: %d %s", method, path, code, data)
	}
	return data
}

// fairlead runs the command line.
func (r *rig) fairlead(args ...string) (stdout, stderr string, code int) {
	r.t.Helper()
	r.t.Setenv("FAIRLEAD_TOKEN", r.Admin)
	var out, errs bytes.Buffer
	root := cli.New("test", cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	root.SetArgs(append([]string{"--server", r.grpc}, args...))
	code = cli.Run(r.ctx, root)
	return out.String(), errs.String(), code
}

// document is one document of a file.
type document struct {
	kind            kinds.Kind // the zero value for kinds that are not ours
	apiVersion      string
	kindName, name  string
	namespace, json string
}

// path is that of the document's kind in a version.
func (d document) path(version string) string {
	return "/apis/" + d.kind.Group + "/" + version + "/namespaces/" + d.namespace + "/" + d.kind.Plural
}

func documents(t *testing.T, file string) []document {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	all, err := codec.Documents(data, codec.Limits{Documents: 100})
	if err != nil {
		t.Fatal(err)
	}
	var out []document
	for _, raw := range all {
		apiVersion, kind, name, err := codec.TypeMeta(raw)
		if err != nil {
			t.Fatal(err)
		}
		d := document{apiVersion: apiVersion, kindName: kind, name: name.Name, namespace: name.Namespace, json: string(raw)}
		for _, k := range kinds.Versions() {
			if k.APIVersion() == apiVersion && k.Kind == kind {
				d.kind = k
			}
		}
		out = append(out, d)
	}
	return out
}

// files are the documents whose kinds exist, and how many of them there have to be in each.
func files() map[string]int {
	return map[string]int{"serving-v1alpha1.yaml": 6, "build-v1alpha1.yaml": 1, "serving-later.yaml": 9, "eventing-older.yaml": 6}
}

func ours(t *testing.T, file string, want int) []document {
	t.Helper()
	var out []document
	for _, d := range documents(t, file) {
		if d.kind.Kind != "" {
			out = append(out, d)
		}
	}
	if len(out) != want {
		t.Fatalf("%s has %d documents of our kinds, want %d", file, len(out), want)
	}
	return out
}

// TestDocumentsOverREST makes what each document says, and reads it in its own version and in v1.
func TestDocumentsOverREST(t *testing.T) {
	for file, n := range files() {
		t.Run(file, func(t *testing.T) {
			r := start(t)
			for _, d := range ours(t, file, n) {
				r.must(http.MethodPost, d.path(d.kind.Version), "application/json", d.json)
				r.reads(d, file)
			}
		})
	}
}

// TestDocumentsByCommand applies each file with the command line: once all is made, and then all is as it should be.
func TestDocumentsByCommand(t *testing.T) {
	for file, n := range files() {
		t.Run(file, func(t *testing.T) {
			r := start(t)
			ds := ours(t, file, n)
			var all []string
			for _, d := range ds {
				all = append(all, d.json)
			}
			path := filepath.Join(t.TempDir(), "documents.yaml")
			if err := os.WriteFile(path, []byte(strings.Join(all, "\n---\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, becomes := range []string{wire.Created, wire.Unchanged} {
				out, errs, code := r.fairlead("apply", "-f", path)
				if code != 0 || strings.Count(out, becomes) != n {
					t.Fatalf("exit code %d, want %d %s:\n%s%s", code, n, becomes, out, errs)
				}
				if file == "serving-v1alpha1.yaml" && !strings.Contains(errs, "spec.build is kept, but not acted on") {
					t.Errorf("nobody is told of the build: %s", errs)
				}
			}
			for _, d := range ds {
				r.reads(d, file)
			}
			out, errs, code := r.fairlead("get", ds[0].kind.Plural+"."+ds[0].kind.Version+"."+ds[0].kind.Group, ds[0].name, "-n", ds[0].namespace, "-o", "yaml")
			if code != 0 || !strings.Contains(out, "apiVersion: "+ds[0].apiVersion+"\n") {
				t.Errorf("get: %d %s%s", code, out, errs)
			}
		})
	}
}

// reads compares what is read with the golden files, and with the document itself: nothing that it says may be missing.
func (r *rig) reads(d document, file string) {
	r.t.Helper()
	inOwn := r.must(http.MethodGet, d.path(d.kind.Version)+"/"+d.name, "", "")
	var wants, has any
	decode(r.t, d.json, &wants)
	decode(r.t, inOwn, &has)
	if missing := within("", wants, has); missing != "" {
		r.t.Errorf("%s %s: %s is not as in the document:\n%s", d.kindName, d.name, missing, inOwn)
	}
	base := strings.TrimSuffix(file, ".yaml") + "/" + strings.ToLower(d.kindName) + "-" + d.name
	r.golden(base+"."+d.kind.Version+".json", inOwn)
	if stored := d.kind.Stored(); stored.Version != d.kind.Version {
		r.golden(base+"."+stored.Version+".json", r.must(http.MethodGet, d.path(stored.Version)+"/"+d.name, "", ""))
	}
}

// within returns where what is wanted is not in what there is; nothing where all of it is.
func within(path string, wants, has any) string {
	switch w := wants.(type) {
	case map[string]any:
		h, ok := has.(map[string]any)
		if !ok {
			return path
		}
		for key, value := range w {
			if missing := within(path+"."+key, value, h[key]); missing != "" {
				return missing
			}
		}
		return ""
	case []any:
		h, ok := has.([]any)
		if !ok || len(h) != len(w) {
			return path
		}
		for i := range w {
			if missing := within(path+"[]", w[i], h[i]); missing != "" {
				return missing
			}
		}
		return ""
	}
	if !cmp.Equal(wants, has) {
		return path
	}
	return ""
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// golden compares an object with a file, but for what differs from server to server.
func (r *rig) golden(name, text string) {
	r.t.Helper()
	var obj map[string]any
	decode(r.t, text, &obj)
	meta, _ := obj["metadata"].(map[string]any)
	for _, key := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"} {
		delete(meta, key)
	}
	if annotations, ok := meta["annotations"].(map[string]any); ok {
		for _, key := range []string{wire.AnnotationTraceParent} {
			delete(annotations, key)
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(obj); err != nil {
		r.t.Fatal(err)
	}
	path := filepath.Join("testdata/golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	if d := cmp.Diff(string(want), out.String()); d != "" {
		r.t.Errorf("%s (-want +got):\n%s", path, d)
	}
}
