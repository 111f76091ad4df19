// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubeservice tells which Services a cluster has. It reads them once somebody asks, and only what identifies them.
package kubeservice

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"fairlead.dev/services/internal/store"
)

// readTimeout bounds how long Exists waits for the cluster.
const readTimeout = 5 * time.Second

// Services are the Services of a cluster.
type Services struct {
	config *rest.Config
	// begun is closed once running is set.
	begun   chan struct{}
	running context.Context //nolint:containedctx // the informer begins when first asked for, and ends with Run

	mu       sync.Mutex
	informer cache.SharedIndexInformer
	stopped  chan struct{}
	next     int
	told     map[int]func(store.Key)
}

// New makes a Services for the cluster that config leads to. Nothing is asked of it before Exists.
func New(config *rest.Config) *Services {
	return &Services{config: config, begun: make(chan struct{}), told: map[int]func(store.Key){}}
}

// Run lets Services be read until ctx ends. It is called once.
func (s *Services) Run(ctx context.Context) error {
	s.running = ctx
	close(s.begun)
	<-ctx.Done()
	s.mu.Lock()
	stopped := s.stopped
	s.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
	return nil
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
	select {
	case <-s.begun:
	case <-ctx.Done():
		return false, fmt.Errorf("eventing: Services are not read yet: %w", ctx.Err())
	}
	informer, err := s.start()
	if err != nil {
		return false, err
	}
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return false, fmt.Errorf("eventing: reading Services from %s: %w", s.config.Host, context.Cause(ctx))
	}
	_, exists, err := informer.GetIndexer().GetByKey(key.Namespace + "/" + key.Name)
	if err != nil {
		return false, fmt.Errorf("eventing: Service %s: %w", key, err)
	}
	return exists, nil
}

func (s *Services) start() (cache.SharedIndexInformer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.informer != nil {
		return s.informer, nil
	}
	client, err := metadata.NewForConfig(s.config)
	if err != nil {
		return nil, fmt.Errorf("eventing: client for %s: %w", s.config.Host, err)
	}
	informer := metadatainformer.NewFilteredMetadataInformer(client, corev1.SchemeGroupVersion.WithResource("services"), "", 0, cache.Indexers{}, nil).Informer()
	err = informer.SetTransform(func(obj any) (any, error) {
		m, err := meta.Accessor(obj)
		if err != nil {
			return obj, nil //nolint:nilerr // what has no metadata stays as it is
		}
		return &kmetav1.PartialObjectMetadata{ObjectMeta: kmetav1.ObjectMeta{
			Namespace: m.GetNamespace(), Name: m.GetName(), UID: m.GetUID(), ResourceVersion: m.GetResourceVersion(),
		}}, nil
	})
	if err == nil {
		_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: s.tell, DeleteFunc: s.tell})
	}
	if err != nil {
		return nil, fmt.Errorf("eventing: informer of Services: %w", err)
	}
	s.informer, s.stopped = informer, make(chan struct{})
	go func(stop <-chan struct{}, stopped chan struct{}) {
		defer close(stopped)
		informer.Run(stop)
	}(s.running.Done(), s.stopped)
	return informer, nil
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
