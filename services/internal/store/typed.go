// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// Client is a Store for one kind, whose objects are of type T.
type Client[T Object] struct {
	store *Store
	kind  kinds.Kind
}

// ListOf is a List with objects of type T.
type ListOf[T Object] struct {
	// Items are the objects.
	Items []T
	// ResourceVersion is the revision of the list.
	ResourceVersion string
	// Continue is the token of the next page; empty on the last.
	Continue string
	// Remaining is how many objects follow this page; nil when not known.
	Remaining *int64
}

// For returns the view of s on the objects of k, which must be of type T.
func For[T Object](s *Store, k kinds.Kind) Client[T] { return Client[T]{store: s, kind: k} }

// Kind is the kind of the client's objects.
func (c Client[T]) Kind() kinds.Kind { return c.kind }

// Create is Store.Create.
func (c Client[T]) Create(ctx context.Context, obj T) (T, error) {
	return typed[T](c.store.Create(ctx, c.kind, obj))
}

// Get is Store.Get.
func (c Client[T]) Get(ctx context.Context, key Key) (T, error) {
	return typed[T](c.store.Get(ctx, c.kind, key))
}

// List is Store.List.
func (c Client[T]) List(ctx context.Context, o ListOptions) (*ListOf[T], error) {
	l, err := c.store.List(ctx, c.kind, o)
	if err != nil {
		return nil, err
	}
	items, err := typedAll[T](l.Items)
	if err != nil {
		return nil, err
	}
	return &ListOf[T]{Items: items, ResourceVersion: l.ResourceVersion, Continue: l.Continue, Remaining: l.Remaining}, nil
}

// Update is Store.Update.
func (c Client[T]) Update(ctx context.Context, key Key, expected string, fn func(T) (T, error)) (T, error) {
	return typed[T](c.store.Update(ctx, c.kind, key, expected, func(obj Object) (Object, error) {
		t, err := typed[T](obj, nil)
		if err != nil {
			return nil, err
		}
		return fn(t)
	}))
}

// Delete is Store.Delete.
func (c Client[T]) Delete(ctx context.Context, key Key, o DeleteOptions) (T, error) {
	return typed[T](c.store.Delete(ctx, c.kind, key, o))
}

// Watch is Store.Watch.
func (c Client[T]) Watch(ctx context.Context, o WatchOptions) (*WatcherOf[T], error) {
	return watch[T](ctx, c.store, c.kind, o)
}

// Cached returns an object from the kind's cache: shared, to be read only.
func (c Client[T]) Cached(key Key) (T, bool) {
	var zero T
	obj, ok := c.store.Cache(c.kind).Get(key)
	if !ok {
		return zero, false
	}
	t, ok := obj.(T)
	return t, ok
}

// ListCached returns objects from the kind's cache: shared, to be read only.
func (c Client[T]) ListCached(namespace string, selector labels.Selector) []T {
	items, err := typedAll[T](c.store.Cache(c.kind).List(namespace, selector))
	if err != nil {
		return nil
	}
	return items
}

func typed[T Object](obj Object, err error) (T, error) {
	var zero T
	if err != nil {
		return zero, err
	}
	t, ok := obj.(T)
	if !ok {
		return zero, apierror.Internal(fmt.Errorf("the object is a %T, and not a %T", obj, zero))
	}
	return t, nil
}

func typedAll[T Object](objects []Object) ([]T, error) {
	items := make([]T, len(objects))
	for i, obj := range objects {
		t, err := typed[T](obj, nil)
		if err != nil {
			return nil, err
		}
		items[i] = t
	}
	return items, nil
}
