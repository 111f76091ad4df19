// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// Source tells a controller which keys to look at.
type Source struct {
	// Watch is called once, begins to call add when ctx begins and ceases when ctx ends, and returns when what exists has
	// been read.
	Watch func(ctx context.Context, add func(store.Key)) error
	// List calls add with the keys of all that exists now. It may be nil where another source of the controller has the
	// same keys.
	List func(add func(store.Key))
	// wait returns when the source knows all that was written up to a revision of etcd; it may be nil.
	wait func(ctx context.Context, revision int64) error
	// origin returns the traceparent of the write that a key's object comes from; it may be nil.
	origin func(key store.Key) string
}

// FromCache is the source of the changes in a cache of the store. keys maps a changed object to what is to be
// reconciled; nil means the object itself.
func FromCache(c *store.Cache, keys func(store.Object) []store.Key) Source {
	s := Source{wait: func(ctx context.Context, revision int64) error {
		return c.WaitVersion(ctx, strconv.FormatInt(revision, 10)) //nolint:wrapcheck // who waits says for what
	}}
	if keys == nil {
		keys = func(o store.Object) []store.Key { return []store.Key{store.KeyOf(o)} }
		s.origin = func(key store.Key) string {
			if obj, ok := c.Get(key); ok {
				return obj.GetMetadata().GetAnnotations()[wire.AnnotationTraceParent]
			}
			return ""
		}
	}
	s.Watch = func(ctx context.Context, add func(store.Key)) error {
		unsubscribe := c.Subscribe(func(e store.Event) {
			if e.Object == nil {
				return
			}
			for _, k := range keys(e.Object) {
				add(k)
			}
		})
		context.AfterFunc(ctx, unsubscribe)
		if err := c.WaitSynced(ctx); err != nil {
			return fmt.Errorf("reconcile: read the store: %w", err)
		}
		return nil
	}
	s.List = func(add func(store.Key)) {
		for _, o := range c.List("", nil) {
			for _, k := range keys(o) {
				add(k)
			}
		}
	}
	return s
}

// FromInformer is the source of the changes that a Kubernetes informer sees.
func FromInformer(informer cache.SharedIndexInformer, keys func(kmetav1.Object) []store.Key) Source {
	return Source{
		Watch: func(ctx context.Context, add func(store.Key)) error {
			each := func(obj any) { eachKey(obj, keys, add) }
			registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
				AddFunc:    each,
				UpdateFunc: func(_, obj any) { each(obj) },
				DeleteFunc: each,
			})
			if err != nil {
				return fmt.Errorf("reconcile: informer: %w", err)
			}
			context.AfterFunc(ctx, func() { _ = informer.RemoveEventHandler(registration) })
			if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
				return fmt.Errorf("reconcile: read the cluster: %w", context.Cause(ctx))
			}
			return nil
		},
		List: func(add func(store.Key)) {
			for _, obj := range informer.GetStore().List() {
				eachKey(obj, keys, add)
			}
		},
	}
}

func eachKey(obj any, keys func(kmetav1.Object) []store.Key, add func(store.Key)) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	acc, err := meta.Accessor(obj)
	if err != nil {
		return
	}
	for _, k := range keys(acc) {
		add(k)
	}
}
