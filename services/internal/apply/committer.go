// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

const (
	// MaxAtomicDocuments is how many documents one atomic apply may have.
	MaxAtomicDocuments = store.MaxTransactionObjects
	// MaxAtomicBytes is how large these may be together.
	MaxAtomicBytes = store.MaxTransactionBytes

	// commitTries is how often an atomic apply begins anew when others write the same objects.
	commitTries = 5
	// prepareAtOnce is how many documents are prepared at the same time.
	prepareAtOnce = 8
)

// Peers reaches the services that own kinds.
type Peers interface {
	// Conn returns a connection to the owner of an API group, which stays the peers'.
	Conn(group string) (grpc.ClientConnInterface, error)
}

// CommitterDeps are what a Committer works with.
type CommitterDeps struct {
	// Store writes the transactions.
	Store *store.Store
	// Peers prepare documents.
	Peers Peers
	// Kinds are the kinds that are ours, in all versions.
	Kinds []kinds.Kind
	// Log gets what is tried again; nil means that nothing is logged.
	Log *slog.Logger
}

// Committer applies documents in one step: their owners prepare them, on behalf of the caller, and one transaction stores
// what came of it. It has no rights of its own to give: each owner asks for the caller's.
type Committer struct {
	metav1.UnimplementedApplyServiceServer

	deps CommitterDeps
}

// NewCommitter makes a Committer.
func NewCommitter(deps CommitterDeps) (*Committer, error) {
	if deps.Store == nil || deps.Peers == nil {
		return nil, errors.New("apply: CommitterDeps.Store and Peers are needed")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	return &Committer{deps: deps}, nil
}

// Register registers the service.
func (c *Committer) Register(reg grpc.ServiceRegistrar) error {
	metav1.RegisterApplyServiceServer(reg, c)
	return nil
}

// Apply implements the service.
func (c *Committer) Apply(ctx context.Context, r *metav1.ApplyRequest) (*metav1.ApplyResponse, error) {
	dryRun, err := readDryRun(r.GetDryRun())
	if err != nil {
		return nil, err
	}
	parser := &Applier{Kinds: c.deps.Kinds, Namespace: r.GetNamespace(), Atomic: true}
	docs, err := parser.Parse(r.GetDocuments())
	if err != nil {
		return nil, err
	}
	if err := checkTogether(docs); err != nil {
		return nil, err
	}
	if ctx, err = onBehalf(ctx); err != nil {
		return nil, err
	}
	for range commitTries {
		var prepared []*metav1.PrepareResponse
		if prepared, err = c.prepare(ctx, docs, r); err != nil {
			return nil, err
		}
		if dryRun {
			return answer(docs, prepared, ""), nil
		}
		var version string
		if version, err = c.commit(ctx, prepared); err == nil {
			return answer(docs, prepared, version), nil
		}
		if !apierror.IsConflict(err) || errors.Is(err, store.ErrFenced) {
			return nil, err
		}
		c.deps.Log.DebugContext(ctx, "an atomic apply begins anew", "reason", err)
	}
	return nil, err
}

// onBehalf returns a context whose calls are the caller's. Without a caller, owners would take the calls for our own.
func onBehalf(ctx context.Context) (context.Context, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	out := rpc.OnBehalf(ctx)
	if out == nil {
		return nil, apierror.Unauthorized("an atomic apply is made as its caller, and this call brings none; send a token")
	}
	for _, key := range []string{rpc.RequestIDKey, rpc.UserAgentKey} {
		if values := in.Get(key); len(values) > 0 {
			out.Set(key, values...)
		}
	}
	return metadata.NewOutgoingContext(ctx, out), nil
}

func readDryRun(values []string) (bool, error) {
	for _, v := range values {
		if v != "All" {
			return false, apierror.BadRequest("dryRun is %q; it may be All", v)
		}
	}
	return len(values) > 0, nil
}

// checkTogether refuses documents that cannot be in one transaction, each by its name.
func checkTogether(docs []Document) error {
	var causes []apierror.Cause
	fault := func(i int, format string, args ...any) {
		doc := docs[i]
		causes = append(causes, apierror.Invalid(fmt.Sprintf("documents[%d]", i),
			fmt.Sprintf("%s %s: ", doc.Kind, store.Key{Namespace: doc.Namespace, Name: doc.Name})+fmt.Sprintf(format, args...)))
	}
	type object struct{ group, plural, namespace, name string }
	first := map[object]int{}
	total := 0
	for i, doc := range docs {
		total += len(doc.JSON)
		o := object{doc.kind.Group, doc.kind.Plural, doc.Namespace, doc.Name}
		earlier, twice := first[o]
		switch {
		case twice:
			fault(i, "the same object as documents[%d]; name it once", earlier)
			continue
		case i >= MaxAtomicDocuments:
			fault(i, "an atomic apply has at most %d documents; this is number %d", MaxAtomicDocuments, i+1)
		case total > MaxAtomicBytes:
			fault(i, "an atomic apply has at most %d bytes; with this document (%d bytes) there are %d", MaxAtomicBytes, len(doc.JSON), total)
		}
		first[o] = i
	}
	if len(causes) == 0 {
		return nil
	}
	e := apierror.New(apierror.ReasonInvalid, "nothing was applied: %s: %s", causes[0].Field, causes[0].Message)
	if len(causes) > 1 {
		e = apierror.New(apierror.ReasonInvalid, "nothing was applied: %d documents cannot be part of it, the first: %s: %s", len(causes), causes[0].Field, causes[0].Message)
	}
	e.Causes = causes
	return e
}

// prepare has each document prepared by its owner. The error has the faults of all of them.
func (c *Committer) prepare(ctx context.Context, docs []Document, r *metav1.ApplyRequest) ([]*metav1.PrepareResponse, error) {
	out, errs := make([]*metav1.PrepareResponse, len(docs)), make([]error, len(docs))
	slots := make(chan struct{}, prepareAtOnce)
	var all sync.WaitGroup
	for i, doc := range docs {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			out[i], errs[i] = c.prepareOne(ctx, doc, r)
		})
	}
	all.Wait()
	var faults []DocumentError
	for i, err := range errs {
		if err != nil {
			faults = append(faults, DocumentError{docs[i], apierror.From(err)})
		}
	}
	if len(faults) > 0 {
		return nil, NewDocumentsError(faults, len(docs))
	}
	return out, nil
}

func (c *Committer) prepareOne(ctx context.Context, doc Document, r *metav1.ApplyRequest) (*metav1.PrepareResponse, error) {
	conn, err := c.deps.Peers.Conn(doc.kind.Group)
	if err != nil {
		return nil, fmt.Errorf("apply: the owner of %s: %w", doc.kind.Group, err)
	}
	out := &metav1.PrepareResponse{}
	err = conn.Invoke(ctx, "/"+string(doc.kind.Service)+"/Prepare", &metav1.PrepareRequest{
		Namespace: doc.Namespace, Name: doc.Name, Document: doc.JSON,
		FieldManager: r.GetFieldManager(), Force: r.GetForce(),
	}, out)
	if err != nil {
		return nil, apierror.FromStatus(err)
	}
	return out, nil
}

// commit stores what was prepared, and returns the version that all of it has then; empty where nothing changes.
func (c *Committer) commit(ctx context.Context, prepared []*metav1.PrepareResponse) (string, error) {
	var operations []store.Operation
	for _, p := range prepared {
		for _, data := range p.GetOperations() {
			var op store.Operation
			if err := json.Unmarshal(data, &op); err != nil {
				return "", apierror.Internal(fmt.Errorf("apply: what was prepared: %w", err))
			}
			operations = append(operations, op)
		}
	}
	if len(operations) == 0 {
		return "", nil
	}
	revision, err := c.deps.Store.Commit(ctx, operations)
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(revision, 10), nil
}

// answer tells what became of the documents.
func answer(docs []Document, prepared []*metav1.PrepareResponse, version string) *metav1.ApplyResponse {
	out := &metav1.ApplyResponse{}
	for i, doc := range docs {
		item := &metav1.AppliedDocument{
			Index: int32(doc.Index), ApiVersion: doc.APIVersion, Kind: doc.Kind, Namespace: doc.Namespace, Name: doc.Name,
			Action: prepared[i].GetAction(), ResourceVersion: prepared[i].GetResourceVersion(),
		}
		if item.GetAction() != wire.Unchanged && version != "" {
			item.ResourceVersion = version
		}
		out.Items = append(out.Items, item)
	}
	return out
}

// Results are the answer of an atomic apply as Apply's.
func Results(r *metav1.ApplyResponse) []Result {
	out := make([]Result, 0, len(r.GetItems()))
	for _, item := range r.GetItems() {
		out = append(out, Result{
			Index: int(item.GetIndex()), APIVersion: item.GetApiVersion(), Kind: item.GetKind(),
			Namespace: item.GetNamespace(), Name: item.GetName(), Action: item.GetAction(), ResourceVersion: item.GetResourceVersion(),
		})
	}
	return out
}
