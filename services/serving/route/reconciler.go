// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package route turns each Route into shares of requests for revisions, and gives it the names by which it is reached.
package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/names"
	"fairlead.dev/services/serving/revision"
)

// Config configures a Reconciler.
type Config struct {
	// Route, Configuration and Revision are the kinds.
	Route, Configuration, Revision kinds.Kind
	// Domain is what hosts end with, and Port where the router answers from outside the cluster.
	Domain string
	Port   int
	// RouterPodAddress is where pods reach the router; the zero value means that they do not.
	RouterPodAddress netip.AddrPort
}

// Reconciler keeps Routes.
type Reconciler struct {
	cfg            Config
	routes         store.Client[*servingv1.Route]
	configurations store.Client[*servingv1.Configuration]
	revisions      store.Client[*servingv1.Revision]
	references     *references
	placeholders   placeholders
	kube           *kube.Client
}

// New makes a Reconciler.
func New(cfg Config, s *store.Store, k *kube.Client) *Reconciler {
	return &Reconciler{
		cfg:            cfg,
		routes:         store.For[*servingv1.Route](s, cfg.Route),
		configurations: store.For[*servingv1.Configuration](s, cfg.Configuration),
		revisions:      store.For[*servingv1.Revision](s, cfg.Revision),
		references:     newReferences(),
		placeholders:   placeholders{kube: k, router: cfg.RouterPodAddress},
		kube:           k,
	}
}

// Sources are what a controller of routes listens to: routes, what they name, and their Kubernetes Services.
func (r *Reconciler) Sources(s *store.Store) ([]reconcile.Source, error) {
	named := func(k kinds.Kind) reconcile.Source {
		return reconcile.FromCache(s.Cache(k), func(obj store.Object) []store.Key { return r.references.to(reference(k, store.KeyOf(obj))) })
	}
	sources := []reconcile.Source{reconcile.FromCache(s.Cache(r.cfg.Route), nil), named(r.cfg.Configuration), named(r.cfg.Revision)}
	for _, resource := range []schema.GroupVersionResource{kube.Services, kube.EndpointSlices} {
		informer, err := r.kube.Informer(resource)
		if err != nil {
			return nil, fmt.Errorf("route: %w", err)
		}
		sources = append(sources, reconcile.FromInformer(informer, func(obj kmetav1.Object) []store.Key {
			return revision.OwnerKeys(r.cfg.Route, obj)
		}))
	}
	return sources, nil
}

// reference tells objects of several kinds apart.
func reference(k kinds.Kind, key store.Key) store.Key {
	return store.Key{Namespace: key.Namespace, Name: k.Plural + "/" + key.Name}
}

type run struct {
	key     store.Key
	now     time.Time
	route   *servingv1.Route
	targets []*servingv1.TrafficTarget
	problem *problem
	ingress error
}

// Reconcile brings one route closer to what it says.
func (r *Reconciler) Reconcile(ctx context.Context, key store.Key) (reconcile.Result, error) {
	return reconcile.Steps(ctx, &run{key: key, now: time.Now()},
		reconcile.Step[*run]{Name: "read", Run: r.read},
		reconcile.Step[*run]{Name: "resolve", Run: r.resolve},
		reconcile.Step[*run]{Name: "cluster names", Run: r.place},
		reconcile.Step[*run]{Name: "tell status", Run: r.tell},
	)
}

// read finds the route. When it is gone, what was made for it goes too.
func (r *Reconciler) read(ctx context.Context, s *run) (reconcile.Outcome, error) {
	route, ok := r.routes.Cached(s.key)
	if !ok {
		if _, err := r.routes.Get(ctx, s.key); err == nil || !apierror.IsNotFound(err) {
			return reconcile.Done, err // it exists: the cache will tell
		}
		r.references.set(s.key, nil)
		k := r.cfg.Route
		return reconcile.Done, r.placeholders.prune(ctx, kube.Owner{Group: k.Group, Version: k.Version, Kind: k.Kind, Namespace: s.key.Namespace, Name: s.key.Name})
	}
	if route.GetMetadata().GetDeletionTimestamp() != nil {
		return reconcile.Done, nil
	}
	s.route = route
	return reconcile.Go, nil
}

func (r *Reconciler) configuration(key store.Key) (*servingv1.Configuration, bool) {
	return r.configurations.Cached(key)
}

func (r *Reconciler) revision(key store.Key) (*servingv1.Revision, bool) {
	return r.revisions.Cached(key)
}

// resolve finds the revisions that the shares mean now.
func (r *Reconciler) resolve(_ context.Context, s *run) (reconcile.Outcome, error) {
	var named []store.Key
	for _, t := range s.route.GetSpec().GetTraffic() {
		for k, name := range map[string]string{r.cfg.Configuration.Plural: t.GetConfigurationName(), r.cfg.Revision.Plural: t.GetRevisionName()} {
			if name != "" {
				named = append(named, store.Key{Namespace: s.key.Namespace, Name: k + "/" + name})
			}
		}
	}
	r.references.set(s.key, named) // before looking, so that no change is missed
	s.targets, s.problem = resolve(s.route, r)
	return reconcile.Go, nil
}

// place gives the route and its tags their names in the cluster.
func (r *Reconciler) place(ctx context.Context, s *run) (reconcile.Outcome, error) {
	wanted := []string{s.key.Name}
	for _, t := range s.route.GetSpec().GetTraffic() {
		if t.GetTag() != "" {
			wanted = append(wanted, names.Tagged(t.GetTag(), s.key.Name))
		}
	}
	s.ingress = r.placeholders.keep(ctx, kube.OwnerOf(r.cfg.Route, s.route.GetMetadata()), wanted)
	return reconcile.Go, nil
}

// tell writes the status.
func (r *Reconciler) tell(ctx context.Context, s *run) (reconcile.Outcome, error) {
	_, err := r.routes.Update(ctx, s.key, "", func(route *servingv1.Route) (*servingv1.Route, error) {
		if route.GetMetadata().GetUid() == s.route.GetMetadata().GetUid() {
			route.Status = r.status(route.GetStatus(), s)
		}
		return route, nil
	})
	if err != nil && !apierror.IsNotFound(err) {
		return reconcile.Done, err
	}
	if _, ok := errors.AsType[notOwnedError](s.ingress); ok {
		return reconcile.After(retryTaken), nil // Services that are not ours are not watched
	}
	return reconcile.Go, s.ingress
}

// retryTaken is how often it is looked whether a name that another's Service has is free again.
const retryTaken = 30 * time.Second

func (r *Reconciler) status(st *servingv1.RouteStatus, s *run) *servingv1.RouteStatus {
	if st == nil {
		st = &servingv1.RouteStatus{}
	}
	st.ObservedGeneration = s.route.GetMetadata().GetGeneration()
	local := s.route.GetMetadata().GetLabels()[names.LabelVisibility] == names.VisibilityClusterLocal
	cluster := "http://" + names.ClusterHost(s.key.Name, s.key.Namespace)
	st.Address = &servingv1.Addressable{Url: cluster}
	st.Url = r.url(s.key.Name, s.key.Namespace, local)
	if s.problem == nil {
		st.Traffic = s.targets
		for _, t := range st.GetTraffic() {
			if t.GetTag() != "" {
				t.Url = r.url(names.Tagged(t.GetTag(), s.key.Name), s.key.Namespace, local)
			}
		}
	}
	set := func(conditionType, value, reason, message string) {
		st.Conditions = condition.Set(st.GetConditions(), s.now, conditionType, value, reason, message)
	}
	if p := s.problem; p != nil {
		set(AllTrafficAssigned, p.status, p.reason, p.message)
	} else {
		set(AllTrafficAssigned, condition.True, "", "")
	}
	set(CertificateProvisioned, condition.True, ReasonTLSNotEnabled, "routes answer over plain HTTP")
	var taken notOwnedError
	switch {
	case s.ingress == nil:
		set(IngressReady, condition.True, "", "")
	case errors.As(s.ingress, &taken):
		set(IngressReady, condition.False, ReasonNotOwned, taken.Error())
	default:
		set(IngressReady, condition.Unknown, ReasonPlaceholderFailed, "the route's Service in the cluster cannot be made, and is tried again: "+s.ingress.Error())
	}
	st.Conditions = condition.Summarize(st.GetConditions(), s.now, condition.Ready, AllTrafficAssigned, IngressReady, CertificateProvisioned)
	return st
}

// url is where a route, or one of its tags, answers.
func (r *Reconciler) url(name, namespace string, local bool) string {
	if local {
		return "http://" + names.ClusterHost(name, namespace)
	}
	host := names.ExternalHost(name, namespace, r.cfg.Domain)
	if r.cfg.Port != 0 && r.cfg.Port != int(clusterPort) {
		host = net.JoinHostPort(host, strconv.Itoa(r.cfg.Port))
	}
	return "http://" + host
}
