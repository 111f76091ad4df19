// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// What an operation does to its object.
const (
	actionCreate = "create"
	actionUpdate = "update"
	actionDelete = "delete"
	actionKeep   = "keep"
)

// Operation is the write of one object, ready for etcd. It touches the object's own key and those of its history, and no
// others. One that writes nothing says that the object must still be as it was. It can be sent to another process, as JSON for
// one, to be committed there.
type Operation struct {
	// Resource is the kind of the object.
	Resource apierror.Resource `json:"resource"`
	// Key names the object.
	Key Key `json:"key"`
	// Path is the object's key in etcd.
	Path string `json:"path"`
	// Expected is the revision at which the object must have been written last; 0 means that it must not exist.
	Expected int64 `json:"expected,omitempty"`
	// Puts are the values to be written; there are neither these nor Deletes where the object stays as it is.
	Puts []Put `json:"puts,omitempty"`
	// Deletes are the keys to be removed.
	Deletes []KeyRange `json:"deletes,omitempty"`
	// Summary says in a line what is done, such as `update services.serving.knative.dev shop/web`.
	Summary string `json:"summary"`
}

// Put is a value for a key of etcd.
type Put struct {
	// Path is the key.
	Path string `json:"path"`
	// Value is what it gets.
	Value []byte `json:"value"`
	// Lease is the id of the lease with which the key goes; 0 for none.
	Lease int64 `json:"lease,omitempty"`
}

// KeyRange is the keys from From to before To; From alone when To is empty.
type KeyRange struct {
	// From is the first key.
	From string `json:"from"`
	// To is the first key after the range.
	To string `json:"to,omitempty"`
}

// newOperation begins the write of an object.
func newOperation(k kinds.Kind, key Key, path string, expected int64, action string) *Operation {
	r := ResourceOf(k)
	return &Operation{Resource: r, Key: key, Path: path, Expected: expected, Summary: action + " " + r.String() + " " + key.String()}
}

func (o *Operation) put(path string, value []byte, lease int64) {
	o.Puts = append(o.Puts, Put{Path: path, Value: value, Lease: lease})
}

func (o *Operation) remove(from, to string) {
	o.Deletes = append(o.Deletes, KeyRange{From: from, To: to})
}

// Keeps tells that nothing is written: the object, which must exist, is only compared.
func (o *Operation) Keeps() bool { return len(o.Puts)+len(o.Deletes) == 0 }

// size is how many bytes the new state of the object has.
func (o *Operation) size() int {
	for _, p := range o.Puts {
		if p.Path == o.Path {
			return len(p.Value)
		}
	}
	return 0
}

// compare is the condition of the operation.
func (o *Operation) compare() clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(o.Path), "=", o.Expected)
}

// appendTo adds what etcd has to do to ops.
func (o *Operation) appendTo(ops []clientv3.Op) []clientv3.Op {
	for _, p := range o.Puts {
		var opts []clientv3.OpOption
		if p.Lease != 0 {
			opts = append(opts, clientv3.WithLease(clientv3.LeaseID(p.Lease)))
		}
		ops = append(ops, clientv3.OpPut(p.Path, string(p.Value), opts...))
	}
	for _, d := range o.Deletes {
		if d.To == "" {
			ops = append(ops, clientv3.OpDelete(d.From))
			continue
		}
		ops = append(ops, clientv3.OpDelete(d.From, clientv3.WithRange(d.To)))
	}
	return ops
}

// check refuses an operation that touches anything but its object and its history, as one from another process could.
func (o *Operation) check(keys keyspace) error {
	k := kinds.Kind{Group: o.Resource.Group, Plural: o.Resource.Plural, Namespaced: o.Key.Namespace != ""}
	if err := checkSegment("plural", k.Plural); err != nil {
		return err
	}
	if k.Group != "" {
		if err := checkSegment("group", k.Group); err != nil {
			return err
		}
	}
	path, err := keys.object(k, o.Key)
	if err != nil {
		return err
	}
	if path != o.Path {
		return apierror.BadRequest("operation %q: its key in etcd is %q, want %q", o.Summary, o.Path, path)
	}
	if o.Expected < 0 || o.Expected == 0 && o.Keeps() {
		return apierror.BadRequest("operation %q: it expects revision %d and writes nothing that could follow", o.Summary, o.Expected)
	}
	if o.Keeps() {
		return nil
	}
	past := keys.past(k, o.Key)
	within := func(key string) bool { return key == path || strings.HasPrefix(key, past) }
	for _, p := range o.Puts {
		if !within(p.Path) {
			return apierror.BadRequest("operation %q: it writes %q, which is not the object's", o.Summary, p.Path)
		}
	}
	for _, d := range o.Deletes {
		// The end of a range is not in it, so that the end of the whole history may stand there.
		if !within(d.From) || d.To != "" && (d.From == path || !strings.HasPrefix(d.To, past) && d.To != clientv3.GetPrefixRangeEnd(past)) {
			return apierror.BadRequest("operation %q: it deletes %q to %q, which is not the object's", o.Summary, d.From, d.To)
		}
	}
	if !slices.ContainsFunc(o.Puts, func(p Put) bool { return p.Path == path }) &&
		!slices.ContainsFunc(o.Deletes, func(d KeyRange) bool { return d.From == path }) {
		return apierror.BadRequest("operation %q: it does not write its object", o.Summary)
	}
	return nil
}

// pending tells whether writes are checked only, so that no new version comes of them.
func (s *Store) pending() bool { return s.dryRun || s.tx != nil }

// commit runs op if its object is as expected. It returns the revision of the write, or 0 and the newest state, nil if there
// is none. A dry run, and a view of a transaction, check only.
func (s *Store) commit(ctx context.Context, k kinds.Kind, op *Operation) (int64, *stored, error) {
	var ops []clientv3.Op
	if !s.pending() {
		ops = op.appendTo(make([]clientv3.Op, 0, len(op.Puts)+len(op.Deletes)))
	}
	compare := guarded(ctx, op.compare())
	var otherwise []clientv3.Op
	if op.Expected != 0 || len(compare) > 1 {
		otherwise = []clientv3.Op{clientv3.OpGet(op.Path)}
	}
	call, cancel := s.limit(ctx)
	defer cancel()
	resp, err := s.client.Txn(call).If(compare...).Then(ops...).Else(otherwise...).Commit()
	if err != nil {
		return 0, nil, s.writeError(ctx, err)
	}
	if resp.Succeeded {
		if s.tx != nil {
			if err := s.tx.add(*op); err != nil {
				return 0, nil, err
			}
		}
		return resp.Header.Revision, nil, nil
	}
	if len(otherwise) == 0 { // nothing but the object can stand in the way
		return 0, nil, apierror.AlreadyExists(op.Resource, op.Key.Name)
	}
	kvs := resp.Responses[0].GetResponseRange().GetKvs()
	if len(kvs) == 0 {
		return 0, nil, nil
	}
	latest, err := s.decodeStored(k, op.Path, kvs[0].Value, kvs[0].ModRevision)
	if err != nil {
		return 0, nil, fmt.Errorf("what stands in the way of the write: %w", err)
	}
	latest.lease = kvs[0].Lease
	return 0, latest, nil
}
