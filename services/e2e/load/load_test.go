// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeDoor keeps objects in memory, and can be told to go wrong.
type fakeDoor struct {
	mu      sync.Mutex
	version int
	objects map[string]map[string]any
	events  []map[string]any
	moved   chan struct{}
	// lose has every so many-th acknowledged change forgotten, mute leaves every so many-th event out, fail answers every
	// so many-th write with 503 after it happened.
	lose, mute, fail int
	writes           int
}

func newFakeDoor() *fakeDoor {
	return &fakeDoor{objects: map[string]map[string]any{}, moved: make(chan struct{})}
}

func every(n, i int) bool { return n > 0 && i%n == 0 }

func (f *fakeDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") != "" {
		f.watch(w, r)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method == http.MethodGet && strings.Count(r.URL.Path, "/") == 6 {
		var items []any
		for path, o := range f.objects {
			if strings.HasPrefix(path, r.URL.Path+"/") {
				items = append(items, o)
			}
		}
		answer(w, 200, map[string]any{"metadata": map[string]any{"resourceVersion": fmt.Sprint(f.version)}, "items": items})
		return
	}
	if r.Method == http.MethodGet {
		if o, ok := f.objects[r.URL.Path]; ok {
			answer(w, 200, o)
			return
		}
		answer(w, 404, nil)
		return
	}
	f.write(w, r)
}

func (f *fakeDoor) write(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if r.Method != http.MethodDelete {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			answer(w, 400, nil)
			return
		}
	}
	path, kind := r.URL.Path, "MODIFIED"
	meta, _ := body["metadata"].(map[string]any)
	if r.Method == http.MethodPost {
		path, kind = path+"/"+fmt.Sprint(meta["name"]), "ADDED"
	}
	if old, ok := f.objects[path]; ok && r.Method == http.MethodPatch {
		meta["name"] = old["metadata"].(map[string]any)["name"]
	}
	f.writes++
	code := 200
	if every(f.fail, f.writes) {
		code = 503
	}
	if every(f.lose, f.writes) {
		answer(w, code, nil)
		return
	}
	f.version++
	object := map[string]any{"metadata": meta}
	if r.Method == http.MethodDelete {
		kind, object = "DELETED", map[string]any{"metadata": map[string]any{"name": path[strings.LastIndex(path, "/")+1:]}}
		delete(f.objects, path)
	} else {
		f.objects[path] = object
	}
	object["metadata"].(map[string]any)["resourceVersion"] = fmt.Sprint(f.version)
	if !every(f.mute, f.writes) {
		f.events = append(f.events, map[string]any{"type": kind, "object": object, "path": path})
	}
	close(f.moved)
	f.moved = make(chan struct{})
	answer(w, code, object)
}

// watch sends the events after a version.
func (f *fakeDoor) watch(w http.ResponseWriter, r *http.Request) {
	from := number(r.URL.Query().Get("resourceVersion"))
	next := 0
	for {
		f.mu.Lock()
		for ; next < len(f.events); next++ {
			e := f.events[next]
			version := number(e["object"].(map[string]any)["metadata"].(map[string]any)["resourceVersion"].(string))
			if version > from && strings.HasPrefix(e["path"].(string), r.URL.Path+"/") {
				write(w, e)
			}
		}
		moved := f.moved
		f.mu.Unlock()
		_ = http.NewResponseController(w).Flush()
		select {
		case <-moved:
		case <-r.Context().Done():
			return
		}
	}
}

func answer(w http.ResponseWriter, code int, body any) {
	w.WriteHeader(code)
	write(w, body)
}

func write(w http.ResponseWriter, body any) {
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
}

func TestCheckTellsWhatIsLost(t *testing.T) {
	tests := map[string]struct {
		reason string
		spoil  func(*fakeDoor)
		want   string // part of the error; empty for none
	}{
		"nothing":     {"a door that keeps everything passes", func(*fakeDoor) {}, ""},
		"unknown":     {"a write that happened though it failed is no fault", func(f *fakeDoor) { f.fail = 5 }, ""},
		"lost writes": {"an acknowledged write that is gone is a fault", func(f *fakeDoor) { f.lose = 7 }, "was acknowledged"},
		"lost events": {"a watcher that ends with another state is a fault", func(f *fakeDoor) { f.mute = 2 }, "watcher"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFakeDoor()
			tt.spoil(f)
			server := httptest.NewServer(f)
			defer server.Close()
			l := Start(t.Context(), Config{
				Door: &Door{URL: server.URL, Client: server.Client()}, Namespace: "n",
				Writers: 1, Objects: 2, Watchers: 1, Patience: 2 * time.Second,
			})
			for l.Acknowledged() < 60 {
				if !wait(t.Context(), 5*time.Millisecond) {
					t.Fatal("no writes")
				}
			}
			report, err := l.Check(t.Context())
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s: got %v, want an error with %q (%s)", tt.reason, err, tt.want, report)
			}
			if report.Acknowledged < 60 || tt.want == "" && report.Events == 0 {
				t.Errorf("report: %s", report)
			}
		})
	}
}
