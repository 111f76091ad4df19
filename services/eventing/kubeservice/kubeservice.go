// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubeservice tells which Services a cluster has. It reads them once somebody asks, and only what identifies them.
package kubeservice

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/cache"

	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/store"
)

// readTimeout bounds how long Exists waits for the cluster.
const readTimeout = 5 * time.Second

// Services are the Services of a cluster, those of this installation and all others.
type Services struct {
	kube *kube.Client

	mu        sync.Mutex
	informers []cache.SharedIndexInformer // empty until somebody asks
	handlers  []func()                    // take our handlers from the informers
	next      int
	told      map[int]func(store.Key)
}

// New makes a Services for a cluster, whose client has to run. Nothing is asked of the cluster before Exists.
func New(k *kube.Client) *Services {
	return &Services{kube: k, told: map[int]func(store.Key){}}
}

// Close ends all subscriptions.
func (s *Services) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, remove := range s.handlers {
		remove()
	}
	s.handlers, s.informers = nil, nil
	clear(s.told)
}

// Subscribe has fn called with each Service that comes or goes, until ctx ends.
func (s *Services) Subscribe(ctx context.Context, fn func(store.Key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.next
	s.next++
	s.told[id] = fn
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.told, id)
	})
}

// Exists tells whether a Service exists.
func (s *Services) Exists(ctx context.Context, key store.Key) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	informers, err := s.start()
	if err != nil {
		return false, err
	}
	for _, informer := range informers {
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			return false, fmt.Errorf("eventing: reading Services from %s: %w", s.kube.Config().Host, context.Cause(ctx))
		}
		_, exists, err := informer.GetIndexer().GetByKey(key.Namespace + "/" + key.Name)
		if err != nil {
			return false, fmt.Errorf("eventing: Service %s: %w", key, err)
		}
		if exists {
			return true, nil
		}
	}
	return false, nil
}

// start begins to read Services: this installation's by the informer that others use too, and the names of the rest.
func (s *Services) start() ([]cache.SharedIndexInformer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.informers) > 0 {
		return s.informers, nil
	}
	ours, err := s.kube.Informer(kube.Services)
	if err != nil {
		return nil, err //nolint:wrapcheck // says what it is about
	}
	others, err := s.kube.Others(kube.Services)
	if err != nil {
		return nil, err //nolint:wrapcheck // says what it is about
	}
	for _, informer := range []cache.SharedIndexInformer{ours, others} {
		registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: s.tell, DeleteFunc: s.tell})
		if err != nil {
			return nil, fmt.Errorf("eventing: informer of Services: %w", err)
		}
		s.handlers = append(s.handlers, func() { _ = informer.RemoveEventHandler(registration) })
	}
	s.informers = []cache.SharedIndexInformer{ours, others}
	return s.informers, nil
}

func (s *Services) tell(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return
	}
	s.mu.Lock()
	told := make([]func(store.Key), 0, len(s.told))
	for _, fn := range s.told {
		told = append(told, fn)
	}
	s.mu.Unlock()
	for _, fn := range told {
		fn(store.Key{Namespace: m.GetNamespace(), Name: m.GetName()})
	}
}
