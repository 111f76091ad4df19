// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package goapp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"fairlead.dev/services/build/builder/goapp"
)

func module(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.com/app\n\ngo 1.26\n"
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBuild(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	hello := "package main\n\nfunc main() { println(\"hello\") }\n"
	for _, c := range []struct {
		reason string
		files  map[string]string
		dir    string
		err    string
	}{
		{"a program", map[string]string{"main.go": hello}, "", ""},
		{"a program in a folder", map[string]string{"cmd/app/main.go": hello}, "cmd/app", ""},
		{"a library", map[string]string{"lib.go": "package lib\n"}, "", "holds package lib, not main"},
		{"nothing", map[string]string{}, "", "holds no Go package"},
		{"a fault", map[string]string{"main.go": "package main\n\nfunc main() { undefined() }\n"}, "", "does not build"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			var out bytes.Buffer
			cfg := goapp.Config{
				Image: host + "/app:v1", Insecure: true, Dir: filepath.Join(module(t, c.files), c.dir), Out: &out,
				Env: append(os.Environ(), "GOWORK=off", "GOPROXY=off"),
			}
			first, err := goapp.Build(context.Background(), cfg)
			if c.err != "" {
				if !errors.Is(err, goapp.ErrBuild) || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want ErrBuild with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			again, err := goapp.Build(context.Background(), cfg)
			if err != nil || again != first {
				t.Errorf("the same source gives %s, %v, and then %s", first, err, again)
			}
			ref, err := name.ParseReference(first)
			if err != nil {
				t.Fatal(err)
			}
			img, err := remote.Image(ref)
			if err != nil {
				t.Fatal(err)
			}
			config, err := img.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if config.Config.User != "65532:65532" || config.Config.Entrypoint[0] != "/app" || config.Architecture == "" {
				t.Errorf("config %+v", config)
			}
		})
	}
}
