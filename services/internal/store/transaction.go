// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/services/internal/apierror"
)

// The limits of a transaction.
const (
	// MaxTransactionObjects is how many objects one may write.
	MaxTransactionObjects = 100
	// MaxTransactionBytes is how large the new states of these objects may be together, encoded.
	MaxTransactionBytes = 1 << 20
)

// Tx collects writes that are to happen together or not at all. It may be used by many goroutines.
type Tx struct {
	mu  sync.Mutex
	ops []Operation
}

// Begin returns an empty transaction.
func (s *Store) Begin() *Tx { return &Tx{} }

// In returns a view of s whose writes check and return all that real ones do, and are noted in tx instead of written. A write
// that changes nothing is noted as the condition that the object stays as it is. Its reads do not see them, so that an object can be written once in a transaction. Objects that it returns have no new
// resourceVersion: it is the revision of the commit.
func (s *Store) In(tx *Tx) *Store {
	view := *s
	view.tx = tx
	return &view
}

// Operations returns the writes noted so far, in order.
func (tx *Tx) Operations() []Operation {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	return slices.Clone(tx.ops)
}

// add notes a write.
func (tx *Tx) add(op Operation) error {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if err := checkTogether(append(slices.Clip(tx.ops), op)); err != nil {
		return err
	}
	tx.ops = append(tx.ops, op)
	return nil
}

// checkTogether refuses operations that cannot be in one transaction.
func checkTogether(ops []Operation) error {
	if len(ops) > MaxTransactionObjects {
		return apierror.New(apierror.ReasonRequestEntityTooLarge,
			"a transaction writes at most %d objects; %s is one too many: apply fewer at once", MaxTransactionObjects, name(ops[MaxTransactionObjects]))
	}
	seen := make(map[string]bool, len(ops))
	total := 0
	for _, op := range ops {
		if seen[op.Path] {
			return apierror.BadRequest("%s is written twice in one transaction; put it there once", name(op))
		}
		seen[op.Path] = true
		if total += op.size(); total > MaxTransactionBytes {
			return apierror.New(apierror.ReasonRequestEntityTooLarge,
				"the objects of a transaction have at most %d bytes together; with %s (%d bytes) they have %d: apply fewer at once",
				MaxTransactionBytes, name(op), op.size(), total)
		}
	}
	return nil
}

// name is how errors name the object of an operation.
func name(op Operation) string { return op.Resource.String() + " " + op.Key.String() }

// Commit writes all operations in one transaction of etcd, if the objects of all are as they expect, and returns its
// revision, which becomes the resourceVersion of all that it writes. Otherwise nothing is written, and the Conflict names the
// objects that moved. After an error that is no refusal, such as a Timeout, it may have happened.
func (s *Store) Commit(ctx context.Context, operations []Operation) (revision int64, err error) {
	defer s.metrics.observeCommit(ctx, &err)()
	if len(operations) == 0 {
		return 0, apierror.BadRequest("a transaction without operations")
	}
	if err := checkTogether(operations); err != nil {
		return 0, err
	}
	var compare []clientv3.Cmp
	var then, otherwise []clientv3.Op
	for i := range operations {
		op := &operations[i]
		if err := op.check(s.keys); err != nil {
			return 0, err
		}
		compare = append(compare, op.compare())
		otherwise = append(otherwise, clientv3.OpGet(op.Path, clientv3.WithKeysOnly()))
		if !s.dryRun {
			then = op.appendTo(then)
		}
	}
	call, cancel := s.limit(ctx)
	defer cancel()
	resp, err := s.client.Txn(call).If(guarded(ctx, compare...)...).Then(then...).Else(otherwise...).Commit()
	if err != nil {
		return 0, s.writeError(ctx, err)
	}
	if resp.Succeeded {
		return resp.Header.Revision, nil
	}
	return 0, moved(operations, resp.Responses)
}

// moved is the conflict of a transaction, from the keys that etcd found.
func moved(operations []Operation, found []*etcdserverpb.ResponseOp) error {
	var causes []apierror.Cause
	var objects []string
	var first Operation
	for i, op := range operations {
		var at int64
		if kvs := found[i].GetResponseRange().GetKvs(); len(kvs) > 0 {
			at = kvs[0].ModRevision
		}
		if at == op.Expected {
			continue
		}
		how := fmt.Sprintf("was changed in version %d", at)
		switch {
		case at == 0:
			how = "is gone"
		case op.Expected == 0:
			how = "exists already"
		}
		if len(objects) == 0 {
			first = op
		}
		objects = append(objects, name(op)+" "+how)
		causes = append(causes, apierror.Cause{Field: name(op), Reason: apierror.CauseValueInvalid, Message: how})
	}
	if len(objects) == 0 {
		op := operations[0]
		return apierror.Conflict(op.Resource, op.Key.Name, "another process leads by now").Wrap(ErrFenced)
	}
	e := apierror.New(apierror.ReasonConflict, "nothing was written, because %s; apply your changes to the latest versions and try again",
		strings.Join(objects, ", "))
	e.Causes = causes
	if len(objects) == 1 {
		e.Resource, e.Name = first.Resource, first.Key.Name
	}
	return e
}
