// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

// patience bounds every wait.
const patience = 30 * time.Second

// log notes which replica reconciled which key, and tells when it is added to.
type log struct {
	mu      sync.Mutex
	runs    map[string]map[string]int // by replica and key
	changed chan struct{}
}

func newLog() *log { return &log{runs: map[string]map[string]int{}, changed: make(chan struct{})} }

func (l *log) add(replica string, key store.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs[replica] == nil {
		l.runs[replica] = map[string]int{}
	}
	l.runs[replica][key.Name]++
	close(l.changed)
	l.changed = make(chan struct{})
}

// await waits until ok holds of the runs so far.
func (l *log) await(t testing.TB, what string, ok func(runs map[string]map[string]int) bool) {
	t.Helper()
	late := time.After(patience)
	for {
		l.mu.Lock()
		good, changed := ok(l.runs), l.changed
		l.mu.Unlock()
		if good {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func (l *log) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.runs)
}

// counts are how many keys each replica reconciled.
func (l *log) counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]int{}
	for replica, keys := range l.runs {
		out[replica] = len(keys)
	}
	return out
}

// seen are the keys that any replica has reconciled.
func seen(runs map[string]map[string]int) int {
	all := map[string]int{}
	for _, keys := range runs {
		maps.Copy(all, keys)
	}
	return len(all)
}

// replica is a process with a controller, as far as a test is concerned.
type replica struct {
	stop   func()
	member *lease.Member
}

// startReplica runs a controller of Services in 16 shards over an etcd.
func startReplica(t testing.TB, name string, client *clientv3.Client, opts reconcile.Options, r reconcile.Reconciler) *replica {
	t.Helper()
	s, err := store.New(client, store.Options{CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	m, err := lease.New(client, lease.Options{ID: name})
	if err != nil {
		t.Fatal(err)
	}
	state, endState := context.WithCancel(context.Background())
	work, endWork := context.WithCancel(context.Background())
	var wg, working sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(state); err != nil {
			t.Errorf("%s: store: %v", name, err)
		}
	})
	wg.Go(func() {
		if err := m.Run(state); err != nil {
			t.Errorf("%s: lease: %v", name, err)
		}
	})
	opts.Group = m.Group("services", 16)
	working.Go(func() {
		if err := reconcile.Run(work, "shared-"+name, r, opts, reconcile.FromCache(s.Cache(storetest.Services(t)), nil)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	stop := sync.OnceFunc(func() {
		endWork()
		working.Wait()
		endState()
		wg.Wait()
	})
	t.Cleanup(stop)
	return &replica{stop, m}
}

func dial(t testing.TB, endpoint string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // a test may have closed it
	return client
}

func createServices(t testing.TB, client *clientv3.Client, n int) *store.Store {
	t.Helper()
	s, err := store.New(client, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := s.Create(context.Background(), storetest.Services(t), storetest.Service("a", fmt.Sprintf("s-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestReplicasShareKeys has replicas come and go: each key is reconciled by one of them, a shard that moves has all its
// keys reconciled anew, and those that stay are left alone.
func TestReplicasShareKeys(t *testing.T) {
	const n = 200
	client := etcdtest.Start(t)
	s := createServices(t, client, n)
	l := newLog()
	note := func(name string) reconcile.Reconciler {
		return reconcile.Func(func(_ context.Context, key store.Key) (reconcile.Result, error) {
			l.add(name, key)
			return reconcile.Result{}, nil
		})
	}
	a := startReplica(t, "a", client, reconcile.Options{}, note("a"))
	l.await(t, "a reconciles all", func(runs map[string]map[string]int) bool { return len(runs["a"]) == n })
	l.clear()
	startReplica(t, "b", client, reconcile.Options{}, note("b"))
	group := a.member.Group("services", 16)
	held := func() (byA int) {
		for i := range n {
			if _, self, ok := group.Holder(group.Shard(store.Key{Namespace: "a", Name: fmt.Sprintf("s-%d", i)})); self && ok {
				byA++
			}
		}
		return byA
	}
	// b reconciles its part, a does nothing: what it keeps it has seen.
	l.await(t, "b reconciles its part", func(runs map[string]map[string]int) bool {
		return len(runs["b"]) > 0 && len(runs["b"])+held() == n
	})
	if got := l.counts(); got["a"] != 0 || got["b"] < n/4 || got["b"] > 3*n/4 {
		t.Errorf("after b came, %v keys were reconciled; want none by a, and about half by b", got)
	}
	l.clear()
	for i := range n { // changes go to whoever has the key
		key := store.Key{Namespace: "a", Name: fmt.Sprintf("s-%d", i)}
		if _, err := s.Update(t.Context(), storetest.Services(t), key, "", func(o store.Object) (store.Object, error) {
			o.GetMetadata().Labels = map[string]string{"changed": "yes"}
			return o, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	l.await(t, "all changes are seen", func(runs map[string]map[string]int) bool { return seen(runs) == n })
	l.mu.Lock()
	for key := range l.runs["a"] {
		if l.runs["b"][key] > 0 {
			t.Errorf("%s was reconciled by both", key)
		}
	}
	l.mu.Unlock()
	l.clear()
	part := held()
	a.stop()
	l.await(t, "b reconciles what was a's", func(runs map[string]map[string]int) bool { return len(runs["b"]) == part })
	l.clear()
	for _, name := range []string{"late-1", "late-2", "late-3", "late-4"} {
		if _, err := s.Create(t.Context(), storetest.Services(t), storetest.Service("a", name)); err != nil {
			t.Fatal(err)
		}
	}
	l.await(t, "b reconciles what is new", func(runs map[string]map[string]int) bool {
		return runs["b"]["late-1"] > 0 && runs["b"]["late-2"] > 0 && runs["b"]["late-3"] > 0 && runs["b"]["late-4"] > 0
	})
}

// TestRunEndsWithItsLease cuts a replica off in the middle of a run: the run's context ends, what it writes regardless is
// refused, and the other replica does the work.
func TestRunEndsWithItsLease(t *testing.T) {
	etcd := etcdtest.StartEmbedded(t, t.TempDir())
	proxy := etcdtest.NewProxy(t, etcd.Endpoints()[0])
	s := createServices(t, etcd.Client(), 1)
	write := func(ctx context.Context, by string) error {
		_, err := s.Update(ctx, storetest.Services(t), store.Key{Namespace: "a", Name: "s-0"}, "", func(o store.Object) (store.Object, error) {
			o.GetMetadata().Labels = map[string]string{"by": by}
			return o, nil
		})
		return err
	}
	running, second := make(chan struct{}), make(chan struct{})
	outcome := make(chan error, 1)
	startReplica(t, "a", dial(t, proxy.Endpoint()), reconcile.Options{}, reconcile.Func(func(ctx context.Context, _ store.Key) (reconcile.Result, error) {
		select {
		case <-running:
			return reconcile.Result{}, nil // back again, after the test
		default:
			close(running)
		}
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), lease.ErrLost) {
			t.Errorf("the run ended with %v, want ErrLost", context.Cause(ctx))
		}
		<-second
		outcome <- write(context.WithoutCancel(ctx), "a")
		return reconcile.Result{}, ctx.Err()
	}))
	<-running
	proxy.Cut()
	var once sync.Once
	startReplica(t, "b", etcd.Client(), reconcile.Options{}, reconcile.Func(func(ctx context.Context, _ store.Key) (reconcile.Result, error) {
		err := write(ctx, "b")
		once.Do(func() { close(second) })
		return reconcile.Result{}, err
	}))
	if err := <-outcome; !errors.Is(err, store.ErrFenced) {
		t.Errorf("the write of a run that has lost its lease: got %v, want ErrFenced", err)
	}
}

// TestSecondReplicaAddsThroughput measures how much faster two replicas are than one, where a key takes a fixed time. It
// asserts what each of them did, not the time.
func TestSecondReplicaAddsThroughput(t *testing.T) {
	const (
		n    = 400
		cost = 20 * time.Millisecond
	)
	took := map[int]time.Duration{}
	for _, replicas := range []int{1, 2} {
		client := etcdtest.Start(t)
		s := createServices(t, client, n)
		l := newLog()
		var open sync.Map // keys that are to be worked on, once
		for i := range replicas {
			name := string(rune('a' + i))
			startReplica(t, name, client, reconcile.Options{Workers: 4}, reconcile.Func(func(ctx context.Context, key store.Key) (reconcile.Result, error) {
				if _, todo := open.LoadAndDelete(key); !todo {
					l.add(name+" idle", key)
					return reconcile.Result{}, nil
				}
				timer := time.NewTimer(cost)
				defer timer.Stop()
				select {
				case <-timer.C:
					l.add(name, key)
					return reconcile.Result{}, nil
				case <-ctx.Done():
					return reconcile.Result{}, ctx.Err()
				}
			}))
		}
		l.await(t, "all shards are shared out", func(runs map[string]map[string]int) bool {
			return seen(runs) == n && (replicas == 1 || len(runs["a idle"]) > 0 && len(runs["b idle"]) > n/4)
		})
		l.clear()
		for i := range n {
			open.Store(store.Key{Namespace: "a", Name: fmt.Sprintf("s-%d", i)}, true)
		}
		began := time.Now()
		var writing sync.WaitGroup
		for w := range 8 {
			writing.Go(func() {
				for i := w; i < n; i += 8 {
					if _, err := s.Update(t.Context(), storetest.Services(t), store.Key{Namespace: "a", Name: fmt.Sprintf("s-%d", i)}, "", func(o store.Object) (store.Object, error) {
						o.GetMetadata().Labels = map[string]string{"go": "on"}
						return o, nil
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writing.Wait()
		l.await(t, "all keys are worked on", func(runs map[string]map[string]int) bool {
			return len(runs["a"])+len(runs["b"]) == n
		})
		took[replicas] = time.Since(began)
		counts := l.counts()
		t.Logf("%d replica(s): %d keys of %s in %s: a %d, b %d", replicas, n, cost, took[replicas].Round(time.Millisecond), counts["a"], counts["b"])
		if replicas == 2 && (counts["a"] < n/4 || counts["b"] < n/4) {
			t.Errorf("the replicas worked on %d and %d keys of %d, want each on about half", counts["a"], counts["b"], n)
		}
	}
	t.Logf("two replicas are %.2f times as fast as one", took[1].Seconds()/took[2].Seconds())
}

// TestAGainedShardWaitsForTheCaches has a replica whose cache is behind come to hold a shard: it does not work on what the
// former holder has written before it knows that.
func TestAGainedShardWaitsForTheCaches(t *testing.T) {
	etcd := etcdtest.StartEmbedded(t, t.TempDir())
	client, proxy := etcd.Client(), etcdtest.NewProxy(t, etcd.Endpoints()[0])
	writer := createServices(t, client, 1)
	key := store.Key{Namespace: "a", Name: "s-0"}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	run := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	groups := map[string]*lease.Group{}
	for _, id := range []string{"former", "next"} {
		m, err := lease.New(client, lease.Options{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		run(m.Run)
		groups[id] = m.Group("services", 1)
	}
	holding := make(chan struct{})
	formerCtx, endFormer := context.WithCancel(ctx)
	var former sync.WaitGroup
	former.Go(func() {
		groups["former"].Follow(formerCtx, func(ctx context.Context, _ int) { close(holding); <-ctx.Done() })
	})
	<-holding
	behind, err := store.New(dial(t, proxy.Endpoint()), store.Options{CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	run(behind.Run)
	cache := behind.Cache(storetest.Services(t))
	if err := cache.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	known := make(chan string, 100)
	run(func(ctx context.Context) error {
		return reconcile.Run(ctx, "gains", reconcile.Func(func(_ context.Context, key store.Key) (reconcile.Result, error) {
			if o, ok := cache.Get(key); ok {
				known <- o.GetMetadata().GetLabels()["by"]
			}
			return reconcile.Result{}, nil
		}), reconcile.Options{Group: groups["next"]}, reconcile.FromCache(cache, nil))
	})
	proxy.Hold()
	if _, err := writer.Update(t.Context(), storetest.Services(t), key, "", func(o store.Object) (store.Object, error) {
		o.GetMetadata().Labels = map[string]string{"by": "former"}
		return o, nil
	}); err != nil {
		t.Fatal(err)
	}
	endFormer()
	former.Wait()
	for {
		changed := groups["next"].Changed()
		if _, self, ok := groups["next"].Holder(0); self && ok {
			break
		}
		<-changed
	}
	proxy.Restore()
	if got := <-known; got != "former" {
		t.Errorf("the first run knows what %q wrote, want the former holder's last write", got)
	}
}
