// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"
)

var errRelist = errors.New("the version is gone")

// watcher keeps a copy of all objects of a kind, as an informer does.
type watcher struct {
	load     *Load
	resource resource
	name     string
	// cursor is the version up to which the copy is complete; empty before the first list.
	cursor string

	mu      sync.Mutex
	objects map[string]int64
	version map[string]int64
	moved   chan struct{}
	events  int
	relists int
	resumed int
}

func newWatcher(l *Load, r resource, name string) *watcher {
	return &watcher{load: l, resource: r, name: name, objects: map[string]int64{}, version: map[string]int64{}, moved: make(chan struct{})}
}

func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.follow(ctx)
		w.mu.Lock()
		w.resumed++
		w.mu.Unlock()
		if errors.Is(err, errRelist) {
			w.cursor = ""
			continue
		}
		wait(ctx, 100*time.Millisecond)
	}
}

// list reads all objects.
func (w *watcher) list(ctx context.Context) error {
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []meta `json:"items"`
	}
	code, err := w.load.cfg.Door.read(ctx, w.resource.path(w.load.cfg.Namespace), &list)
	if err != nil || code != http.StatusOK {
		return fmt.Errorf("list: %d %w", code, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.relists++
	w.objects, w.version = map[string]int64{}, map[string]int64{}
	for _, m := range list.Items {
		w.objects[m.Metadata.Name] = m.value()
		w.version[m.Metadata.Name] = number(m.Metadata.ResourceVersion)
	}
	w.cursor = list.Metadata.ResourceVersion
	w.tell()
	return nil
}

// follow watches until the watch ends.
func (w *watcher) follow(ctx context.Context) error {
	if w.cursor == "" {
		if err := w.list(ctx); err != nil {
			return err
		}
	}
	path := w.resource.path(w.load.cfg.Namespace) + "?watch=true&allowWatchBookmarks=true&resourceVersion=" + w.cursor
	res, err := w.load.cfg.Door.open(ctx, http.MethodGet, path, "", "")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusGone {
		return errRelist
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("watch: %d", res.StatusCode)
	}
	lines := json.NewDecoder(res.Body)
	for {
		var e struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := lines.Decode(&e); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		if err := w.take(e.Type, e.Object); err != nil {
			return err
		}
	}
}

// take brings the copy up to an event.
func (w *watcher) take(kind string, object []byte) error {
	if kind == "ERROR" {
		var s struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(object, &s); err == nil && s.Code == http.StatusGone {
			return errRelist
		}
		return fmt.Errorf("watch: %s", object)
	}
	var m meta
	if err := json.Unmarshal(object, &m); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cursor = m.Metadata.ResourceVersion
	name, version := m.Metadata.Name, number(m.Metadata.ResourceVersion)
	switch kind {
	case "ADDED", "MODIFIED":
		w.events++
		if version <= w.version[name] {
			w.load.faultf("%s: %s of %s at version %d came after %d", w.name, kind, name, version, w.version[name])
		}
		w.objects[name], w.version[name] = m.value(), version
	case "DELETED":
		w.events++
		if _, ok := w.objects[name]; !ok {
			w.load.faultf("%s: %s was deleted without having been", w.name, name)
		}
		delete(w.objects, name)
	}
	w.tell()
	return nil
}

// tell wakes who waits for a change. w.mu must be held.
func (w *watcher) tell() {
	close(w.moved)
	w.moved = make(chan struct{})
}

// settle waits until the copy is what is expected.
func (w *watcher) settle(ctx context.Context, expected map[string]int64) {
	for {
		w.mu.Lock()
		same, moved, have := maps.Equal(w.objects, expected), w.moved, maps.Clone(w.objects)
		w.mu.Unlock()
		if same {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			for name, value := range expected {
				if got, ok := have[name]; !ok || got != value {
					w.load.faultf("%s: %s is %d (known: %t), and should be %d", w.name, name, got, ok, value)
				}
			}
			for name := range have {
				if _, ok := expected[name]; !ok {
					w.load.faultf("%s: %s is there, and should not be", w.name, name)
				}
			}
			return
		}
	}
}

func number(version string) int64 {
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		return -1
	}
	return n
}
