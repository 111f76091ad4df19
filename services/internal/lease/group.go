// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"fmt"
	"maps"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/services/internal/store"
)

// Group is work in shards. A nil Group is one shard that is always ours.
type Group struct {
	member *Member
	name   string
	shards []*shard
	// assigned names the member that is to have each shard; Member.mu guards it, and followers.
	assigned  []string
	followers map[*follower]struct{}
}

// follower is a call of Follow.
type follower struct {
	ctx context.Context //nolint:containedctx // the parent of what runs for shards as they come
	fn  func(ctx context.Context, shard int)
}

// Name is the group's name.
func (g *Group) Name() string {
	if g == nil {
		return ""
	}
	return g.name
}

// Shards is how many shards the group has.
func (g *Group) Shards() int {
	if g == nil {
		return 1
	}
	return len(g.shards)
}

// Shard is the shard to which a key belongs.
func (g *Group) Shard(key store.Key) int {
	if g == nil {
		return 0
	}
	return int(hash(key.Namespace, key.Name) % uint64(len(g.shards)))
}

// Follow takes part in the group until ctx ends: fn runs while a shard is held, a call for each. Its context ends when the
// shard is lost or is to move, and carries the guard by which etcd refuses writes after that. A shard goes to another
// member only when fn has returned. Follow returns when all calls of fn have, and the group's shards are given back.
func (g *Group) Follow(ctx context.Context, fn func(ctx context.Context, shard int)) {
	if g == nil {
		fn(ctx, 0)
		return
	}
	m, f := g.member, &follower{ctx, fn}
	m.mu.Lock()
	g.followers[f] = struct{}{}
	m.signal()
	m.stepAll()
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	delete(g.followers, f)
	m.signal()
	m.stepAll()
	for !g.doneWith(f) {
		changed := m.changed
		m.mu.Unlock()
		<-changed
		m.mu.Lock()
	}
	m.mu.Unlock()
}

// doneWith tells whether nothing of a follower that has left is going on, and the shards are given back if it was the
// last. Member.mu must be held.
func (g *Group) doneWith(f *follower) bool {
	for _, s := range g.shards {
		if s.work[f] != nil || len(g.followers) == 0 && s.state != free {
			return false
		}
	}
	return true
}

// Lead runs fn while this member holds the one shard of the group, anew each time that it comes to. It returns when ctx
// ends, or when fn returns although the shard is held.
func (g *Group) Lead(ctx context.Context, fn func(ctx context.Context) error) (err error) {
	if g == nil {
		return fn(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g.Follow(ctx, func(ctx context.Context, shard int) {
		if shard != 0 {
			return
		}
		if e := fn(ctx); ctx.Err() == nil {
			err = e
			cancel()
		}
	})
	return err
}

// Holder returns where the member that holds a shard is reached, and whether it is this process. The last result is false
// while nobody is known to hold it, or this process only did before it lost its lease.
func (g *Group) Holder(shard int) (address string, self, ok bool) {
	if g == nil {
		return "", true, true
	}
	m := g.member
	m.mu.Lock()
	defer m.mu.Unlock()
	s := g.shards[shard]
	h, ok := m.view.holders[s.key]
	if !ok {
		return "", false, false
	}
	if h.id == m.opts.ID {
		return m.opts.Address, true, m.session != nil && h.lease == m.session.id
	}
	return m.view.members[h.id].Address, false, true
}

// Changed returns a channel that is closed when a shard, its holder or a member changes.
func (g *Group) Changed() <-chan struct{} {
	if g == nil {
		return nil
	}
	return g.member.Changed()
}

// assign says anew who is to have which shard. Member.mu must be held.
func (g *Group) assign() {
	var ids []string
	for id, p := range g.member.view.members {
		if slices.Contains(p.Shares, g.name) {
			ids = append(ids, id)
		}
	}
	if h, taken := g.member.view.holders[g.shards[0].key]; taken && len(g.shards) == 1 && slices.Contains(ids, h.id) {
		g.assigned = []string{h.id} // a leader stays one for as long as it is there: followers have to find the next
		return
	}
	g.assigned = assign(ids, g.name, len(g.shards))
}

// state is what is being done about a shard.
type state int

const (
	// free: no work is done for the shard, and no call about it is on its way.
	free state = iota
	// acquiring: etcd is asked for the shard.
	acquiring
	// held: the shard is worked on.
	held
	// leaving: work is being stopped, or the shard given back.
	leaving
)

// shard is a shard of a group, as this member has it. Member.mu guards it.
type shard struct {
	group *Group
	index int
	key   string
	state state
	// session and revision are those under which the shard is held: revision is the key's create revision.
	session  *session
	revision int64
	work     map[*follower]*work
}

// work is a call of a follower's function that has not returned.
type work struct {
	cancel context.CancelCauseFunc
}

// wanted tells whether the member should hold a shard. m.mu must be held.
func (m *Member) wanted(s *shard) bool {
	return m.session != nil && !m.session.ending && len(s.group.followers) > 0 && s.group.assigned != nil && s.group.assigned[s.index] == m.opts.ID
}

// step does the next thing about a shard, if there is one. m.mu must be held.
func (m *Member) step(s *shard) {
	h, taken := m.view.holders[s.key]
	ours := taken && m.session != nil && h.lease == m.session.id
	ending := m.session != nil && m.session.ending
	switch {
	case s.state == held && m.wanted(s) && s.session == m.session && ours && h.created == s.revision:
		m.startWork(s)
		m.stopLeft(s)
	case s.state == held:
		m.leave(s)
	case s.state != free:
		// what is on its way looks again when it is over
	case ours && !ending:
		// This follows acquire, also one whose answer was lost.
		s.state, s.session, s.revision = held, m.session, h.created
		if m.wanted(s) {
			m.log.Debug("shard taken", "group", s.group.name, "shard", s.index)
			m.metrics.takeovers.WithLabelValues(s.group.name).Inc()
		}
		m.metrics.held.WithLabelValues(s.group.name).Inc()
		m.step(s)
	case !taken && m.wanted(s):
		s.state = acquiring
		session := m.session
		m.wg.Go(func() { m.acquire(s, session) })
	}
}

// revisionKey is where a context of a shard's work has the revision at which the shard was taken.
type revisionKey struct{}

// TakenAt is the revision of etcd at which the shard was taken whose work ctx is of: what others wrote while they held it
// is older. 0 means that ctx is of no shard.
func TakenAt(ctx context.Context) int64 {
	revision, _ := ctx.Value(revisionKey{}).(int64)
	return revision
}

// startWork calls the followers that are not called yet. m.mu must be held.
func (m *Member) startWork(s *shard) {
	guard := clientv3.Compare(clientv3.CreateRevision(s.key), "=", s.revision)
	for f := range s.group.followers {
		if s.work[f] != nil {
			continue
		}
		ctx := context.WithValue(f.ctx, revisionKey{}, s.revision)
		ctx, cancel := context.WithCancelCause(store.WithFence(ctx, guard))
		s.work[f] = &work{cancel}
		m.wg.Go(func() {
			f.fn(ctx, s.index)
			<-ctx.Done() // work that ends early still holds its shard
			cancel(nil)
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(s.work, f)
			m.tell()
		})
	}
}

// stopLeft has the work of followers that have left stop. m.mu must be held.
func (m *Member) stopLeft(s *shard) {
	for f, w := range s.work {
		if _, here := s.group.followers[f]; !here {
			w.cancel(context.Canceled)
		}
	}
}

// leave stops the work of a shard, and gives it back if it is still ours. m.mu must be held.
func (m *Member) leave(s *shard) {
	s.state = leaving
	m.metrics.held.WithLabelValues(s.group.name).Dec()
	cause := ErrMoved
	if s.session != m.session {
		cause = ErrLost
	}
	for w := range maps.Values(s.work) {
		w.cancel(cause)
	}
	m.wg.Go(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for len(s.work) > 0 {
			changed := m.changed
			// A lease that is lost while work stops for another reason is no news to the work.
			m.mu.Unlock()
			<-changed
			m.mu.Lock()
		}
		for s.session == m.session && !s.session.ending { // at the end the lease goes, and all its keys with it
			m.mu.Unlock()
			err := m.release(s)
			if err != nil {
				pause(context.Background())
			}
			m.mu.Lock()
			if err == nil {
				break
			}
		}
		s.state, s.session = free, nil
		m.step(s)
		m.tell()
	})
}

// acquire asks etcd for a shard.
func (m *Member) acquire(s *shard, under *session) {
	ctx, cancel := context.WithTimeout(context.Background(), under.ttl)
	defer cancel()
	resp, err := m.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(s.key), "=", 0)).
		Then(clientv3.OpPut(s.key, m.opts.ID, clientv3.WithLease(under.id))).
		Else(clientv3.OpGet(s.key)).Commit()
	if err != nil {
		m.log.Warn("a shard could not be taken; it is tried again", "group", s.group.name, "shard", s.index, "error", err)
		pause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.state = free
	switch {
	case err != nil:
	case resp.Succeeded && resp.Header.Revision <= m.view.revision:
		// The answer is late: the view has this already, and may know by now that the shard is gone again.
	case resp.Succeeded:
		m.view.take(s.key, holder{id: m.opts.ID, lease: under.id, created: resp.Header.Revision, seen: resp.Header.Revision})
	case resp.Header.Revision >= m.view.revision:
		for _, kv := range resp.Responses[0].GetResponseRange().GetKvs() {
			m.view.take(s.key, holderOf(kv))
		}
	}
	m.step(s)
	m.tell()
}

// release gives a shard back, if it is still ours.
func (m *Member) release(s *shard) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.session.ttl/3)
	defer cancel()
	resp, err := m.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(s.key), "=", s.revision)).
		Then(clientv3.OpDelete(s.key)).
		Else(clientv3.OpGet(s.key)).Commit()
	if err != nil {
		return fmt.Errorf("release %s: %w", s.key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !resp.Succeeded && len(resp.Responses[0].GetResponseRange().GetKvs()) > 0 { // it has gone to another already
		if resp.Header.Revision >= m.view.revision {
			m.view.take(s.key, holderOf(resp.Responses[0].GetResponseRange().GetKvs()[0]))
		}
		return nil
	}
	m.view.drop(s.key, resp.Header.Revision)
	return nil
}
