// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// session is one lease, from its grant until it is lost or given back.
type session struct {
	id  clientv3.LeaseID
	ttl time.Duration
	// timer ends the session by this process's own clock, before etcd gives its keys to others.
	timer *time.Timer
	// lost is closed when the lease is, or may be, no longer ours.
	lost chan struct{}
	// announce is signalled to have the registration written anew. It is the session's own, so that the end of one takes
	// nothing from the next.
	announce chan struct{}
	// ending is set when all is to be given back. Member.mu guards it.
	ending bool
}

// margin is how long before etcd the process itself takes the lease for lost: time for work to stop.
func (s *session) margin() time.Duration { return s.ttl / 6 }

// extend moves the end of the session: etcd counts from when it got the request, which is not before it was sent.
func (s *session) extend(sent time.Time) { s.timer.Reset(time.Until(sent.Add(s.ttl - s.margin()))) }

// open gets a lease, after revoking the one of an earlier process of the same ID.
func (m *Member) open(ctx context.Context) (*session, error) {
	call, cancel := context.WithTimeout(ctx, m.opts.TTL)
	defer cancel()
	before, err := m.client.Get(call, m.keys.member(m.opts.ID))
	if err != nil {
		return nil, fmt.Errorf("read the registration: %w", err)
	}
	for _, kv := range before.Kvs {
		if _, err := m.client.Revoke(call, clientv3.LeaseID(kv.Lease)); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return nil, fmt.Errorf("revoke the lease of an earlier process: %w", err)
		}
	}
	sent := time.Now()
	granted, err := m.client.Grant(call, int64((m.opts.TTL+time.Second-1)/time.Second))
	if err != nil {
		return nil, fmt.Errorf("get a lease: %w", err)
	}
	s := &session{id: granted.ID, ttl: time.Duration(granted.TTL) * time.Second, lost: make(chan struct{}), announce: make(chan struct{}, 1)}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.timer = time.AfterFunc(time.Hour, func() { m.lose(s) })
	s.extend(sent)
	m.session = s
	m.signal()
	return s, nil
}

// signal has the registration written, where there is a session; one that comes writes it by itself. m.mu must be held.
func (m *Member) signal() {
	if m.session != nil {
		m.session.signal()
	}
}

// signal has the registration written under this session. It never blocks.
func (s *session) signal() {
	select {
	case s.announce <- struct{}{}:
	default:
	}
}

// lose ends a session, and with it all work under it.
func (m *Member) lose(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != s {
		return
	}
	m.log.Warn("the lease is lost; all work under it stops, until there is another")
	m.metrics.lost.Inc()
	m.session = nil
	close(s.lost)
	m.stepAll()
}

// keep keeps a session alive until it is lost, or ctx ends and everything has been given back. When it returns, no work of
// the session is going on.
func (m *Member) keep(ctx context.Context, s *session) {
	stopped := make(chan struct{})
	m.wg.Go(func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
			m.mu.Lock()
			s.ending = true
			m.stepAll()
			m.mu.Unlock()
		case <-s.lost:
		}
		m.waitFree()
	})
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	m.wg.Go(func() { m.register(background, s) })
	m.beat(background, s, stopped)
	<-stopped
	s.timer.Stop()
	select {
	case <-s.lost:
	default:
		m.close(background, s)
	}
}

// close gives the lease back.
func (m *Member) close(ctx context.Context, s *session) {
	m.mu.Lock()
	m.session = nil
	m.tell()
	m.mu.Unlock()
	call, cancel := context.WithTimeout(ctx, s.ttl)
	defer cancel()
	if _, err := m.client.Revoke(call, s.id); err != nil {
		m.log.WarnContext(ctx, "the lease could not be given back; it ends by itself", "error", err)
	}
}

// beat renews the lease until stopped is closed or the session is lost.
func (m *Member) beat(ctx context.Context, s *session, stopped <-chan struct{}) {
	every := time.NewTicker(s.ttl / 3)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-stopped:
			return
		case <-s.lost:
			return
		}
		for m.renew(ctx, s) != nil {
			select {
			case <-s.lost:
				return
			case <-time.After(retryPause):
			}
		}
	}
}

// renew renews the lease once.
func (m *Member) renew(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), s.ttl/3)
	defer cancel()
	sent := time.Now()
	_, err := m.client.KeepAliveOnce(ctx, s.id)
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		m.lose(s)
		return nil
	}
	if err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == s {
		s.extend(sent)
	}
	return nil
}

// register writes what others see of the member, at first and when the groups in which it takes part change.
func (m *Member) register(ctx context.Context, s *session) {
	for {
		select {
		case <-s.announce:
		case <-s.lost:
			return
		case <-ctx.Done():
			return
		}
		if err := m.put(ctx, s); err != nil {
			if errors.Is(err, rpctypes.ErrLeaseNotFound) {
				m.lose(s)
				return
			}
			if ctx.Err() != nil {
				return
			}
			m.log.WarnContext(ctx, "the registration could not be written; it is tried again", "error", err)
			pause(ctx)
			s.signal()
		}
	}
}

func (m *Member) put(ctx context.Context, s *session) error {
	call, cancel := context.WithTimeout(ctx, s.ttl)
	defer cancel()
	m.mu.Lock()
	me := Peer{Address: m.opts.Address, Serves: m.opts.Serves}
	for name, g := range m.groups {
		if len(g.followers) > 0 {
			me.Shares = append(me.Shares, name)
		}
	}
	m.mu.Unlock()
	slices.Sort(me.Shares)
	value, err := json.Marshal(me)
	if err != nil {
		return fmt.Errorf("encode the registration: %w", err)
	}
	if _, err = m.client.Put(call, m.keys.member(m.opts.ID), string(value), clientv3.WithLease(s.id)); err != nil {
		return fmt.Errorf("write the registration: %w", err)
	}
	return nil
}

// waitFree returns when no shard is worked on.
func (m *Member) waitFree() {
	late := time.AfterFunc(patience, func() { m.log.Warn("work that was told to stop still goes on", "after", patience) })
	defer late.Stop()
	for {
		m.mu.Lock()
		free, changed := m.free(), m.changed
		m.mu.Unlock()
		if free {
			return
		}
		<-changed
	}
}

func (m *Member) free() bool {
	for _, g := range m.groups {
		for _, s := range g.shards {
			if s.state != free {
				return false
			}
		}
	}
	return true
}
