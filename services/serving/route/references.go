// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"sync"

	"fairlead.dev/services/internal/store"
)

// references remembers which routes name an object, so that its changes wake just those.
type references struct {
	mu     sync.Mutex
	names  map[store.Key][]store.Key            // by route
	routes map[store.Key]map[store.Key]struct{} // by what is named
}

func newReferences() *references {
	return &references{names: map[store.Key][]store.Key{}, routes: map[store.Key]map[store.Key]struct{}{}}
}

// set replaces what a route names.
func (r *references) set(route store.Key, named []store.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.names[route] {
		delete(r.routes[n], route)
		if len(r.routes[n]) == 0 {
			delete(r.routes, n)
		}
	}
	delete(r.names, route)
	if len(named) > 0 {
		r.names[route] = named
	}
	for _, n := range named {
		if r.routes[n] == nil {
			r.routes[n] = map[store.Key]struct{}{}
		}
		r.routes[n][route] = struct{}{}
	}
}

// to returns the routes that name an object.
func (r *references) to(named store.Key) []store.Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]store.Key, 0, len(r.routes[named]))
	for route := range r.routes[named] {
		out = append(out, route)
	}
	return out
}
