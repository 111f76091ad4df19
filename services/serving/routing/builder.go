// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"google.golang.org/protobuf/proto"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/autoscaler"
	"fairlead.dev/services/serving/revision"
)

// Config configures a Builder.
type Config struct {
	// Route, Configuration and Revision are the kinds.
	Route, Configuration, Revision kinds.Kind
	// Domain is what hosts end with.
	Domain string
}

// Builder keeps the routing table as routes, revisions, pods and the autoscaler have it.
type Builder struct {
	cfg            Config
	store          *store.Store
	routes         store.Client[*servingv1.Route]
	configurations store.Client[*servingv1.Configuration]
	revisions      store.Client[*servingv1.Revision]
	kube           *kube.Client
	scaler         *autoscaler.Scaler
	log            *slog.Logger
	table          *table
	ready          chan struct{}

	mu             sync.Mutex
	dirtyRoutes    map[store.Key]struct{}
	dirtyRevisions map[store.Key]struct{}
	wake           chan struct{}
	pending        map[store.Key]struct{} // routes that have never had a share assigned
	users          map[store.Key]int      // by how many routes a revision is named
	listeners      []func(store.Key)      // told of revisions that become routed, or no longer are
}

// NewBuilder makes a Builder.
func NewBuilder(cfg Config, s *store.Store, k *kube.Client, scaler *autoscaler.Scaler, log *slog.Logger) *Builder {
	return &Builder{
		cfg: cfg, store: s, kube: k, scaler: scaler, log: log,
		routes:         store.For[*servingv1.Route](s, cfg.Route),
		configurations: store.For[*servingv1.Configuration](s, cfg.Configuration),
		revisions:      store.For[*servingv1.Revision](s, cfg.Revision),
		table:          newTable(), ready: make(chan struct{}), wake: make(chan struct{}, 1),
		dirtyRoutes: map[store.Key]struct{}{}, dirtyRevisions: map[store.Key]struct{}{},
		pending: map[store.Key]struct{}{}, users: map[store.Key]int{},
	}
}

// Routed tells whether a route names a revision.
func (b *Builder) Routed(key store.Key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.users[key] > 0
}

// Source tells the keys of revisions that become routed, or no longer are.
func (b *Builder) Source() reconcile.Source {
	return reconcile.Source{Watch: func(ctx context.Context, add func(store.Key)) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.listeners = append(b.listeners, func(key store.Key) {
			if ctx.Err() == nil {
				add(key)
			}
		})
		return nil
	}}
}

// Ready is closed once the table has all that there is.
func (b *Builder) Ready() <-chan struct{} { return b.ready }

// Run keeps the table until ctx ends.
func (b *Builder) Run(ctx context.Context) error {
	pods, err := b.kube.Informer(kube.Pods)
	if err != nil {
		return fmt.Errorf("routing: %w", err)
	}
	for _, start := range []struct {
		source reconcile.Source
		add    func(store.Key)
	}{
		{reconcile.FromCache(b.store.Cache(b.cfg.Configuration), keysOf), b.configurationChanged},
		{reconcile.FromCache(b.store.Cache(b.cfg.Route), keysOf), b.touchRoute},
		{reconcile.FromCache(b.store.Cache(b.cfg.Revision), keysOf), b.touchRevision},
		{reconcile.FromInformer(pods, func(obj kmetav1.Object) []store.Key { return revision.OwnerKeys(b.cfg.Revision, obj) }), b.touchRevision},
		{b.scaler.Source(), b.touchRevision},
	} {
		if err := start.source.Watch(ctx, start.add); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the end is no fault
			}
			return fmt.Errorf("routing: %w", err)
		}
	}
	for _, r := range b.routes.ListCached("", nil) { // what exists may not all have been told yet
		b.touchRoute(store.KeyOf(r))
	}
	b.build()
	close(b.ready)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.wake:
			b.build()
		}
	}
}

func (b *Builder) touchRoute(key store.Key)    { b.touch(b.dirtyRoutes, key) }
func (b *Builder) touchRevision(key store.Key) { b.touch(b.dirtyRevisions, key) }

func (b *Builder) touch(dirty map[store.Key]struct{}, key store.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	dirty[key] = struct{}{}
	b.signal()
}

func (b *Builder) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// configurationChanged looks again at the routes that wait for a first revision. A changed configuration matters to others
// only through their status.
func (b *Builder) configurationChanged(key store.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for route := range b.pending {
		if route.Namespace == key.Namespace {
			b.dirtyRoutes[route] = struct{}{}
			b.signal()
		}
	}
}

// take returns what is to be looked at again.
func (b *Builder) take() (routes, revisions []store.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, from := range []struct {
		dirty map[store.Key]struct{}
		to    *[]store.Key
	}{{b.dirtyRoutes, &routes}, {b.dirtyRevisions, &revisions}} {
		*from.to = sorted(from.dirty)
		clear(from.dirty)
	}
	return routes, revisions
}

// build brings the table up to date. Only Run calls it.
func (b *Builder) build() {
	routes, revisions := b.take()
	c := change{routes: map[store.Key]*hosts{}, backends: map[store.Key]*servingv1.RevisionBackend{}}
	look := map[store.Key]struct{}{}
	for _, key := range revisions {
		look[key] = struct{}{}
	}
	for _, key := range routes {
		b.buildRoute(key, &c, look)
	}
	var withdrawn []store.Key
	for _, key := range sorted(look) {
		if gone := b.buildRevision(key, &c); gone {
			withdrawn = append(withdrawn, key)
		}
	}
	version := b.table.apply(c)
	for _, key := range withdrawn {
		b.scaler.Withdrawn(key, version)
	}
}

// buildRoute puts a route's hosts into the change, and its revisions into look when they become routed or cease to be.
func (b *Builder) buildRoute(key store.Key, c *change, look map[store.Key]struct{}) {
	was := b.table.routes[key] // only build writes it
	var is *hosts
	r, ok := b.routes.Cached(key)
	if ok {
		is = hostsOf(r, b.cfg.Domain, func(configuration string) string {
			config, _ := b.configurations.Cached(store.Key{Namespace: key.Namespace, Name: configuration})
			return config.GetStatus().GetLatestCreatedRevisionName()
		})
	}
	b.mu.Lock()
	delete(b.pending, key)
	if ok && len(r.GetStatus().GetTraffic()) == 0 {
		b.pending[key] = struct{}{}
	}
	b.mu.Unlock()
	if was == nil && is == nil || was != nil && is != nil && was.equal(is) {
		return
	}
	c.routes[key] = is
	for _, part := range []struct {
		hosts *hosts
		by    int
	}{{is, 1}, {was, -1}} {
		if part.hosts == nil {
			continue
		}
		for rev := range part.hosts.revisions() {
			b.use(rev, part.by)
			look[rev] = struct{}{}
		}
	}
}

// use counts a route that names a revision in or out.
func (b *Builder) use(key store.Key, by int) {
	b.mu.Lock()
	was := b.users[key]
	b.users[key] += by
	if b.users[key] == 0 {
		delete(b.users, key)
	}
	changed := (was > 0) != (b.users[key] > 0)
	listeners := b.listeners
	b.mu.Unlock()
	if changed {
		for _, tell := range listeners {
			tell(key)
		}
	}
}

// buildRevision puts a revision into the change, and tells whether the autoscaler wants to know that it has no pods there.
func (b *Builder) buildRevision(key store.Key, c *change) (withdrawn bool) {
	was := b.table.backends[key] // only build writes it
	target, known := b.scaler.Target(key)
	serving := !known || target.Serving
	var is *servingv1.RevisionBackend
	if rev, ok := b.revisions.Cached(key); ok && b.Routed(key) {
		pods, err := podsOf(b.kube, kube.OwnerOf(b.cfg.Revision, rev.GetMetadata()))
		if err != nil {
			b.log.Error("pods of a revision cannot be told", "revision", key.String(), "error", err)
			return false
		}
		is = backendOf(rev, pods, serving)
	}
	if !proto.Equal(was, is) || (was == nil) != (is == nil) {
		c.backends[key] = is
	}
	return !serving
}
