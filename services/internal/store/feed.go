// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// How long the feed waits after a failure: twice as long each time, up to the most.
const (
	feedBackoff    = 100 * time.Millisecond
	feedBackoffMax = 10 * time.Second
)

const (
	// askDelay is how long an event is waited for that brings the feed as far as someone needs it, before etcd is asked.
	askDelay = time.Millisecond
	// askInterval is the time between questions to etcd how far the watch is, while someone waits for the answer. etcd does
	// not answer while the watch lags behind, so that one question may not be enough.
	askInterval = 50 * time.Millisecond
)

// errGap tells that there are changes that the feed has not seen and will not see.
var errGap = errors.New("etcd has no record of the changes that come next")

// feed is the store's one watch of etcd, over the objects of the installation. It feeds all caches, so that a write of any
// kind takes all of them on.
type feed struct {
	store    *Store
	wg       *sync.WaitGroup
	position position
	// ask is signalled to have etcd asked how far the watch is; want, when somebody waits for a revision.
	ask, want chan struct{}
	// wanted is the highest revision that anybody waited for, and waiters is how many wait now.
	wanted  atomic.Int64
	waiters atomic.Int32
	// stands tells that the watch exists.
	stands atomic.Bool
	// lost is signalled when etcd seems to be another than it was.
	lost chan struct{}

	// mu is held while events are passed on.
	mu      sync.Mutex
	started bool
	// caches by the part of keys between the installation's prefix and the object.
	caches map[string]*Cache
	// fills bounds how many caches are filled at once.
	fills chan struct{}
}

func newFeed(s *Store, wg *sync.WaitGroup) *feed {
	return &feed{
		store: s, wg: wg, position: position{ch: make(chan struct{})},
		ask: make(chan struct{}, 1), want: make(chan struct{}, 1), lost: make(chan struct{}, 1),
		caches: map[string]*Cache{}, fills: make(chan struct{}, maxFills),
	}
}

// position is how far the feed is: all caches that are filled have whatever was written up to there.
type position struct {
	at atomic.Int64
	mu sync.Mutex
	ch chan struct{}
}

func (p *position) revision() int64 { return p.at.Load() }

// moved returns a channel that is closed when the position, or what a cache has, moves.
func (p *position) moved() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ch
}

// set moves the position, and wakes who waits.
func (p *position) set(revision int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at.Store(revision)
	close(p.ch)
	p.ch = make(chan struct{})
}

// await notes that somebody waits for a revision, until the function that it returns is called.
func (f *feed) await(revision int64) (done func()) {
	f.waiters.Add(1)
	for was := f.wanted.Load(); was < revision && !f.wanted.CompareAndSwap(was, revision); was = f.wanted.Load() {
	}
	signal(f.want)
	return func() { f.waiters.Add(-1) }
}

func (f *feed) askProgress() { signal(f.ask) }

// signal wakes the reader of ch, unless it is woken already.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// register has c fed from now on.
func (f *feed) register(ctx context.Context, c *Cache) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.caches[strings.TrimPrefix(c.prefix, f.store.keys.prefix+"/")] = c
	if f.started {
		f.startFill(ctx, c)
	}
}

// run feeds the caches until ctx ends.
func (f *feed) run(ctx context.Context) {
	backoff := feedBackoff
	for {
		before := f.position.revision()
		err := f.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errGap):
			f.store.log.Warn("the caches are filled again, and their watchers have to list", "reason", err)
			f.mu.Lock()
			f.started = false
			f.mu.Unlock()
			continue
		case f.position.revision() > before:
			backoff = feedBackoff
		}
		f.store.log.Warn("the watch of etcd broke; it is taken up again", "error", err, "cause", errors.Unwrap(err), "after", backoff)
		timer := time.NewTimer(backoff)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		backoff = min(2*backoff, feedBackoffMax)
	}
}

// begin starts from etcd's newest revision, and fills all caches.
func (f *feed) begin(ctx context.Context) error {
	f.mu.Lock()
	for _, c := range f.caches {
		c.suspend()
	}
	f.mu.Unlock()
	revision, err := f.store.currentRevision(ctx)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.position.set(revision)
	f.started = true
	for _, c := range f.caches {
		f.startFill(ctx, c)
	}
	return nil
}

// follow passes on what etcd tells until its watch ends.
func (f *feed) follow(ctx context.Context) error {
	f.mu.Lock()
	started := f.started
	f.mu.Unlock()
	if !started {
		if err := f.begin(ctx); err != nil {
			return err
		}
	}
	watching, cancel := context.WithCancel(ownStream(ctx))
	defer cancel()
	defer f.stands.Store(false)
	from, end := f.store.keys.objects()
	watch := f.store.client.Watch(watching, from,
		clientv3.WithRange(end), clientv3.WithRev(f.position.revision()+1), clientv3.WithProgressNotify(), clientv3.WithCreatedNotify())
	var a asking
	defer a.stop()
	for {
		var err error
		select {
		case resp, ok := <-watch:
			if !ok {
				return errors.New("etcd ended the watch")
			}
			if err := f.receive(watching, resp); err != nil {
				return err
			}
			if err = a.created(watching, f); err == nil {
				err = a.moved(watching, f)
			}
		case <-f.ask:
			err = a.now(watching, f)
		case <-f.want:
			a.soon(f)
		case <-a.due():
			err = a.again(watching, f)
		case <-f.lost:
			err = f.check(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// receive takes over an answer of the watch.
func (f *feed) receive(ctx context.Context, resp clientv3.WatchResponse) error {
	err := resp.Err()
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		return errGap
	case err != nil:
		return f.store.etcdError(ctx, err)
	case resp.IsProgressNotify():
		f.mu.Lock()
		defer f.mu.Unlock()
		if resp.Header.Revision > f.position.revision() {
			f.position.set(resp.Header.Revision)
		}
	case len(resp.Events) > 0:
		f.pass(resp.Events)
	}
	return nil
}

// pass hands events on to the caches that they are for.
func (f *feed) pass(events []*clientv3.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	byCache := map[*Cache][]*clientv3.Event{}
	for _, ev := range events {
		if c := f.cacheOf(ev.Kv.Key); c != nil {
			byCache[c] = append(byCache[c], ev)
		}
	}
	for c, events := range byCache {
		if c.waiting != nil {
			c.waiting = append(c.waiting, events...)
			continue
		}
		c.apply(events)
	}
	f.position.set(events[len(events)-1].Kv.ModRevision)
}

// cacheOf returns the cache in which an etcd key belongs; nil if there is none, as for what is not an object.
func (f *feed) cacheOf(key []byte) *Cache {
	rest := key[min(len(f.store.keys.prefix)+1, len(key)):]
	slashes := 0
	for i, b := range rest {
		if b != '/' {
			continue
		}
		if slashes++; slashes == 2 {
			return f.caches[string(rest[:i+1])]
		}
	}
	return nil
}

// check looks whether etcd's revision has gone back, as when its data was replaced.
func (f *feed) check(ctx context.Context) error {
	at := f.position.revision()
	revision, err := f.store.currentRevision(ctx)
	if err == nil && revision < at {
		f.store.log.Error("etcd holds less than it did: it was restored from a backup, or is another one", "revision", revision, "was", at)
		return errGap
	}
	return err
}

// ownStream returns a context whose watches share no gRPC stream with others. etcd tells the progress of a whole stream, and
// may tell it to a watch that has just come and has not seen what it missed.
func ownStream(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "fairlead-watch", uuid.NewString())
}
