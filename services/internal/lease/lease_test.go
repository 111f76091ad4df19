// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if endpoint := os.Getenv(envLeader); endpoint != "" {
		os.Exit(leadAsProcess(endpoint))
	}
	goleak.VerifyTestMain(m)
}

// dial connects to an etcd.
func dial(t testing.TB, endpoint string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // a test may have closed it
	return client
}

// newMember makes a member that runs until the function that is returned is called, or the test ends.
func newMember(t testing.TB, client *clientv3.Client, o lease.Options) (*lease.Member, func()) {
	t.Helper()
	m, err := lease.New(client, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return m, stop
}

// floor notes who works on which shard, and complains when two do.
type floor struct {
	t testing.TB

	mu      sync.Mutex
	working map[int]string
	changed chan struct{}
}

func newFloor(t testing.TB) *floor {
	return &floor{t: t, working: map[int]string{}, changed: make(chan struct{})}
}

func (f *floor) set(shard int, who string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if was := f.working[shard]; who != "" && was != "" {
		f.t.Errorf("shard %d is worked on by %s and %s", shard, was, who)
	}
	f.working[shard] = who
	close(f.changed)
	f.changed = make(chan struct{})
}

// work is what a member does for the shards that it holds.
func (f *floor) work(who string) func(context.Context, int) {
	return func(ctx context.Context, shard int) {
		f.set(shard, who)
		<-ctx.Done()
		f.set(shard, "")
	}
}

// await waits until the members have so many shards each.
func (f *floor) await(want map[string]int) {
	f.t.Helper()
	late := time.After(30 * time.Second)
	for {
		f.mu.Lock()
		has := map[string]int{}
		for _, who := range f.working {
			if who != "" {
				has[who]++
			}
		}
		changed := f.changed
		f.mu.Unlock()
		if fmt.Sprint(has) == fmt.Sprint(want) {
			return
		}
		select {
		case <-changed:
		case <-late:
			f.t.Fatalf("shards are held as %v, want %v", has, want)
		}
	}
}

// follow takes part in a group until the function that is returned is called, or the test ends.
func follow(t testing.TB, g *lease.Group, fn func(context.Context, int)) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); g.Follow(ctx, fn) }()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// TestMembersShare has members come and go: all shards are always somebody's, evenly, and never two members'.
func TestMembersShare(t *testing.T) {
	client := etcdtest.Start(t)
	f := newFloor(t)
	const shards = 12
	stop := map[string]func(){}
	unfollow := map[string]func(){}
	members := map[string]*lease.Member{}
	for i, id := range []string{"a", "b", "c"} {
		members[id], stop[id] = newMember(t, client, lease.Options{ID: id, Address: id + ":1", Serves: []string{"serving.knative.dev"}})
		unfollow[id] = follow(t, members[id].Group("g", shards), f.work(id))
		f.await([]map[string]int{{"a": 12}, {"a": 6, "b": 6}, {"a": 4, "b": 4, "c": 4}}[i])
	}
	awaitHolders(t, members["a"].Group("g", shards), "a:1", map[string]int{"a:1": 4, "b:1": 4, "c:1": 4})
	var peers []string
	for _, p := range members["b"].Peers() {
		peers = append(peers, p.ID+" "+p.Address+" "+strings.Join(p.Serves, ","))
	}
	if want := []string{"a a:1 serving.knative.dev", "b b:1 serving.knative.dev", "c c:1 serving.knative.dev"}; !slices.Equal(peers, want) {
		t.Errorf("peers: got %q, want %q", peers, want)
	}
	unfollow["b"]() // leaves the work, stays a member
	f.await(map[string]int{"a": 6, "c": 6})
	began := time.Now()
	stop["a"]()
	f.await(map[string]int{"c": 12})
	t.Logf("taken over %s after a graceful end", time.Since(began).Round(time.Millisecond))
}

// awaitHolders waits until a member sees the shards of a group held at those addresses, its own being self.
func awaitHolders(t *testing.T, g *lease.Group, self string, want map[string]int) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		changed := g.Changed()
		has := map[string]int{}
		for i := range g.Shards() {
			address, here, ok := g.Holder(i)
			if ok {
				has[address]++
			}
			if ok && here != (address == self) {
				t.Errorf("shard %d is held at %s, and here: %t", i, address, here)
			}
		}
		if fmt.Sprint(has) == fmt.Sprint(want) {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("shards are seen held at %v, want %v", has, want)
		}
	}
}

// TestWorkStopsBeforeItMoves has a member that is slow to stop: nobody else begins before it has.
func TestWorkStopsBeforeItMoves(t *testing.T) {
	client := etcdtest.Start(t)
	a, _ := newMember(t, client, lease.Options{ID: "a"})
	b, _ := newMember(t, client, lease.Options{ID: "b"})
	f := newFloor(t)
	stopping, goOn := make(chan int, 4), make(chan struct{})
	follow(t, a.Group("g", 4), func(ctx context.Context, shard int) {
		f.set(shard, "a")
		<-ctx.Done()
		if errors.Is(context.Cause(ctx), lease.ErrMoved) {
			stopping <- shard
			<-goOn
		}
		f.set(shard, "")
	})
	f.await(map[string]int{"a": 4})
	follow(t, b.Group("g", 4), f.work("b"))
	<-stopping
	<-stopping
	f.await(map[string]int{"a": 4}) // b waits
	close(goOn)
	f.await(map[string]int{"a": 2, "b": 2})
}

// TestLeaderKilled cuts a leader off for good, as a kill does: another one takes over when the lease has run out.
func TestLeaderKilled(t *testing.T) {
	etcd := etcdtest.StartEmbedded(t, t.TempDir())
	client, first := etcd.Client(), dial(t, etcd.Endpoints()[0])
	a, _ := newMember(t, first, lease.Options{ID: "a"})
	b, _ := newMember(t, client, lease.Options{ID: "b"})
	f := newFloor(t)
	follow(t, a.Group("leader", 1), f.work("a"))
	f.await(map[string]int{"a": 1})
	follow(t, b.Group("leader", 1), f.work("b"))
	began := time.Now()
	_ = first.Close()
	f.await(map[string]int{})
	lost := time.Since(began)
	f.await(map[string]int{"b": 1})
	t.Logf("gave itself up after %s, taken over after %s", lost.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// TestLeaderStays has members join: whoever leads goes on, whatever the hashes of the others say.
func TestLeaderStays(t *testing.T) {
	client := etcdtest.Start(t)
	f := newFloor(t)
	first, _ := newMember(t, client, lease.Options{ID: "first"})
	follow(t, first.Group("leader", 1), func(ctx context.Context, _ int) {
		f.set(0, "first")
		<-ctx.Done()
		f.set(0, "")
		if errors.Is(context.Cause(ctx), lease.ErrMoved) {
			t.Error("the leader had to give way to a member that came later")
		}
	})
	f.await(map[string]int{"first": 1})
	for i := range 6 {
		m, _ := newMember(t, client, lease.Options{ID: fmt.Sprintf("later-%d", i)})
		follow(t, m.Group("leader", 1), func(context.Context, int) {})
	}
	late := time.After(30 * time.Second)
	for changed := first.Changed(); len(first.Peers()) < 7 || len(first.Peers()[6].Shares) == 0; changed = first.Changed() {
		select {
		case <-changed:
		case <-late:
			t.Fatalf("seven members are to be seen, got %v", first.Peers())
		}
	}
	f.await(map[string]int{"first": 1})
}

// TestSameIDTakesOverAtOnce has a process start anew under the ID of one that was killed: it waits for no lease to end.
func TestSameIDTakesOverAtOnce(t *testing.T) {
	client := etcdtest.Start(t)
	left, err := client.Grant(t.Context(), 600)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"_members/pod-0": `{"shares":["leader"]}`, "_leases/leader/0": "pod-0"} {
		if _, err := client.Put(t.Context(), "/fairlead/"+key, value, clientv3.WithLease(left.ID)); err != nil {
			t.Fatal(err)
		}
	}
	m, _ := newMember(t, client, lease.Options{ID: "pod-0"})
	f := newFloor(t)
	follow(t, m.Group("leader", 1), f.work("after"))
	f.await(map[string]int{"after": 1})
}

// TestEtcdAway has all work stop while etcd is away, and begin again when it is back.
func TestEtcdAway(t *testing.T) {
	proxy := etcdtest.NewProxy(t, etcdtest.StartEmbedded(t, t.TempDir()).Endpoints()[0])
	client := dial(t, proxy.Endpoint())
	a, _ := newMember(t, client, lease.Options{ID: "a"})
	f := newFloor(t)
	follow(t, a.Group("g", 3), f.work("a"))
	f.await(map[string]int{"a": 3})
	proxy.Cut()
	f.await(map[string]int{})
	if _, self, ok := a.Group("g", 3).Holder(0); self && ok {
		t.Error("the member still calls itself the holder")
	}
	proxy.Restore()
	began := time.Now()
	f.await(map[string]int{"a": 3})
	t.Logf("at work again %s after etcd came back", time.Since(began).Round(time.Millisecond))
}

// TestLead has a leader's function called anew for each term, and its error end Lead.
func TestLead(t *testing.T) {
	proxy := etcdtest.NewProxy(t, etcdtest.StartEmbedded(t, t.TempDir()).Endpoints()[0])
	m, _ := newMember(t, dial(t, proxy.Endpoint()), lease.Options{ID: "a"})
	boom := errors.New("boom")
	terms := 0
	err := m.Group("leader", 1).Lead(t.Context(), func(ctx context.Context) error {
		if terms++; terms == 2 {
			return boom
		}
		proxy.Cut()
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), lease.ErrLost) {
			t.Errorf("the first term ended with %v, want ErrLost", context.Cause(ctx))
		}
		proxy.Restore()
		return ctx.Err()
	})
	if !errors.Is(err, boom) || terms != 2 {
		t.Errorf("got %v after %d terms, want boom after 2", err, terms)
	}
	var none *lease.Member
	if err := none.Group("leader", 1).Lead(t.Context(), func(context.Context) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("without a member: got %v, want boom at once", err)
	}
}

// TestFence has a leader that does not notice that it was paused: its keepalives do not arrive, another one leads by now,
// and what it then writes is refused.
func TestFence(t *testing.T) {
	etcd := etcdtest.StartEmbedded(t, t.TempDir())
	direct, proxy := etcd.Client(), etcdtest.NewProxy(t, etcd.Endpoints()[0])
	s, err := store.New(direct, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	kind := storetest.Services(t)
	create(t, s, "web")
	label := func(ctx context.Context, value string) error {
		_, err := s.Update(ctx, kind, store.Key{Namespace: "a", Name: "web"}, "", func(o store.Object) (store.Object, error) {
			o.GetMetadata().Labels = map[string]string{"by": value}
			return o, nil
		})
		return err
	}
	a, _ := newMember(t, dial(t, proxy.Endpoint()), lease.Options{ID: "a"})
	b, _ := newMember(t, direct, lease.Options{ID: "b"})
	asleep, second, woken := make(chan struct{}), make(chan struct{}), make(chan error)
	follow(t, a.Group("leader", 1), func(ctx context.Context, _ int) {
		deaf := context.WithoutCancel(ctx) // it keeps its guard, but does not hear that it has ended
		if err := label(deaf, "a"); err != nil {
			t.Errorf("a leads, and yet: %v", err)
		}
		close(asleep)
		<-second
		woken <- label(deaf, "a again")
		<-ctx.Done()
	})
	<-asleep
	proxy.Cut()
	follow(t, b.Group("leader", 1), func(ctx context.Context, _ int) {
		if err := label(ctx, "b"); err != nil {
			t.Errorf("b leads, and yet: %v", err)
		}
		close(second)
		<-ctx.Done()
	})
	if err := <-woken; !errors.Is(err, store.ErrFenced) {
		t.Errorf("the stale leader's write: got %v, want ErrFenced", err)
	}
	obj, err := s.Get(t.Context(), kind, store.Key{Namespace: "a", Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if got := obj.GetMetadata().GetLabels()["by"]; got != "b" {
		t.Errorf("last written by %q, want b", got)
	}
}

func create(t testing.TB, s *store.Store, name string) {
	t.Helper()
	if _, err := s.Create(t.Context(), storetest.Services(t), &servingv1.Service{Metadata: &metav1.ObjectMeta{Namespace: "a", Name: name}}); err != nil {
		t.Fatal(err)
	}
}

func TestNewRefuses(t *testing.T) {
	client := dial(t, "http://127.0.0.1:1")
	for name, tc := range map[string]struct {
		client *clientv3.Client
		o      lease.Options
		want   string
	}{
		"no client":   {nil, lease.Options{}, "client"},
		"short TTL":   {client, lease.Options{TTL: time.Second}, "TTL"},
		"slash in ID": {client, lease.Options{ID: "a/b"}, "ID"},
		"no prefix":   {client, lease.Options{Prefix: "/"}, "Prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := lease.New(tc.client, tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error about %s", err, tc.want)
			}
		})
	}
}
