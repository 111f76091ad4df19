// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bench measures raw etcd, a real kube-apiserver with a kind of the same schema, and Fairlead side by side, in one
// run on one machine, each over an etcd of its own that waits for the disk. What it prints are ratios: the machine
// decides about the rest.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/store"
)

// Options say what is run and how much of it.
type Options struct {
	// Devcluster is the binary that is etcd and kube-apiserver by the name it is called; Fairlead is the server's.
	Devcluster, Fairlead string
	// Dir is the folder of everything; it is the caller's to make and to remove.
	Dir string
	// Span is how long each round of a measurement of a rate lasts, and Rounds how many there are; the median counts.
	Span   time.Duration
	Rounds int
	// Clients is how many there are where there are many.
	Clients int
	// Listed is how many objects lists have.
	Listed int
	// Watchers is how many watch.
	Watchers int
	// WatchRate is how many writes a second there are where that is fixed.
	WatchRate float64
	// Objects is how many there are when memory, idle processor time and restarts are measured; 0 leaves them out.
	Objects int
	// Idle is how long nothing is done to see what that costs.
	Idle time.Duration
	// EtcdInside has Fairlead's etcd run in its process where speed is measured, as it does by default; memory is always
	// measured with an etcd beside it, as kube-apiserver has one.
	EtcdInside bool
	// Only, unless empty, are the parts that are run: create, apply, get, list, watch and memory.
	Only []string
	// Progress gets a line for each thing done.
	Progress io.Writer
}

// Full is what `make bench` runs, and Short what shows that the program works.
func Full() Options {
	return Options{
		Span: 4 * time.Second, Rounds: 3, Clients: 32, Listed: 5000, Watchers: 100, WatchRate: 300, Objects: 50_000, Idle: 10 * time.Second, EtcdInside: true,
	}
}

// Short is the smallest run that has every row.
func Short() Options {
	return Options{
		Span: 200 * time.Millisecond, Rounds: 1, Clients: 4, Listed: 50, Watchers: 5, WatchRate: 100, Objects: 100, Idle: 500 * time.Millisecond, EtcdInside: true,
	}
}

// Namespaces of the objects.
const (
	namespaceCreate = "bench-create"
	namespaceApply  = "bench-apply"
	namespaceList   = "bench-list"
	namespaceWatch  = "bench-watch"
	namespaceMass   = "bench-mass"
)

// run is a benchmark that runs.
type run struct {
	Options

	table *Table
}

// Run measures everything, and returns the table.
func Run(ctx context.Context, o Options) (*Table, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	r := &run{Options: o, table: &Table{}}
	if err := r.speed(ctx); err != nil {
		return nil, err
	}
	if o.Objects > 0 && r.wanted("memory") {
		if err := r.weight(ctx); err != nil {
			return nil, err
		}
	}
	return r.table, nil
}

func (r *run) wanted(part string) bool {
	return len(r.Only) == 0 || slices.Contains(r.Only, part)
}

func (r *run) sayf(format string, args ...any) {
	fmt.Fprintf(r.Progress, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// speed measures rates and delays.
func (r *run) speed(ctx context.Context) (err error) {
	if !r.wanted("create") && !r.wanted("apply") && !r.wanted("get") && !r.wanted("list") && !r.wanted("watch") {
		return nil
	}
	f, err := r.startField(ctx, "speed", true, r.EtcdInside)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	parts := []struct {
		name string
		run  func(context.Context, *field) error
	}{
		{"create", r.creates}, {"apply", r.applies}, {"fill", r.fillLists}, {"get", r.gets}, {"list", r.lists}, {"watch", r.watches},
	}
	for _, part := range parts {
		if part.name == "fill" && (r.wanted("get") || r.wanted("list")) || part.name != "fill" && r.wanted(part.name) {
			r.sayf("%s", part.name)
			before := len(r.table.Rows)
			if err := part.run(ctx, f); err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
			for _, row := range r.table.Rows[before:] {
				r.sayf("%s: %s", row.Work, row.Aims)
			}
		}
	}
	return nil
}

// lane is a system with the column that its figures stand in.
type lane struct {
	column Column
	do     func(ctx context.Context, client int) error
}

// race measures how often a second each lane does its thing. Its rounds alternate, so that a machine that is slower for a
// while is so for all.
func (r *run) race(ctx context.Context, clients int, lanes []lane) (map[Column]float64, error) {
	for _, l := range lanes { // connections, and what servers make on first use
		if err := repeat(ctx, clients, clients, func(ctx context.Context, client, _ int) error { return l.do(ctx, client) }); err != nil {
			return nil, fmt.Errorf("%s: %w", l.column, err)
		}
	}
	rates := map[Column][]float64{}
	for range r.Rounds {
		for _, l := range lanes {
			rate, err := closedLoop(ctx, clients, r.Span, l.do)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.column, err)
			}
			rates[l.column] = append(rates[l.column], rate)
		}
	}
	out := map[Column]float64{}
	for c, all := range rates {
		out[c] = median(all)
	}
	return out, nil
}

func (r *run) creates(ctx context.Context, f *field) error {
	for _, clients := range []int{1, r.Clients} {
		var lanes []lane
		for _, l := range []struct {
			column Column
			system system
		}{{RawEtcd, f.raw}, {KubeAPIServer, f.kube}, {Store, f.store}, {GRPC, f.grpc}, {REST, f.front}} {
			lanes = append(lanes, lane{l.column, func(ctx context.Context, client int) error {
				return l.system.create(ctx, client, namespaceCreate, newName(), now())
			}})
		}
		rates, err := r.race(ctx, clients, lanes)
		if err != nil {
			return err
		}
		r.table.addRates("create, "+clientsText(clients), rates,
			aim{"store ≥ 0.7 × etcd", rates[Store] / rates[RawEtcd], 0.7},
			aim{"gRPC ≥ 5 × kube-apiserver", rates[GRPC] / rates[KubeAPIServer], 5})
	}
	return nil
}

func clientsText(n int) string {
	if n == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", n)
}

func newName() string { return fmt.Sprintf("n-%016x", rand.Uint64()) } //nolint:gosec // keeps no secret

func listedName(i int) string { return fmt.Sprintf("n-%06d", i) }

// fillLists makes the objects that gets and lists read.
func (r *run) fillLists(ctx context.Context, f *field) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range []system{f.raw, f.kube, f.grpc} {
		group.Go(func() error {
			return repeat(ctx, r.Clients, r.Listed, func(ctx context.Context, client, i int) error {
				return s.create(ctx, client, namespaceList, listedName(i), now())
			})
		})
	}
	return group.Wait() //nolint:wrapcheck // the caller names it
}

func (r *run) gets(ctx context.Context, f *field) error {
	get := func(s system, cached bool) func(context.Context, int) error {
		return func(ctx context.Context, client int) error {
			return s.get(ctx, client, namespaceList, listedName(rand.IntN(r.Listed)), cached) //nolint:gosec // keeps no secret
		}
	}
	rates, err := r.race(ctx, r.Clients, []lane{
		{RawEtcd, get(f.raw, false)},
		{KubeAPIServer, get(f.kube, false)},
		{KubeCached, get(f.kube, true)},
		{Store, func(ctx context.Context, client int) error {
			return f.store.get(ctx, client, namespaceCreate, f.storeObject, false)
		}},
		{GRPC, get(f.grpc, false)},
		{REST, get(f.front, false)},
	})
	if err != nil {
		return err
	}
	r.table.addRates("get, "+clientsText(r.Clients), rates, aim{"gRPC ≥ 3 × cached", rates[GRPC] / rates[KubeCached], 3})
	return nil
}

func (r *run) lists(ctx context.Context, f *field) error {
	var size int
	took := map[Column][]time.Duration{}
	var decoded []time.Duration
	for range max(3, 3*r.Rounds) {
		for _, l := range []struct {
			column Column
			system system
			cached bool
		}{{RawEtcd, f.raw, false}, {KubeAPIServer, f.kube, false}, {KubeCached, f.kube, true}, {GRPC, f.grpc, false}, {REST, f.front, false}} {
			began := time.Now()
			n, err := l.system.list(ctx, namespaceList, l.cached)
			if err != nil {
				return fmt.Errorf("%s: %w", l.column, err)
			}
			took[l.column] = append(took[l.column], time.Since(began))
			if l.column == REST {
				size = n
			}
		}
		began := time.Now()
		if n, err := f.grpc.listDecoded(ctx, namespaceList); err != nil || n != r.Listed {
			return fmt.Errorf("a list of %d of %d objects: %w", n, r.Listed, err)
		}
		decoded = append(decoded, time.Since(began))
	}
	times := map[Column]time.Duration{}
	for c, all := range took {
		times[c] = median(all)
	}
	r.table.addTimes(fmt.Sprintf("list of %d (%.1f MB of JSON)", r.Listed, float64(size)/1e6), times,
		limit{"gRPC ≤ 60 ms", times[GRPC], 60 * time.Millisecond}, limit{"REST ≤ 150 ms", times[REST], 150 * time.Millisecond})
	r.table.addTimes("the same, decoded by the client", map[Column]time.Duration{GRPC: median(decoded)})
	return nil
}

func (r *run) watches(ctx context.Context, f *field) error {
	type entrant struct {
		column   Column
		system   system
		watchers int
	}
	all := []entrant{{RawEtcd, f.raw, 1}, {KubeAPIServer, f.kube, r.Watchers}, {GRPC, f.grpc, r.Watchers}}
	for i, rate := range []float64{0, r.WatchRate} {
		got := map[Column]delivery{}
		for _, e := range all {
			r.sayf("watch: %s, rate %g", e.column, rate)
			d, err := deliver(ctx, e.system, deliveryLoad{
				namespace: fmt.Sprintf("%s-%d", namespaceWatch, i), watchers: e.watchers, writers: r.Clients,
				span: r.Span, drain: time.Minute, rate: rate, firstWatcherClient: r.Clients,
			})
			if err != nil {
				return fmt.Errorf("%s: %w", e.column, err)
			}
			got[e.column] = d
		}
		work := fmt.Sprintf("write sent → seen, %d watchers (raw etcd: 1), %d writers", r.Watchers, r.Clients)
		if rate > 0 {
			work += fmt.Sprintf(", %g writes/s", rate)
		}
		r.table.addDeliveries(work, got,
			limit{"p50 ≤ 50 ms", got[GRPC].p50, 50 * time.Millisecond}, limit{"p99 ≤ 200 ms", got[GRPC].p99, 200 * time.Millisecond})
	}
	return nil
}

// storeSystem is the store alone, in this process.
type storeSystem struct {
	store *store.Store
	kind  kinds.Kind
}

func (s *storeSystem) create(ctx context.Context, _ int, namespace, name string, sent int64) error {
	_, err := s.store.Create(ctx, s.kind, role(namespace, name, sent))
	return err //nolint:wrapcheck // the caller names it
}

func (s *storeSystem) get(ctx context.Context, _ int, namespace, name string, _ bool) error {
	_, err := s.store.Get(ctx, s.kind, store.Key{Namespace: namespace, Name: name})
	return err //nolint:wrapcheck // the caller names it
}

func (s *storeSystem) list(ctx context.Context, namespace string, _ bool) (int, error) {
	l, err := s.store.List(ctx, s.kind, store.ListOptions{Namespace: namespace})
	if err != nil {
		return 0, err //nolint:wrapcheck // the caller names it
	}
	return len(l.Items), nil
}

func (*storeSystem) watch(context.Context, int, string, func(), func(int64)) error {
	return errors.ErrUnsupported
}

// roleKind is the kind of the objects.
func roleKind() (kinds.Kind, error) {
	for _, k := range kinds.All() {
		if k.Message == (&authv1.Role{}).ProtoReflect().Descriptor().FullName() {
			return k, nil
		}
	}
	return kinds.Kind{}, errors.New("there is no kind Role")
}

// writeFile writes a file for its owner's eyes only.
func writeFile(name, text string) error {
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
