// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
)

// Owner names the object of ours for which an object of the cluster is made.
type Owner struct {
	Group, Version, Kind string
	Namespace, Name, UID string
	ResourceVersion      string
}

// OwnerOf names an object of ours as an owner.
func OwnerOf(k kinds.Kind, m *metav1.ObjectMeta) Owner {
	return Owner{
		Group: k.Group, Version: k.Version, Kind: k.Kind,
		Namespace: m.GetNamespace(), Name: m.GetName(), UID: m.GetUid(), ResourceVersion: m.GetResourceVersion(),
	}
}

func (o Owner) String() string {
	return o.Kind + "." + o.Group + "/" + o.Namespace + "/" + o.Name
}

// OwnerKey returns namespace and name of the owner of an object of the cluster, if it is of the kind.
func OwnerKey(k kinds.Kind, obj kmetav1.Object) (namespace, name string, ok bool) {
	rest, ok := strings.CutPrefix(obj.GetAnnotations()[AnnotationOwner], k.Kind+"."+k.Group+"/")
	if !ok {
		return "", "", false
	}
	namespace, name, ok = strings.Cut(rest, "/")
	return namespace, name, ok
}

func indexByOwner(obj any) ([]string, error) {
	acc, err := meta.Accessor(obj)
	if err != nil {
		return nil, fmt.Errorf("kube: index by owner: %w", err)
	}
	if owner := acc.GetAnnotations()[AnnotationOwner]; owner != "" {
		return []string{owner}, nil
	}
	return nil, nil
}

// Owned returns the cluster's objects made for an owner, as the informer of the resource knows them, those of an earlier
// owner of the same name too.
func (c *Client) Owned(resource schema.GroupVersionResource, owner Owner) ([]kmetav1.Object, error) {
	informer, err := c.Informer(resource)
	if err != nil {
		return nil, err
	}
	found, err := informer.GetIndexer().ByIndex(ownerIndex, owner.String())
	if err != nil {
		return nil, fmt.Errorf("kube: %s of %s: %w", resource.Resource, owner, err)
	}
	objs := make([]kmetav1.Object, 0, len(found))
	for _, f := range found {
		acc, err := meta.Accessor(f)
		if err != nil {
			return nil, fmt.Errorf("kube: %s of %s: %w", resource.Resource, owner, err)
		}
		objs = append(objs, acc)
	}
	return objs, nil
}

// Prune deletes the objects made for earlier owners of the owner's name; with an empty UID, all that were made for the
// name. Reconcilers call it when their object is gone, so that what a killed process left goes too.
func (c *Client) Prune(ctx context.Context, resource schema.GroupVersionResource, owner Owner) error {
	objs, err := c.Owned(resource, owner)
	if err != nil {
		return err
	}
	for _, obj := range objs {
		if obj.GetLabels()[LabelOwnerUID] == owner.UID || obj.GetDeletionTimestamp() != nil {
			continue
		}
		if err := c.Delete(ctx, resource, obj.GetNamespace(), obj.GetName(), obj.GetUID()); err != nil {
			return err
		}
	}
	return nil
}

// NamespaceState tells whether objects can be made in a namespace.
type NamespaceState int

// The states of a namespace.
const (
	NamespaceAbsent NamespaceState = iota
	NamespaceActive
	NamespaceTerminating
)

// State returns the state of a namespace as the informer knows it, and asks the cluster when it knows none.
func (c *Client) State(ctx context.Context, name string) (NamespaceState, error) {
	informer, err := c.Informer(Namespaces)
	if err != nil {
		return NamespaceAbsent, err
	}
	obj, exists, err := informer.GetIndexer().GetByKey(name)
	if err != nil {
		return NamespaceAbsent, fmt.Errorf("kube: namespace %s: %w", name, err)
	}
	if ns, ok := obj.(*corev1.Namespace); exists && ok {
		return stateOf(ns), nil
	}
	ns, err := c.clientset.CoreV1().Namespaces().Get(ctx, name, kmetav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return NamespaceAbsent, nil
	}
	if err != nil {
		return NamespaceAbsent, fmt.Errorf("kube: namespace %s: %w", name, err)
	}
	return stateOf(ns), nil
}

func stateOf(ns *corev1.Namespace) NamespaceState {
	if ns.DeletionTimestamp != nil || ns.Status.Phase == corev1.NamespaceTerminating {
		return NamespaceTerminating
	}
	return NamespaceActive
}

// Event tells people what happened to an object of ours, where `kubectl describe` shows it. Kind is `Normal` or
// `Warning`. The same event again only counts up.
func (c *Client) Event(owner Owner, kind, reason, message string) {
	c.recorder.Event(&corev1.ObjectReference{
		APIVersion: owner.Group + "/" + owner.Version, Kind: owner.Kind,
		Namespace: owner.Namespace, Name: owner.Name, UID: types.UID(owner.UID), ResourceVersion: owner.ResourceVersion,
	}, kind, reason, message)
}

// eventSink writes events under a context, which client-go's own sink does not. Once that has ended they are dropped
// without a word: client-go would call it an error, and try again.
type eventSink struct {
	clientset kubernetes.Interface
	ctx       context.Context //nolint:containedctx // record.EventSink's methods take none
}

func (s *eventSink) namespace(e *corev1.Event) string {
	if e.Namespace == "" {
		return kmetav1.NamespaceDefault
	}
	return e.Namespace
}

func (s *eventSink) Create(e *corev1.Event) (*corev1.Event, error) {
	return s.unlessOver(e)(s.clientset.CoreV1().Events(s.namespace(e)).Create(s.ctx, e, kmetav1.CreateOptions{}))
}

func (s *eventSink) Update(e *corev1.Event) (*corev1.Event, error) {
	return s.unlessOver(e)(s.clientset.CoreV1().Events(s.namespace(e)).Update(s.ctx, e, kmetav1.UpdateOptions{}))
}

func (s *eventSink) Patch(e *corev1.Event, data []byte) (*corev1.Event, error) {
	return s.unlessOver(e)(s.clientset.CoreV1().Events(s.namespace(e)).Patch(s.ctx, e.Name, types.StrategicMergePatchType, data, kmetav1.PatchOptions{}))
}

// unlessOver passes an answer on, unless the end has come.
func (s *eventSink) unlessOver(e *corev1.Event) func(*corev1.Event, error) (*corev1.Event, error) {
	return func(out *corev1.Event, err error) (*corev1.Event, error) {
		if err != nil && s.ctx.Err() != nil {
			return e, nil //nolint:nilerr // nobody is there to be told
		}
		return out, err
	}
}
