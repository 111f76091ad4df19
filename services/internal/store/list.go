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
	// Items are the objects; they are the caller's.
	Items []Object
	// ResourceVersion is the revision of the list; a watch may start from it.
	ResourceVersion string
	// Continue is the token of the next page; empty on the last.
	Continue string
	// Remaining is how many objects follow this page; nil when not known, which is so with selectors.
	Remaining *int64
}

// ItemList is a List for callers that only pass objects on.
type ItemList struct {
	// Items are the objects, shared with all other readers.
	Items []Item
	// ResourceVersion is the revision of the list; a watch may start from it.
	ResourceVersion string
	// Continue is the token of the next page; empty on the last.
	Continue string
	// Remaining is how many objects follow this page; nil when not known, which is so with selectors.
	Remaining *int64
}

// page is a page of a list.
type page struct {
	items     []*entry
	revision  int64
	token     string
	remaining *int64
}

// listing is a list that is being read.
type listing struct {
	form   *form
	filter filter
	// prefix of the keys of all objects in question.
	prefix string
	// start and end of the keys still to be read.
	start, end string
	// after is the last object of the page before, and single the only one in question, without the prefix of the kind.
	after, single string
	// revision to read at, 0 before the first read of the newest.
	revision int64
	// least is the revision that the newest must have reached.
	least int64
	limit int64
}

// List returns a page of objects. Without a ResourceVersion it is the newest state, in which is everything that was written
// before the call.
func (s *Store) List(ctx context.Context, k kinds.Kind, o ListOptions) (list *List, err error) {
	defer s.metrics.observe(ctx, "list", k, &err)()
	p, err := s.list(ctx, k, o)
	if err != nil {
		return nil, err
	}
	list = &List{Items: make([]Object, len(p.items)), ResourceVersion: formatRevision(p.revision), Continue: p.token, Remaining: p.remaining}
	for i, e := range p.items {
		list.Items[i] = e.copy()
	}
	return list, nil
}

// ListItems is List for callers that only pass the objects on.
func (s *Store) ListItems(ctx context.Context, k kinds.Kind, o ListOptions) (list *ItemList, err error) {
	defer s.metrics.observe(ctx, "list", k, &err)()
	p, err := s.list(ctx, k, o)
	if err != nil {
		return nil, err
	}
	list = &ItemList{Items: make([]Item, len(p.items)), ResourceVersion: formatRevision(p.revision), Continue: p.token, Remaining: p.remaining}
	for i, e := range p.items {
		list.Items[i] = Item{e}
	}
	return list, nil
}

func (s *Store) list(ctx context.Context, k kinds.Kind, o ListOptions) (page, error) {
	l, err := s.newListing(k, o)
	if err != nil {
		return page{}, err
	}
	switch from, ok, err := s.listSource(ctx, l, o); {
	case err != nil:
		return page{}, err
	case ok:
		return from.page(l), nil
	default:
		return s.listDirect(ctx, l)
	}
}

// listDirect reads a page from etcd.
func (s *Store) listDirect(ctx context.Context, l *listing) (page, error) {
	var p page
	for {
		resp, err := s.listChunk(ctx, l, len(p.items))
		if err != nil {
			return page{}, err
		}
		p.revision = l.revision
		taken, err := s.take(l, resp.Kvs, &p)
		if err != nil {
			return page{}, err
		}
		left := resp.Count - int64(taken)
		if left <= 0 {
			return p, nil
		}
		last := string(resp.Kvs[taken-1].Key)
		if l.full(p) {
			p.token = continuation{l.revision, strings.TrimPrefix(last, l.prefix)}.token(l.prefix, l.filter)
			if !l.filter.selective() {
				p.remaining = &left
			}
			return p, nil
		}
		l.start = last + "\x00"
	}
}

// full tells whether a page has as much as it may.
func (l *listing) full(p page) bool { return l.limit > 0 && int64(len(p.items)) >= l.limit }

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
	form, err := newForm(k, s.recent)
	if err != nil {
		return nil, err
	}
	l := &listing{form: form, filter: f, prefix: prefix, start: prefix, end: clientv3.GetPrefixRangeEnd(prefix), limit: o.Limit}
	if name, ok := f.name(); ok && (f.namespace != "" || !k.Namespaced) && checkSegment("name", name) == nil {
		l.start, l.end = prefix+name, prefix+name+"\x00"
		l.single = strings.TrimPrefix(l.start, s.keys.kind(k))
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
		l.after = strings.TrimPrefix(prefix+c.after, s.keys.kind(k))
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
	resp, err := s.readRange(ctx, l.start, l.end, l.revision, size)
	if err != nil {
		return nil, err
	}
	if resp.Header.Revision < l.least {
		return nil, tooLarge()
	}
	if l.revision == 0 {
		l.revision = resp.Header.Revision
	}
	return resp, nil
}

// readRange reads up to size keys, at a revision, or at the newest if that is 0.
func (s *Store) readRange(ctx context.Context, start, end string, revision, size int64) (*clientv3.GetResponse, error) {
	opts := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(size)}
	if revision > 0 {
		opts = append(opts, clientv3.WithRev(revision))
	}
	call, cancel := s.limit(ctx)
	defer cancel()
	resp, err := s.client.Get(call, start, opts...)
	if err != nil {
		return nil, s.etcdError(ctx, err)
	}
	return resp, nil
}

// take adds the objects that l chooses to p, up to its limit, and returns how many it looked at.
func (s *Store) take(l *listing, kvs []*mvccpb.KeyValue, p *page) (int, error) {
	for i, kv := range kvs {
		path := string(kv.Key)
		got, err := s.decodeStored(l.form.kind, path, kv.Value, kv.ModRevision)
		if err != nil {
			return 0, err
		}
		e := l.form.entry(strings.TrimPrefix(path, s.keys.kind(l.form.kind)), got)
		if !l.filter.matches(e) {
			continue
		}
		p.items = append(p.items, e)
		if l.full(*p) {
			return i + 1, nil
		}
	}
	return len(kvs), nil
}
