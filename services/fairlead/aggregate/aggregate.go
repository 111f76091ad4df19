// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/kube"
)

// fieldManager is who writes in the cluster.
const fieldManager = "fairlead-gateway"

const (
	// again is how soon what failed is tried again, and how often it is looked whether the authority has changed.
	again = 5 * time.Second
	every = time.Minute
)

func apiServices() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
}

func customResources() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
}

// Config says what is registered.
type Config struct {
	// Installation is the installation's id.
	Installation string
	// Service is the Service that leads to the gateway.
	Service Service
	// At is the address of a gateway outside of the cluster, for which the Service is made; zero where there is one.
	At netip.AddrPort
	// CA returns the authorities of the gateway's certificate, in PEM, as they are at the time.
	CA func() []byte
	// Kinds are the kinds that are served.
	Kinds []kinds.Kind
	// Cluster is how the cluster is reached.
	Cluster *rest.Config
	// Log gets what goes wrong.
	Log *slog.Logger
}

// Registration keeps our groups registered.
type Registration struct {
	cfg    Config
	client dynamic.Interface

	mu   sync.Mutex
	last error
}

var errNotYet = errors.New("not registered yet")

// New makes a Registration. Nothing is asked of the cluster yet.
func New(cfg Config) (*Registration, error) {
	client, err := dynamic.NewForConfig(cfg.Cluster)
	if err != nil {
		return nil, fmt.Errorf("aggregate: %w", err)
	}
	return &Registration{cfg: cfg, client: client, last: errNotYet}, nil
}

// Refused returns why our groups must not be registered: the cluster has kinds of theirs, or another installation has
// registered them. Other errors are faults that may pass.
func (r *Registration) Refused(ctx context.Context) (refused, err error) {
	groups := Versions(r.cfg.Kinds)
	crds, err := r.client.Resource(customResources()).List(ctx, kmetav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("aggregate: list the cluster's CRDs: %w", err)
	}
	var found []string
	for i := range crds.Items {
		group, _, _ := unstructured.NestedString(crds.Items[i].Object, "spec", "group")
		if groups[group] != nil {
			found = append(found, crds.Items[i].GetName())
		}
	}
	if len(found) > 0 {
		slices.Sort(found)
		return fmt.Errorf("the cluster has CRDs of groups that Fairlead serves: %s; what is in them would be hidden: "+
			"move it, delete the CRDs, and start again, or leave --aggregate-listen out", strings.Join(found, ", ")), nil
	}
	services, err := r.client.Resource(apiServices()).List(ctx, kmetav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("aggregate: list the cluster's APIServices: %w", err)
	}
	for i := range services.Items {
		u := &services.Items[i]
		group, _, _ := unstructured.NestedString(u.Object, "spec", "group")
		if groups[group] != nil && u.GetLabels()[kube.LabelInstallation] != r.cfg.Installation {
			found = append(found, u.GetName())
		}
	}
	if len(found) > 0 {
		slices.Sort(found)
		return fmt.Errorf("others have registered groups that Fairlead serves with the cluster: the APIServices %s; "+
			"end them and delete these, and start again, or leave --aggregate-listen out", strings.Join(found, ", ")), nil
	}
	return nil, nil
}

// Probe tells whether our groups are registered.
func (r *Registration) Probe(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != nil {
		return apierror.Unavailable(again, "the API groups are not registered with the cluster: %s", r.last).Wrap(r.last)
	}
	return nil
}

func (r *Registration) note(ctx context.Context, err error) {
	r.mu.Lock()
	said := r.last
	r.last = err
	r.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case err != nil && (said == nil || said.Error() != err.Error()):
		r.cfg.Log.ErrorContext(ctx, "the API groups are not registered with the cluster", "error", err)
	case err == nil && said != nil:
		r.cfg.Log.InfoContext(ctx, "the API groups are registered with the cluster", "service", r.cfg.Service.Host())
	}
}

// Run keeps our groups registered until ctx ends, and leaves them so: a gateway that starts again is found there.
func (r *Registration) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	look := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(r.client, 0, "", func(o *kmetav1.ListOptions) {
		o.LabelSelector = kube.LabelInstallation + "=" + r.cfg.Installation
	})
	_, err := factory.ForResource(apiServices()).Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(old, now any) {
			if generation(old) != generation(now) {
				look()
			}
		},
		DeleteFunc: func(any) { look() },
	})
	if err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var ca []byte
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			ca = nil
		case <-timer.C:
		}
		next := every
		if now := r.cfg.CA(); !bytes.Equal(ca, now) {
			err := r.register(ctx)
			r.note(ctx, err)
			if ca = now; err != nil {
				ca, next = nil, again
			}
		}
		timer.Reset(next)
	}
}

func generation(obj any) string {
	m, err := meta.Accessor(obj)
	if err != nil {
		return ""
	}
	u, ok := m.(*unstructured.Unstructured)
	if !ok {
		return m.GetResourceVersion()
	}
	spec, err := json.Marshal(u.Object["spec"]) // an APIService has no generation
	if err != nil {
		return m.GetResourceVersion()
	}
	return string(spec)
}

// register brings everything into the cluster, the APIServices last.
func (r *Registration) register(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if refused, err := r.Refused(ctx); err != nil || refused != nil {
		return errors.Join(refused, err)
	}
	objects := Roles(r.cfg.Kinds, r.cfg.Installation)
	if r.cfg.At.IsValid() {
		if err := r.namespace(ctx); err != nil {
			return err
		}
		objects = append(objects, HostService(r.cfg.Installation, r.cfg.Service, r.cfg.At)...)
	}
	wanted := APIServices(r.cfg.Kinds, r.cfg.Installation, r.cfg.Service, r.cfg.CA())
	for _, u := range append(objects, wanted...) {
		if err := r.apply(ctx, u); err != nil {
			return fmt.Errorf("aggregate: %s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
	return r.remove(ctx, func(u *unstructured.Unstructured) bool { // versions that are no longer served
		return !slices.ContainsFunc(wanted, func(w *unstructured.Unstructured) bool { return w.GetName() == u.GetName() })
	})
}

func (r *Registration) apply(ctx context.Context, u *unstructured.Unstructured) error {
	resource, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
	_, err := r.client.Resource(resource).Namespace(u.GetNamespace()).Apply(ctx, u.GetName(), u, kmetav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err //nolint:wrapcheck // wrapped by the caller
}

// namespace makes the Service's namespace if there is none.
func (r *Registration) namespace(ctx context.Context) error {
	namespaces := r.client.Resource(corev1.SchemeGroupVersion.WithResource("namespaces"))
	_, err := namespaces.Get(ctx, r.cfg.Service.Namespace, kmetav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err //nolint:wrapcheck // says it all
	}
	u := &unstructured.Unstructured{Object: object{"apiVersion": "v1", "kind": "Namespace"}}
	u.SetName(r.cfg.Service.Namespace)
	if _, err := namespaces.Create(ctx, u, kmetav1.CreateOptions{FieldManager: fieldManager}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("aggregate: namespace: %w", err)
	}
	return nil
}

// Remove removes what the installation has registered: APIServices that lead nowhere keep the cluster from deleting
// namespaces.
func (r *Registration) Remove(ctx context.Context) error {
	return r.remove(ctx, func(*unstructured.Unstructured) bool { return true })
}

func (r *Registration) remove(ctx context.Context, which func(*unstructured.Unstructured) bool) error {
	found, err := r.client.Resource(apiServices()).List(ctx, kmetav1.ListOptions{LabelSelector: kube.LabelInstallation + "=" + r.cfg.Installation})
	if err != nil {
		return fmt.Errorf("aggregate: list APIServices: %w", err)
	}
	for i := range found.Items {
		if !which(&found.Items[i]) {
			continue
		}
		err := r.client.Resource(apiServices()).Delete(ctx, found.Items[i].GetName(), kmetav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("aggregate: delete the APIService %s: %w", found.Items[i].GetName(), err)
		}
		r.cfg.Log.InfoContext(ctx, "an API group is no longer registered with the cluster", "apiservice", found.Items[i].GetName())
	}
	return nil
}
