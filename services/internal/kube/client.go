// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kube is how services reach Kubernetes: writes by server-side apply under one field manager a service, reads
// through informers that see only what is this installation's, and ownership by label.
package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
)

// Labels and annotations that mark what is ours in a cluster.
const (
	// LabelInstallation holds the installation's id; every object that Fairlead makes has it.
	LabelInstallation = "fairlead.dev/installation"
	// LabelOwnerUID holds the UID of the object of ours for which the object was made.
	LabelOwnerUID = "fairlead.dev/owner-uid"
	// AnnotationOwner names that object as KIND.GROUP/NAMESPACE/NAME.
	AnnotationOwner = "fairlead.dev/owner"
)

// Resources that services drive.
var (
	Pods           = corev1.SchemeGroupVersion.WithResource("pods")
	Services       = corev1.SchemeGroupVersion.WithResource("services")
	Secrets        = corev1.SchemeGroupVersion.WithResource("secrets")
	Namespaces     = corev1.SchemeGroupVersion.WithResource("namespaces")
	ReplicaSets    = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}
	EndpointSlices = schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}
)

const ownerIndex = "owner"

// Options configures a Client.
type Options struct {
	// Installation is the id of this installation, a label value; two installations on one cluster have different ones.
	Installation string
	// Component names the field manager and the source of Events, such as `fairlead-serving`.
	Component string
	// SystemNamespace is where the installation keeps its own Secrets.
	SystemNamespace string
	// Log gets what goes wrong in the background.
	Log *slog.Logger
}

// Client reaches one cluster on behalf of one installation. As gives each service of a process one of its own; all of them
// share their informers.
type Client struct {
	*core

	// component is the field manager, and the source of Events.
	component string
	recorder  record.EventRecorder
}

// core is what the clients of a process share.
type core struct {
	opts      Options
	config    *rest.Config
	clientset kubernetes.Interface
	dynamic   dynamic.Interface
	events    record.EventBroadcaster
	closing   sync.Once

	ours   informers.SharedInformerFactory
	all    informers.SharedInformerFactory
	others metadatainformer.SharedInformerFactory

	mu      sync.Mutex
	started context.Context //nolint:containedctx // informers asked for after Run begin under Run's context
	// running are the informers of Informer that were started, by resource: every write to a namespaced kind asks for one.
	running sync.Map
}

// NewClient makes a Client. Nothing is asked of the cluster before Run. Run or Close ends it.
func NewClient(config *rest.Config, opts Options) (*Client, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 500, 1000
	config.UserAgent = opts.Component
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kube: client for %s: %w", config.Host, err)
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kube: dynamic client for %s: %w", config.Host, err)
	}
	selector := LabelInstallation + "=" + opts.Installation
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kube: metadata client for %s: %w", config.Host, err)
	}
	c := &core{opts: opts, config: config, clientset: clientset, dynamic: dyn}
	c.ours = informers.NewSharedInformerFactoryWithOptions(clientset, 0,
		informers.WithTweakListOptions(func(o *kmetav1.ListOptions) { o.LabelSelector = selector }),
		informers.WithTransform(dropManagedFields))
	c.all = informers.NewSharedInformerFactoryWithOptions(clientset, 0, informers.WithTransform(dropManagedFields))
	c.others = metadatainformer.NewFilteredSharedInformerFactory(meta, 0, kmetav1.NamespaceAll, func(o *kmetav1.ListOptions) {
		o.LabelSelector = LabelInstallation + "!=" + opts.Installation
	})
	c.events = record.NewBroadcaster()
	return c.as(opts.Component), nil
}

// Close frees what a client holds that does not run, or runs no more. It may be called more than once.
func (c *core) Close() { c.closing.Do(c.events.Shutdown) }

// As returns a client of the same cluster that writes under another field manager, such as `fairlead-serving`, and names
// it as the source of its Events. It shares all informers with c, and runs with it.
func (c *Client) As(component string) *Client { return c.as(component) }

func (c *core) as(component string) *Client {
	return &Client{core: c, component: component, recorder: c.events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: component})}
}

func dropManagedFields(obj any) (any, error) {
	if acc, err := meta.Accessor(obj); err == nil {
		acc.SetManagedFields(nil)
	}
	return obj, nil
}

// Config returns the configuration by which the cluster is reached, for callers that speak HTTP to it.
func (c *Client) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Clientset returns the typed client, for what is neither applied nor watched: logs, Secrets, reviews.
func (c *Client) Clientset() kubernetes.Interface { return c.clientset }

// Installation returns the installation's id.
func (c *Client) Installation() string { return c.opts.Installation }

// SystemNamespace returns the namespace in which the installation keeps its own Secrets.
func (c *Client) SystemNamespace() string { return c.opts.SystemNamespace }

// Run keeps informers going and sends Events until ctx ends, for all clients that share them. It may be called once.
func (c *Client) Run(ctx context.Context) error {
	c.events.StartRecordingToSink(&eventSink{clientset: c.clientset, ctx: ctx})
	c.mu.Lock()
	c.started = ctx
	c.ours.Start(ctx.Done())
	c.all.Start(ctx.Done())
	c.others.Start(ctx.Done())
	c.mu.Unlock()
	<-ctx.Done()
	c.Close()
	c.ours.Shutdown()
	c.all.Shutdown()
	c.others.Shutdown()
	return nil
}

// Informer returns the informer of a resource, shared by all who ask. It sees this installation's objects only, but for
// namespaces, which it sees all.
func (c *Client) Informer(resource schema.GroupVersionResource) (cache.SharedIndexInformer, error) {
	if known, ok := c.running.Load(resource); ok {
		return known.(cache.SharedIndexInformer), nil //nolint:forcetypeassert // only informers are stored
	}
	factory := c.ours
	if resource == Namespaces {
		factory = c.all
	}
	generic, err := factory.ForResource(resource)
	if err != nil {
		return nil, fmt.Errorf("kube: informer of %s: %w", resource.Resource, err)
	}
	informer := generic.Informer()
	c.mu.Lock()
	defer c.mu.Unlock()
	if informer.GetIndexer().GetIndexers()[ownerIndex] == nil {
		if err := informer.AddIndexers(cache.Indexers{ownerIndex: indexByOwner}); err != nil {
			return nil, fmt.Errorf("kube: index of %s: %w", resource.Resource, err)
		}
	}
	if c.started != nil {
		factory.Start(c.started.Done())
		c.running.Store(resource, informer)
	}
	return informer, nil
}

// Others returns the informer of the names of a resource's objects that are not this installation's: nothing else of them
// is kept. Together with Informer it sees each object once.
func (c *Client) Others(resource schema.GroupVersionResource) (cache.SharedIndexInformer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	informer := c.others.ForResource(resource).Informer()
	if !informer.HasSynced() {
		if err := informer.SetTransform(namesOnly); err != nil && c.started == nil {
			return nil, fmt.Errorf("kube: informer of the names of %s: %w", resource.Resource, err)
		}
	}
	if c.started != nil {
		c.others.Start(c.started.Done())
	}
	return informer, nil
}

func namesOnly(obj any) (any, error) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return obj, nil //nolint:nilerr // what has no metadata stays as it is
	}
	return &kmetav1.PartialObjectMetadata{ObjectMeta: kmetav1.ObjectMeta{
		Namespace: m.GetNamespace(), Name: m.GetName(), UID: m.GetUID(), ResourceVersion: m.GetResourceVersion(),
	}}, nil
}

// Synced waits until the informers of the resources have read the cluster's state once.
func (c *Client) Synced(ctx context.Context, resources ...schema.GroupVersionResource) error {
	for _, r := range resources {
		informer, err := c.Informer(r)
		if err != nil {
			return err
		}
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			return fmt.Errorf("kube: reading %s from %s: %w", r.Resource, c.config.Host, context.Cause(ctx))
		}
	}
	return nil
}

// Object is a Kubernetes object in its typed form, with apiVersion and kind set.
type Object interface {
	kmetav1.Object
	runtime.Object
}

// Apply makes the cluster's object what obj says, by server-side apply, and marks it as the owner's. It takes over fields
// that others have set, and keeps what they have added where both can be. The result is the object as the cluster now has it.
func (c *Client) Apply(ctx context.Context, owner Owner, obj Object) (*unstructured.Unstructured, error) {
	gvk := obj.GetObjectKind().GroupVersionKind()
	if gvk.Empty() {
		kinds, _, err := scheme.Scheme.ObjectKinds(obj)
		if err != nil {
			return nil, fmt.Errorf("kube: kind of %T: %w", obj, err)
		}
		gvk = kinds[0]
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("kube: encode %s %s: %w", gvk.Kind, obj.GetName(), err)
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(gvk)
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	c.mark(owner, u)
	data, err := json.Marshal(u)
	if err != nil {
		return nil, fmt.Errorf("kube: encode %s %s: %w", gvk.Kind, obj.GetName(), err)
	}
	guess, _ := meta.UnsafeGuessKindToResource(gvk)
	resource := c.dynamic.Resource(guess).Namespace(obj.GetNamespace())
	force := true
	options := kmetav1.PatchOptions{FieldManager: c.component, Force: &force}
	out, err := resource.Patch(ctx, obj.GetName(), types.ApplyPatchType, data, options)
	if apierrors.IsInvalid(err) && c.overwrite(ctx, resource, obj.GetName(), data) == nil {
		out, err = resource.Patch(ctx, obj.GetName(), types.ApplyPatchType, data, options)
	}
	if err == nil && c.hasFormer(out) {
		if err = c.adopt(ctx, resource, out); err == nil {
			out, err = resource.Patch(ctx, obj.GetName(), types.ApplyPatchType, data, options)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("kube: apply %s %s/%s: %w", gvk.Kind, obj.GetNamespace(), obj.GetName(), err)
	}
	return out, nil
}

// overwrite puts whole lists in the place of what an object has. An apply merges the entries of others with ours, and the
// two may exclude each other: then it is refused for as long as theirs stay.
func (c *Client) overwrite(ctx context.Context, resource dynamic.ResourceInterface, name string, data []byte) error {
	is, err := resource.Get(ctx, name, kmetav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("kube: get %s: %w", name, err)
	}
	if is.GetLabels()[LabelInstallation] != c.opts.Installation {
		return fmt.Errorf("kube: %s is not this installation's", name)
	}
	if _, err := resource.Patch(ctx, name, types.MergePatchType, data, kmetav1.PatchOptions{FieldManager: c.component}); err != nil {
		return fmt.Errorf("kube: overwrite %s: %w", name, err)
	}
	return nil
}

func (c *Client) mark(owner Owner, obj kmetav1.Object) {
	labels := obj.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[LabelInstallation] = c.opts.Installation
	labels[LabelOwnerUID] = owner.UID
	obj.SetLabels(labels)
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationOwner] = owner.String()
	obj.SetAnnotations(annotations)
}

// Delete deletes an object of the cluster, and is content if it is gone already.
func (c *Client) Delete(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, uid types.UID) error {
	background := kmetav1.DeletePropagationBackground
	opts := kmetav1.DeleteOptions{PropagationPolicy: &background}
	if uid != "" {
		opts.Preconditions = &kmetav1.Preconditions{UID: &uid}
	}
	err := c.dynamic.Resource(resource).Namespace(namespace).Delete(ctx, name, opts)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("kube: delete %s %s/%s: %w", resource.Resource, namespace, name, err)
	}
	return nil
}
