// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lease shares work among the processes of an installation. Each process is a member with one lease in etcd. Work
// comes in groups of shards; a shard is worked on by the one member whose lease holds the shard's key. What is done for a
// shard gets a context that ends when the lease is lost, and whose writes etcd refuses once another member may hold it: a
// process that was paused and wakes up changes nothing.
package lease

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// defaultTTL leaves etcd two of the five seconds within which a killed member's work is taken over.
	defaultTTL = 3 * time.Second
	// leastTTL is the shortest lease that etcd gives with its default election timeout.
	leastTTL = 2 * time.Second
	// retryPause is the time between two tries of what etcd did not answer.
	retryPause = 200 * time.Millisecond
	// patience is after how long it is said that work does not stop.
	patience = 10 * time.Second
)

// ErrLost is the cause with which the context of a shard's work ends when the lease is lost.
var ErrLost = errors.New("the lease in etcd is lost: another process may work here by now")

// ErrMoved is the cause with which the context of a shard's work ends when another member is to have the shard.
var ErrMoved = errors.New("the work moves to another process")

// Options configures a Member.
type Options struct {
	// Prefix is the start of the installation's keys in etcd; /fairlead by default.
	Prefix string
	// ID names the process. An earlier process of the same ID is taken to be dead: what it still holds is revoked at the
	// start, without a wait. So it is the name of a pod, or of the machine where there can be but one; a host name with a
	// random end by default.
	ID string
	// TTL is how long a member that is not heard keeps its shards; 3 seconds by default, 2 at least.
	TTL time.Duration
	// Address is where other members reach this process over gRPC; it may be empty.
	Address string
	// Serves are the API groups that the process serves.
	Serves []string
	// Log gets what happens; slog.Default by default.
	Log *slog.Logger
	// Metrics is where the member registers its metrics; nil means none.
	Metrics prometheus.Registerer
}

// Peer is a member as others see it.
type Peer struct {
	// ID names the process.
	ID string `json:"-"`
	// Address is where it is reached over gRPC; it may be empty.
	Address string `json:"address,omitempty"`
	// Serves are the API groups that it serves.
	Serves []string `json:"serves,omitempty"`
	// Shares are the groups of work in which it takes part.
	Shares []string `json:"shares,omitempty"`
}

// Member is one process among those that share the work of an installation. A nil Member is alone: its groups are nil.
type Member struct {
	client  *clientv3.Client
	opts    Options
	keys    keyspace
	log     *slog.Logger
	metrics *metrics

	mu     sync.Mutex
	groups map[string]*Group
	// session is the lease, nil while there is none.
	session *session
	view    view
	// changed is closed, and replaced, when a shard's state, its holder or a member changes.
	changed chan struct{}
	wg      sync.WaitGroup
}

// New makes a Member. Nothing is asked of etcd before Run.
func New(client *clientv3.Client, o Options) (*Member, error) {
	if client == nil {
		return nil, errors.New("lease: an etcd client is needed")
	}
	if o.Prefix = strings.Trim(cmp.Or(o.Prefix, "fairlead"), "/"); o.Prefix == "" {
		return nil, errors.New("lease: Prefix must name at least one path segment, such as /fairlead")
	}
	if o.TTL = cmp.Or(o.TTL, defaultTTL); o.TTL < leastTTL {
		return nil, fmt.Errorf("lease: TTL is %s; etcd gives none shorter than %s", o.TTL, leastTTL)
	}
	if o.ID == "" {
		o.ID = randomID()
	}
	if strings.Contains(o.ID, "/") {
		return nil, fmt.Errorf("lease: ID is %q; leave the slash out", o.ID)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, err
	}
	return &Member{
		client: client, opts: o, keys: keyspace{"/" + o.Prefix}, log: o.Log.With("component", "lease", "member", o.ID), metrics: m,
		groups: map[string]*Group{}, changed: make(chan struct{}),
		view: view{members: map[string]Peer{}, holders: map[string]holder{}},
	}, nil
}

func randomID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "member"
	}
	end := make([]byte, 4)
	_, _ = rand.Read(end) // never fails
	return strings.ReplaceAll(host, "/", "-") + "-" + hex.EncodeToString(end)
}

// ID names the process among the members.
func (m *Member) ID() string { return m.opts.ID }

// Changed returns a channel that is closed when a shard, its holder or a member changes.
func (m *Member) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// Run takes part until ctx ends: it keeps the lease, and takes and leaves shards as members come and go. At the end it has
// all work stop and gives everything back, so that others take it over at once. It may be called once.
func (m *Member) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { m.watch(background) })
	defer watching.Wait()
	defer stop()
	told := false
	for ctx.Err() == nil {
		s, err := m.open(ctx)
		if err != nil {
			if ctx.Err() == nil && !told {
				told = true
				m.log.WarnContext(ctx, "no lease from etcd; nothing is worked on until there is one", "error", err)
			}
			pause(ctx)
			continue
		}
		told = false
		m.keep(ctx, s)
	}
	m.wg.Wait()
	return nil
}

// Peers returns the members that are there, this one too, in the order of their IDs.
func (m *Member) Peers() []Peer {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	peers := make([]Peer, 0, len(m.view.members))
	for _, p := range m.view.members {
		peers = append(peers, p)
	}
	slices.SortFunc(peers, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	return peers
}

// Group returns the group of that name, of so many shards: one shard means one leader. All members must name the same
// number.
func (m *Member) Group(name string, shards int) *Group {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.groups[name]
	if g == nil {
		g = &Group{member: m, name: name, followers: map[*follower]struct{}{}}
		for i := range max(shards, 1) {
			g.shards = append(g.shards, &shard{group: g, index: i, key: m.keys.shard(name, i), work: map[*follower]*work{}})
		}
		m.groups[name] = g
	}
	return g
}

// tell wakes who waits for a change. m.mu must be held.
func (m *Member) tell() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// stepAll looks at all shards. m.mu must be held.
func (m *Member) stepAll() {
	for _, g := range m.groups {
		for _, s := range g.shards {
			m.step(s)
		}
	}
	m.tell()
}

// pause waits before another try, or until ctx ends.
func pause(ctx context.Context) {
	t := time.NewTimer(retryPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
