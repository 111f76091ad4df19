// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
)

// Services tells which Kubernetes Services there are.
type Services interface {
	// Exists tells whether a Service exists. A change of the answer comes from the source.
	Exists(ctx context.Context, key store.Key) (bool, error)
	// Subscribe has fn called for each Service that comes or goes after Exists was asked for the first time, until ctx ends.
	Subscribe(ctx context.Context, fn func(store.Key))
}

// target names an object that a destination refers to; kubernetes is the kind of Kubernetes' own Services.
type target struct {
	group, kind string
	key         store.Key
}

// problem is why a destination has no address, and what to do.
type problem struct {
	reason, message string
}

// resolver finds the addresses of destinations, and remembers who asked for which object, so that they can be looked at
// again when it changes.
type resolver struct {
	store    *store.Store
	services Services // nil without a cluster
	domain   string
	kinds    []kinds.Kind // those whose objects have addresses

	mu       sync.Mutex
	askers   map[target]map[store.Key]bool
	targetOf map[store.Key][]target
}

func newResolver(s *store.Store, services Services, domain string) *resolver {
	r := &resolver{
		store: s, services: services, domain: domain,
		askers: map[target]map[store.Key]bool{}, targetOf: map[store.Key][]target{},
	}
	for _, k := range kinds.All() {
		if k.Namespaced && addressField(k.New().ProtoReflect().Descriptor()) != nil {
			r.kinds = append(r.kinds, k)
		}
	}
	return r
}

// sources are the changes of objects that were asked for.
func (r *resolver) sources() []reconcile.Source {
	out := make([]reconcile.Source, 0, len(r.kinds)+1)
	for _, k := range r.kinds {
		out = append(out, reconcile.FromCache(r.store.Cache(k), func(o store.Object) []store.Key {
			return r.asked(target{k.Group, k.Kind, store.KeyOf(o)})
		}))
	}
	if r.services != nil {
		out = append(out, reconcile.Source{Watch: func(ctx context.Context, add func(store.Key)) error {
			r.services.Subscribe(ctx, func(key store.Key) {
				for _, asker := range r.asked(target{"", "Service", key}) {
					add(asker)
				}
			})
			return nil
		}})
	}
	return out
}

func (r *resolver) asked(t target) []store.Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]store.Key, 0, len(r.askers[t]))
	for k := range r.askers[t] {
		keys = append(keys, k)
	}
	return keys
}

// ask notes that asker depends on the destinations' objects, and on no others. It comes before resolve, so that no change
// goes unseen between the two.
func (r *resolver) ask(asker store.Key, destinations ...*eventingv1.Destination) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.targetOf[asker] {
		delete(r.askers[t], asker)
		if len(r.askers[t]) == 0 {
			delete(r.askers, t)
		}
	}
	delete(r.targetOf, asker)
	for _, d := range destinations {
		ref := d.GetRef()
		if ref == nil {
			continue
		}
		group, _ := splitAPIVersion(ref.GetApiVersion())
		t := target{group, ref.GetKind(), keyOf(ref, asker)}
		if r.askers[t] == nil {
			r.askers[t] = map[store.Key]bool{}
		}
		r.askers[t][asker] = true
		r.targetOf[asker] = append(r.targetOf[asker], t)
	}
}

func keyOf(ref *eventingv1.KReference, asker store.Key) store.Key {
	key := store.Key{Namespace: ref.GetNamespace(), Name: ref.GetName()}
	if key.Namespace == "" {
		key.Namespace = asker.Namespace
	}
	return key
}

func splitAPIVersion(v string) (group, version string) {
	if g, ver, ok := strings.Cut(v, "/"); ok {
		return g, ver
	}
	return "", v
}

// resolve returns the address of a destination, or why it has none.
func (r *resolver) resolve(ctx context.Context, asker store.Key, d *eventingv1.Destination) (string, *problem, error) {
	if d.GetRef() == nil {
		return d.GetUri(), nil, nil
	}
	base, why, err := r.address(ctx, asker, d.GetRef())
	if err != nil || why != nil || d.GetUri() == "" {
		return base, why, err
	}
	if joined := join(base, d.GetUri()); joined != "" {
		return joined, nil, nil
	}
	return "", &problem{ReasonBadAddress, fmt.Sprintf("%s is no URI relative to %s", d.GetUri(), base)}, nil
}

// join returns a URI relative to another, or nothing where one of them is none.
func join(base, relative string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ""
	}
	u, err := b.Parse(relative)
	if err != nil {
		return ""
	}
	return u.String()
}

func (r *resolver) address(ctx context.Context, asker store.Key, ref *eventingv1.KReference) (string, *problem, error) {
	group, version := splitAPIVersion(ref.GetApiVersion())
	key := keyOf(ref, asker)
	if group == "" && version == "v1" && ref.GetKind() == "Service" {
		return r.kubernetesService(ctx, key)
	}
	i := slices.IndexFunc(r.kinds, func(k kinds.Kind) bool { return k.Group == group && k.Kind == ref.GetKind() })
	if i < 0 {
		return "", &problem{ReasonNotAddressable, fmt.Sprintf("objects of kind %s in %s have no address to which events could be sent; %s",
			ref.GetKind(), ref.GetApiVersion(), r.addressable())}, nil
	}
	obj, ok := r.store.Cache(r.kinds[i]).Get(key)
	if !ok {
		return "", &problem{ReasonNotFound, fmt.Sprintf("%s %s/%s does not exist; create it, or name another subscriber",
			ref.GetKind(), key.Namespace, key.Name)}, nil
	}
	if address := addressOf(obj); address != "" {
		return address, nil, nil
	}
	return "", &problem{ReasonNoAddress, fmt.Sprintf("%s %s/%s has no address yet; its own conditions tell why",
		ref.GetKind(), key.Namespace, key.Name)}, nil
}

func (r *resolver) kubernetesService(ctx context.Context, key store.Key) (string, *problem, error) {
	if r.services != nil {
		exists, err := r.services.Exists(ctx, key)
		if err != nil {
			return "", nil, err
		}
		if !exists {
			return "", &problem{ReasonNotFound, fmt.Sprintf("Kubernetes Service %s/%s does not exist; create it, or name another subscriber",
				key.Namespace, key.Name)}, nil
		}
	}
	return "http://" + key.Name + "." + key.Namespace + ".svc." + r.domain, nil, nil
}

// addressable lists what a destination can refer to.
func (r *resolver) addressable() string {
	names := make([]string, 0, len(r.kinds)+1)
	names = append(names, "Service of v1")
	for _, k := range r.kinds {
		names = append(names, k.Kind+" of "+k.APIVersion())
	}
	return "those of these have: " + strings.Join(names, ", ")
}

// addressField returns the field status of a kind whose status has an address with a url, or nil.
func addressField(d protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	status := d.Fields().ByName("status")
	if status == nil || status.Message() == nil {
		return nil
	}
	address := status.Message().Fields().ByName("address")
	if address == nil || address.Message() == nil || address.Message().Fields().ByName("url") == nil {
		return nil
	}
	return status
}

// addressOf returns status.address.url of an object.
func addressOf(obj store.Object) string {
	m := obj.ProtoReflect()
	field := addressField(m.Descriptor())
	if field == nil {
		return ""
	}
	status := m.Get(field).Message()
	address := status.Get(status.Descriptor().Fields().ByName("address")).Message()
	return address.Get(address.Descriptor().Fields().ByName("url")).String()
}
