// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/nettest"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

const (
	linearClients = 6
	linearKeys    = 6
	// linearPatience is how long the check may take.
	linearPatience = 2 * time.Minute
	// afterUnknown is how long a client rests after a call of unknown outcome, each of which doubles what has to be checked.
	afterUnknown = 30 * time.Millisecond
)

// TestLinearizable has clients of two stores create, read, change, list and delete at once, while the etcd below is killed,
// paused and cut off at random. Then there must be an order of all calls that explains what each has seen.
func TestLinearizable(t *testing.T) {
	t.Run("one member", func(t *testing.T) {
		t.Parallel()
		p := etcdtest.StartProcess(t)
		line := etcdtest.NewProxy(t, p.Endpoint())
		second := etcdtest.NewProxy(t, p.Endpoint())
		clients := []*clientv3.Client{quietClient(t, line.Endpoint()), quietClient(t, second.Endpoint())}
		checkLinearizable(t, p.Client(), clients, []func(context.Context){
			func(ctx context.Context) { p.Kill(); last(t, moment(ctx)); p.Restart() },
			func(ctx context.Context) { p.Pause(); last(t, moment(ctx)); p.Resume() },
			func(ctx context.Context) { line.Cut(); last(t, moment(ctx)); line.Restore() },
			func(ctx context.Context) { second.Hold(); last(t, moment(ctx)); second.Restore() },
		})
		line.Cut()
		second.Cut()
	})
	t.Run("three members", func(t *testing.T) {
		t.Parallel()
		cluster := etcdtest.StartCluster(t, 3)
		any3 := func(fn func(*etcdtest.Process, *nettest.Proxy)) {
			i := rand.IntN(3)
			fn(cluster.Members[i], cluster.Peers[i])
		}
		checkLinearizable(t, cluster.Client(), []*clientv3.Client{cluster.Client(), cluster.Client()}, []func(context.Context){
			func(ctx context.Context) {
				any3(func(p *etcdtest.Process, _ *nettest.Proxy) { p.Kill(); last(t, moment(ctx)); p.Restart() })
			},
			func(ctx context.Context) {
				any3(func(p *etcdtest.Process, _ *nettest.Proxy) { p.Pause(); last(t, moment(ctx)); p.Resume() })
			},
			func(ctx context.Context) {
				any3(func(_ *etcdtest.Process, l *nettest.Proxy) { l.Hold(); last(t, moment(ctx)); l.Restore() })
			},
			func(ctx context.Context) {
				any3(func(_ *etcdtest.Process, l *nettest.Proxy) { l.Cut(); last(t, moment(ctx)); l.Restore() })
			},
		})
	})
}

// moment is how long a fault lasts, less when the test is over.
func moment(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	return 100*time.Millisecond + rand.N(500*time.Millisecond)
}

// linear is a run of clients whose calls are recorded.
type linear struct {
	t      *testing.T
	stores []*store.Store
	start  time.Time

	mu      sync.Mutex
	history []porcupine.Operation
	lists   []recordedList
	unknown int
}

// recordedList is what a list had, and the revision that it said it was of.
type recordedList struct {
	revision int64
	items    map[string]string
}

// checkLinearizable runs clients over stores on each of the connections, under the faults, and checks what they saw. direct is a
// connection that is used when all faults are over.
func checkLinearizable(t *testing.T, direct *clientv3.Client, connections []*clientv3.Client, faults []func(context.Context)) {
	t.Helper()
	run := &linear{t: t, start: time.Now()}
	for _, c := range connections {
		s := quietStore(t, c, store.Options{RequestTimeout: time.Second})
		s.Cache(storetest.Services(t)) // so that reads may come from memory
		run.stores = append(run.stores, s)
	}
	long := 5 * time.Second
	if soak {
		long = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	var wg sync.WaitGroup
	for i := range linearClients {
		wg.Go(func() { run.client(ctx, i) })
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			last(t, moment(ctx))
			faults[rand.IntN(len(faults))](ctx)
		}
	})
	wg.Wait()
	run.recovers()
	t.Logf("%d calls, of which %d of unknown outcome, and %d lists", len(run.history), run.unknown, len(run.lists))

	result, info := porcupine.CheckOperationsVerbose(linearModel(), run.history, linearPatience)
	if result != porcupine.Ok {
		path := filepath.Join(os.TempDir(), "fairlead-linear-"+strconv.FormatInt(time.Now().Unix(), 10)+".html")
		t.Errorf("the calls are not linearizable (%s); see %s (%v)", result, path, porcupine.VisualizePath(linearModel(), info, path))
	}
	run.checkLists(statesByRevision(t, direct))
}

// recovers has every store write and read when all faults are over.
func (r *linear) recovers() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), stepPatience)
	defer cancel()
	for i, s := range r.stores {
		for _, verb := range []string{verbDelete, verbCreate, verbUpdate, verbGet, verbDelete} {
			insist(ctx, r.t, fmt.Sprintf("store %d: %s after all faults", i, verb), func() error {
				in := linearInput{verb: verb, key: "recovers", value: fmt.Sprint(i, verb)}
				if out := r.do(ctx, s, linearClients, in); out.outcome == outcomeUnknown {
					return errNotYet
				}
				return nil
			})
		}
		insist(ctx, r.t, "list after all faults", func() error { return r.list(ctx, s, linearClients) })
	}
}

// client calls at random until ctx ends.
func (r *linear) client(ctx context.Context, id int) {
	s := r.stores[id%len(r.stores)]
	versions := map[string]string{} // as last seen by this client
	for n := 0; ctx.Err() == nil; n++ {
		in := linearInput{key: strconv.Itoa(rand.IntN(linearKeys)), value: fmt.Sprintf("c%d-%d", id, n)}
		switch rand.IntN(10) {
		case 0, 1:
			in.verb = verbCreate
		case 2:
			in.verb = verbDelete
		case 3, 4:
			in.verb = verbUpdate
		case 5, 6:
			in.verb, in.expected = verbUpdate, versions[in.key]
		case 7:
			_ = r.list(ctx, s, id) // one that fails tells nothing
			continue
		default:
			in.verb = verbGet
		}
		out := r.do(ctx, s, id, in)
		if out.version != "" {
			versions[in.key] = out.version
		}
		if out.outcome == outcomeUnknown {
			select {
			case <-time.After(afterUnknown):
			case <-ctx.Done():
			}
		}
	}
}

// do makes a call and records it.
func (r *linear) do(ctx context.Context, s *store.Store, id int, in linearInput) linearOutput {
	call := r.now()
	obj, err := r.call(ctx, s, in)
	out := linearOutput{outcome: outcomeOf(err)}
	if err == nil {
		out.version = obj.GetMetadata().GetResourceVersion()
		if in.verb == verbGet {
			out.value = obj.GetMetadata().GetLabels()["v"]
		}
	}
	if out.outcome == "" {
		r.t.Errorf("%+v failed in a way that nothing explains: %v", in, err)
	}
	end := r.now()
	if out.outcome == outcomeUnknown {
		if in.verb == verbGet {
			return out // it saw and did nothing
		}
		end = math.MaxInt64
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if out.outcome == outcomeUnknown {
		r.unknown++
	}
	r.history = append(r.history, porcupine.Operation{ClientId: id, Input: in, Call: call, Output: out, Return: end})
	return out
}

func (r *linear) now() int64 { return int64(time.Since(r.start)) }

func (r *linear) call(ctx context.Context, s *store.Store, in linearInput) (store.Object, error) {
	k := storetest.Services(r.t)
	key := store.Key{Namespace: "linear", Name: in.key}
	switch in.verb {
	case verbCreate:
		return s.Create(ctx, k, storetest.Service(key.Namespace, key.Name, "v="+in.value))
	case verbUpdate:
		return s.Update(ctx, k, key, in.expected, func(o store.Object) (store.Object, error) {
			o.GetMetadata().Labels = map[string]string{"v": in.value}
			return o, nil
		})
	case verbDelete:
		return s.Delete(ctx, k, key, store.DeleteOptions{})
	default:
		return s.Get(ctx, k, key)
	}
}

// outcomeOf is what an error tells of a call; empty for an error that must not be.
func outcomeOf(err error) string {
	switch {
	case err == nil:
		return outcomeOK
	case apierror.IsAlreadyExists(err):
		return outcomeExists
	case apierror.IsNotFound(err):
		return outcomeNotFound
	case apierror.IsConflict(err):
		return outcomeConflict
	case apierror.Is(err, apierror.ReasonServiceUnavailable), apierror.Is(err, apierror.ReasonTimeout):
		return outcomeUnknown
	default:
		return ""
	}
}

// list lists, and records it as a read of every key. That the keys are of one moment is checked apart.
func (r *linear) list(ctx context.Context, s *store.Store, id int) error {
	call := r.now()
	l, err := s.List(ctx, storetest.Services(r.t), store.ListOptions{Namespace: "linear"})
	if err != nil {
		if outcomeOf(err) != outcomeUnknown {
			r.t.Errorf("list: %v", err)
		}
		return err
	}
	end := r.now()
	revision, err := strconv.ParseInt(l.ResourceVersion, 10, 64)
	if err != nil {
		r.t.Errorf("list: %v", err)
		return err
	}
	seen := recordedList{revision: revision, items: map[string]string{}}
	outputs := map[string]linearOutput{}
	for i := range linearKeys {
		outputs[strconv.Itoa(i)] = linearOutput{outcome: outcomeNotFound}
	}
	for _, obj := range l.Items {
		m := obj.GetMetadata()
		seen.items[m.GetName()] = m.GetLabels()["v"]
		outputs[m.GetName()] = linearOutput{outcomeOK, m.GetLabels()["v"], m.GetResourceVersion()}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lists = append(r.lists, seen)
	for key, out := range outputs {
		r.history = append(r.history, porcupine.Operation{ClientId: id, Input: linearInput{verb: verbGet, key: key}, Call: call, Output: out, Return: end})
	}
	return nil
}

// revisionState is all objects as they were from a revision on.
type revisionState struct {
	revision int64
	items    map[string]string
}

// statesByRevision is what etcd itself says that all states were, oldest first.
func statesByRevision(t *testing.T, client *clientv3.Client) []revisionState {
	t.Helper()
	const prefix = "/fairlead/serving.knative.dev/services/linear/"
	ctx, cancel := context.WithTimeout(t.Context(), stepPatience)
	defer cancel()
	mark, err := client.Put(ctx, prefix+"~end", "x")
	if err != nil {
		t.Fatal(err)
	}
	items, states := map[string]string{}, []revisionState{{}}
	for resp := range client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(1)) {
		if err := resp.Err(); err != nil {
			t.Fatal(err)
		}
		for _, ev := range resp.Events {
			if ev.Kv.ModRevision == mark.Header.Revision {
				return states
			}
			items = maps.Clone(items)
			name := string(ev.Kv.Key[len(prefix):])
			delete(items, name)
			if ev.Type == clientv3.EventTypePut {
				items[name] = labelIn(t, ev.Kv.Value)
			}
			states = append(states, revisionState{ev.Kv.ModRevision, items})
		}
	}
	t.Fatalf("etcd's own history was not read: %v", ctx.Err())
	return nil
}

// checkLists compares each list with what etcd held at its revision.
func (r *linear) checkLists(states []revisionState) {
	r.t.Helper()
	for _, l := range r.lists {
		i, exact := slices.BinarySearchFunc(states, l.revision, func(s revisionState, revision int64) int { return int(s.revision - revision) })
		if !exact {
			i--
		}
		want := states[i].items
		if want == nil {
			want = map[string]string{}
		}
		if d := cmp.Diff(want, l.items); d != "" {
			r.t.Errorf("a list of version %d is not what etcd had then (-etcd +list):\n%s", l.revision, d)
			return
		}
	}
}

// labelIn is the value that a stored object carries.
func labelIn(t *testing.T, value []byte) string {
	t.Helper()
	var obj servingv1.Service
	if err := proto.Unmarshal(value, &obj); err != nil {
		t.Fatal(err)
	}
	return obj.GetMetadata().GetLabels()["v"]
}
