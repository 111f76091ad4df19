// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"strings"

	mvccpb "go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// How a list means its ResourceVersion.
const (
	// NotOlderThan takes any state that is as new or newer.
	NotOlderThan = "NotOlderThan"
	// Exact takes the state at just that version.
	Exact = "Exact"
)

// listChunk is how many objects are read from etcd at once.
const listChunk = 500

// ListOptions choose what a list has.
type ListOptions struct {
	// Namespace of the objects; empty means all.
	Namespace string
	// LabelSelector chooses by label; nil chooses all.
	LabelSelector labels.Selector
	// FieldSelector chooses by metadata.name and metadata.namespace; nil chooses all.
	FieldSelector fields.Selector
	// Limit is the most items in a page; 0 means all in one.
	Limit int64
	// Continue is the token of the page before.
	Continue string
	// ResourceVersion is empty for the newest state, 0 for any.
	ResourceVersion string
	// ResourceVersionMatch is NotOlderThan (the default) or Exact.
	ResourceVersionMatch string
}

// List is a page of objects, in the order of their keys, all of one revision.
type List struct {
	// Items are the objects.
	Items []Object
	// ResourceVersion is the revision of the list; a watch may start from it.
	ResourceVersion string
	// Continue is the token of the next page; empty on the last.
	Continue string
	// Remaining is how many objects follow this page; nil when not known, which is so with selectors.
	Remaining *int64
}

// listing is a list that is being read.
type listing struct {
	kind   kinds.Kind
	filter filter
	// prefix of the keys of all objects in question.
	prefix string
	// start and end of the keys still to be read.
	start, end string
	// revision to read at, 0 before the first read of the newest.
	revision int64
	// least is the revision that the newest must have reached.
	least int64
	limit int64
}

// List returns a page of objects. Without a ResourceVersion it is the newest state.
func (s *Store) List(ctx context.Context, k kinds.Kind, o ListOptions) (list *List, err error) {
	defer s.metrics.observe(ctx, "list", k, &err)()
	l, err := s.newListing(k, o)
	if err != nil {
		return nil, err
	}
	if cached := s.listCached(k, l, o); cached != nil {
		return cached, nil
	}
	out := &List{}
	for {
		resp, err := s.listChunk(ctx, l, len(out.Items))
		if err != nil {
			return nil, err
		}
		out.ResourceVersion = formatRevision(l.revision)
		taken, err := s.take(l, resp.Kvs, out)
		if err != nil {
			return nil, err
		}
		left := resp.Count - int64(taken)
		if left <= 0 {
			return out, nil
		}
		last := string(resp.Kvs[taken-1].Key)
		if l.limit > 0 && int64(len(out.Items)) >= l.limit {
			out.Continue = continuation{l.revision, strings.TrimPrefix(last, l.prefix)}.token(l.prefix, l.filter)
			if !l.filter.selective() {
				out.Remaining = &left
			}
			return out, nil
		}
		l.start = last + "\x00"
	}
}

// newListing checks the options.
func (s *Store) newListing(k kinds.Kind, o ListOptions) (*listing, error) {
	f, err := newFilter(k, o.Namespace, o.LabelSelector, o.FieldSelector)
	if err != nil {
		return nil, err
	}
	prefix, err := s.keys.within(k, f.namespace)
	if err != nil {
		return nil, err
	}
	if o.Limit < 0 {
		return nil, apierror.BadRequest("limit %d is negative", o.Limit)
	}
	l := &listing{kind: k, filter: f, prefix: prefix, start: prefix, end: clientv3.GetPrefixRangeEnd(prefix), limit: o.Limit}
	if name, ok := f.name(); ok && (f.namespace != "" || !k.Namespaced) && checkSegment("name", name) == nil {
		l.start, l.end = prefix+name, prefix+name+"\x00"
	}
	if o.Continue != "" {
		if o.ResourceVersion != "" || o.ResourceVersionMatch != "" {
			return nil, apierror.BadRequest("a page with a continue token is of the version of its list; leave resourceVersion out")
		}
		c, err := parseToken(o.Continue, prefix, f)
		if err != nil {
			return nil, err
		}
		l.start, l.revision = prefix+c.after+"\x00", c.revision
		return l, nil
	}
	version, err := parseRevision(o.ResourceVersion)
	if err != nil {
		return nil, err
	}
	switch o.ResourceVersionMatch {
	case Exact:
		if version == 0 {
			return nil, apierror.BadRequest("resourceVersionMatch %s needs a resourceVersion other than 0", Exact)
		}
		l.revision = version
	case NotOlderThan, "":
		if o.ResourceVersion == "" && o.ResourceVersionMatch != "" {
			return nil, apierror.BadRequest("resourceVersionMatch %s needs a resourceVersion", NotOlderThan)
		}
		l.least = version
	default:
		return nil, apierror.BadRequest("resourceVersionMatch %q is neither %s nor %s", o.ResourceVersionMatch, NotOlderThan, Exact)
	}
	return l, nil
}

// listChunk reads the next objects of l, and fixes its revision. have is how many items l has already.
func (s *Store) listChunk(ctx context.Context, l *listing, have int) (*clientv3.GetResponse, error) {
	size := int64(listChunk)
	if l.limit > 0 && !l.filter.selective() {
		size = min(size, l.limit-int64(have))
	}
	opts := []clientv3.OpOption{clientv3.WithRange(l.end), clientv3.WithLimit(size)}
	if l.revision > 0 {
		opts = append(opts, clientv3.WithRev(l.revision))
	}
	call, cancel := s.limit(ctx)
	defer cancel()
	resp, err := s.client.Get(call, l.start, opts...)
	if err != nil {
		return nil, s.etcdError(ctx, err)
	}
	if resp.Header.Revision < l.least {
		return nil, tooLarge()
	}
	if l.revision == 0 {
		l.revision = resp.Header.Revision
	}
	return resp, nil
}

// take adds the objects that l chooses to out, up to its limit, and returns how many it looked at.
func (s *Store) take(l *listing, kvs []*mvccpb.KeyValue, out *List) (int, error) {
	for i, kv := range kvs {
		got, err := s.decodeStored(l.kind, string(kv.Key), kv.Value, kv.ModRevision)
		if err != nil {
			return 0, err
		}
		if !l.filter.matches(got.object) {
			continue
		}
		out.Items = append(out.Items, got.object)
		if l.limit > 0 && int64(len(out.Items)) >= l.limit {
			return i + 1, nil
		}
	}
	return len(kvs), nil
}

// listCached answers from the kind's cache, where the options allow a state that may not be the newest, and one runs.
func (s *Store) listCached(k kinds.Kind, l *listing, o ListOptions) *List {
	if o.ResourceVersion == "" || o.ResourceVersionMatch == Exact || l.limit > 0 || o.Continue != "" {
		return nil
	}
	c := s.caches.find(k)
	if c == nil {
		return nil
	}
	objects, revision, ok := c.snapshot(l.filter)
	if !ok || revision < l.least {
		return nil
	}
	out := &List{Items: make([]Object, len(objects)), ResourceVersion: formatRevision(revision)}
	for i, obj := range objects {
		out.Items[i] = clone(obj)
	}
	return out
}
