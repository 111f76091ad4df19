// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store/encryption"
)

// Options are the choices of a Store. The zero value is good.
type Options struct {
	// Prefix is the start of all keys in etcd; /fairlead by default. Installations that share an etcd differ in it.
	Prefix string
	// Log receives what happens in the background; slog.Default by default.
	Log *slog.Logger
	// Metrics is where the store registers its metrics; nil means none.
	Metrics prometheus.Registerer
	// CompactionInterval is the time between compactions; 5 minutes by default, negative for none.
	CompactionInterval time.Duration
	// KeepRevisions is how long versions stay readable at least; 10 minutes by default.
	KeepRevisions time.Duration
	// DefragmentBytes is the size of etcd's database from which it is defragmented when less than half is in use; 256 MiB by
	// default.
	DefragmentBytes int64
	// RequestTimeout ends calls to etcd whose callers set no limit; 10 seconds by default.
	RequestTimeout time.Duration
	// BookmarkInterval is the time between the bookmarks of a watch; a minute by default.
	BookmarkInterval time.Duration
	// MaxObjectBytes is the largest encoded object; 1 MiB by default.
	MaxObjectBytes int
	// ChangeLogEvents is how many changes of a kind its cache remembers for watchers; 4096 by default. A watcher that falls
	// behind by more is ended.
	ChangeLogEvents int
	// ChangeLogBytes bounds the changes that a cache remembers by their size; 32 MiB by default.
	ChangeLogBytes int
	// Encryption is the keys for kinds that are encrypted at rest. Without it, these can be neither written nor read.
	Encryption *encryption.Keys
	// Now is the clock; time.Now by default.
	Now func() time.Time
}

func (o *Options) defaults() {
	setDefault(&o.Prefix, "/fairlead")
	setDefault(&o.CompactionInterval, 5*time.Minute)
	setDefault(&o.KeepRevisions, 10*time.Minute)
	setDefault(&o.DefragmentBytes, 256<<20)
	setDefault(&o.RequestTimeout, 10*time.Second)
	setDefault(&o.BookmarkInterval, time.Minute)
	setDefault(&o.MaxObjectBytes, 1<<20)
	setDefault(&o.ChangeLogEvents, 4096)
	setDefault(&o.ChangeLogBytes, 32<<20)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Store keeps objects in etcd. It may be used by many goroutines.
type Store struct {
	client  *clientv3.Client
	opts    Options
	keys    keyspace
	log     *slog.Logger
	metrics *metrics
	caches  *caches
	recent  *recent
	// dryRun makes writes do everything but write.
	dryRun bool
	// tx takes note of writes instead of etcd, if set.
	tx *Tx
	// full is signalled when etcd refuses a write because it has no space.
	full chan struct{}
}

// New makes a Store over client, which stays the caller's. It calls nothing yet.
func New(client *clientv3.Client, opts Options) (*Store, error) {
	if client == nil {
		return nil, errors.New("the store needs an etcd client")
	}
	opts.defaults()
	keys, err := newKeyspace(opts.Prefix)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	s := &Store{client: client, opts: opts, keys: keys, log: opts.Log.With("component", "store"), metrics: m, full: make(chan struct{}, 1), recent: new(recent)}

	s.caches = newCaches(s)
	return s, nil
}

// Run feeds the caches and compacts etcd, until ctx ends; watches end with it. Caches and watches wait for Run. It may be
// called once.
func (s *Store) Run(ctx context.Context) error {
	if err := s.caches.start(); err != nil {
		return err
	}
	if s.opts.CompactionInterval > 0 {
		s.caches.spawn(func() { s.lookAfter(s.caches.ctx) })
	}
	<-ctx.Done()
	s.caches.stop()
	return nil
}

// Ready returns nil when etcd answers with a majority behind it, and otherwise why it does not.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.currentRevision(ctx)
	return err
}

// DryRun returns a view of s whose writes check and return all that real ones do, and write nothing.
func (s *Store) DryRun() *Store {
	view := *s
	view.dryRun = true
	return &view
}

// currentRevision is the newest revision of etcd.
func (s *Store) currentRevision(ctx context.Context) (int64, error) {
	call, cancel := s.limit(ctx)
	defer cancel()
	resp, err := s.client.Get(call, s.keys.internal(compactionKey), clientv3.WithCountOnly())
	if err != nil {
		return 0, s.etcdError(ctx, err)
	}
	return resp.Header.Revision, nil
}

// read returns the newest state of an object, as etcd's majority knows it.
func (s *Store) read(ctx context.Context, k kinds.Kind, key Key, path string) (*stored, error) {
	call, cancel := s.limit(ctx)
	defer cancel()
	resp, err := s.client.Get(call, path)
	if err != nil {
		return nil, s.etcdError(ctx, err)
	}
	if len(resp.Kvs) == 0 {
		return nil, apierror.NotFound(ResourceOf(k), key.Name)
	}
	got, err := s.decodeStored(k, path, resp.Kvs[0].Value, resp.Kvs[0].ModRevision)
	if err != nil {
		return nil, err
	}
	got.lease = resp.Kvs[0].Lease
	return got, nil
}

// decodeStored decodes a value that etcd holds. What does not decode is named in the log: only an operator can mend it.
func (s *Store) decodeStored(k kinds.Kind, path string, raw []byte, revision int64) (*stored, error) {
	value, err := s.open(k, path, raw)
	if err != nil {
		return nil, err
	}
	obj, err := decode(k, value, revision)
	if err != nil {
		s.log.Error("an object in etcd cannot be read; restore it from a backup or delete its key", "key", path, "error", err)
		return nil, apierror.Internal(err)
	}
	return &stored{object: obj, value: value, revision: revision}, nil
}

// limit gives a call to etcd an end, unless it has an earlier one.
func (s *Store) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < s.opts.RequestTimeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.opts.RequestTimeout)
}
