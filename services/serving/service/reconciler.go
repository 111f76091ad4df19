// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package service keeps a Configuration and a Route of the same name for each Service.
package service

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/names"
	"fairlead.dev/services/serving/older"
	"fairlead.dev/services/serving/ownership"
)

// The conditions of a Service, besides Ready.
const (
	ConfigurationsReady = "ConfigurationsReady"
	RoutesReady         = "RoutesReady"
)

// The reasons of a Service's conditions.
const (
	ReasonNotOwned           = "NotOwned"
	ReasonOutOfDate          = "OutOfDate"
	ReasonTrafficNotMigrated = "TrafficNotMigrated"
	ReasonManual             = "Manual"
)

// Reconciler keeps Services.
type Reconciler struct {
	kind           kinds.Kind
	services       store.Client[*servingv1.Service]
	configurations store.Client[*servingv1.Configuration]
	routes         store.Client[*servingv1.Route]
}

// New makes a Reconciler for the kinds of services, configurations and routes.
func New(s *store.Store, services, configurations, routes kinds.Kind) *Reconciler {
	return &Reconciler{
		kind:           services,
		services:       store.For[*servingv1.Service](s, services),
		configurations: store.For[*servingv1.Configuration](s, configurations),
		routes:         store.For[*servingv1.Route](s, routes),
	}
}

// Sources are what a controller of services listens to.
func (r *Reconciler) Sources(s *store.Store) []reconcile.Source {
	service := func(obj store.Object) []store.Key {
		name := obj.GetMetadata().GetLabels()[names.LabelService]
		if name == "" {
			name = obj.GetMetadata().GetName() // a user's own stands in the way of a service of its name, until it goes
		}
		return []store.Key{{Namespace: obj.GetMetadata().GetNamespace(), Name: name}}
	}
	return []reconcile.Source{
		reconcile.FromCache(s.Cache(r.services.Kind()), nil),
		reconcile.FromCache(s.Cache(r.configurations.Kind()), service),
		reconcile.FromCache(s.Cache(r.routes.Kind()), service),
	}
}

type run struct {
	key     store.Key
	now     time.Time
	service *servingv1.Service
	config  *servingv1.Configuration // nil when the one of that name belongs to another
	route   *servingv1.Route         // nil when the one of that name belongs to another
}

// Reconcile brings one service closer to what it says.
func (r *Reconciler) Reconcile(ctx context.Context, key store.Key) (reconcile.Result, error) {
	return reconcile.Steps(ctx, &run{key: key, now: time.Now()},
		reconcile.Step[*run]{Name: "read", Run: r.read},
		reconcile.Step[*run]{Name: "configuration", Run: r.configuration},
		reconcile.Step[*run]{Name: "route", Run: r.route},
		reconcile.Step[*run]{Name: "tell status", Run: r.tell},
	)
}

func (r *Reconciler) read(_ context.Context, s *run) (reconcile.Outcome, error) {
	service, ok := r.services.Cached(s.key)
	if !ok || service.GetMetadata().GetDeletionTimestamp() != nil {
		return reconcile.Done, nil // what it owns goes with it, by owner reference
	}
	s.service = service
	return reconcile.Go, nil
}

// metadata is that of what is made for a service.
func (r *Reconciler) metadata(service *servingv1.Service) *metav1.ObjectMeta {
	m := service.GetMetadata()
	return &metav1.ObjectMeta{
		Name: m.GetName(), Namespace: m.GetNamespace(),
		Annotations:     ownership.Inherit(m.GetAnnotations()),
		Labels:          ownership.Labels(m.GetLabels(), map[string]string{names.LabelService: m.GetName(), names.LabelServiceUID: m.GetUid()}),
		OwnerReferences: []*metav1.OwnerReference{ownership.Reference(r.kind, m)},
	}
}

func (r *Reconciler) configuration(ctx context.Context, s *run) (reconcile.Outcome, error) {
	if older.Manual(s.service) {
		return reconcile.Go, nil // the user keeps both
	}
	want := &servingv1.Configuration{Metadata: r.metadata(s.service), Spec: &servingv1.ConfigurationSpec{Template: s.service.GetSpec().GetTemplate()}}
	m := s.service.GetMetadata()
	older.HandDown(want.GetMetadata().GetAnnotations(), m)
	if build := m.GetAnnotations()[names.AnnotationBuild]; build != "" {
		want.Metadata.Annotations[names.AnnotationBuild] = build
	}
	got, err := ensure(ctx, r.configurations, want, s.service.GetMetadata(), func(to, from *servingv1.Configuration) { to.Spec = from.GetSpec() })
	s.config = got
	return reconcile.Go, err
}

func (r *Reconciler) route(ctx context.Context, s *run) (reconcile.Outcome, error) {
	if older.Manual(s.service) {
		return reconcile.Go, nil
	}
	want := &servingv1.Route{Metadata: r.metadata(s.service), Spec: &servingv1.RouteSpec{}}
	for _, t := range s.service.GetSpec().GetTraffic() {
		to, _ := proto.Clone(t).(*servingv1.TrafficTarget)
		if to.GetRevisionName() == "" {
			to.ConfigurationName, to.LatestRevision = s.key.Name, new(true)
		}
		want.Spec.Traffic = append(want.Spec.Traffic, to)
	}
	got, err := ensure(ctx, r.routes, want, s.service.GetMetadata(), func(to, from *servingv1.Route) { to.Spec = from.GetSpec() })
	s.route = got
	return reconcile.Go, err
}

// ensure makes an object of a service what it should be. It returns nil when another's object has the name.
func ensure[T interface {
	store.Object
	comparable
}](ctx context.Context, c store.Client[T], want T, owner *metav1.ObjectMeta, setSpec func(to, from T)) (T, error) {
	var none T
	key := store.KeyOf(want)
	is, ok := c.Cached(key)
	if !ok {
		made, err := c.Create(ctx, want)
		if !apierror.IsAlreadyExists(err) {
			return made, wrap(c, key, err)
		}
		if is, err = c.Get(ctx, key); err != nil {
			return none, wrap(c, key, err)
		}
	}
	if !ownership.IsFor(is.GetMetadata(), owner) {
		return none, nil
	}
	change := func(obj T) (T, error) {
		if ownership.IsFor(obj.GetMetadata(), owner) {
			m, w := obj.GetMetadata(), want.GetMetadata()
			m.Labels, m.Annotations, m.OwnerReferences = w.GetLabels(), w.GetAnnotations(), w.GetOwnerReferences()
			setSpec(obj, want)
		}
		return obj, nil
	}
	changed, _ := proto.Clone(is).(T)
	if changed, err := change(changed); err != nil || proto.Equal(changed, is) {
		return is, err
	}
	made, err := c.Update(ctx, key, "", change)
	return made, wrap(c, key, err)
}

func wrap[T store.Object](c store.Client[T], key store.Key, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", c.Kind().Plural, key, err)
}

// tell writes the status.
func (r *Reconciler) tell(ctx context.Context, s *run) (reconcile.Outcome, error) {
	_, err := r.services.Update(ctx, s.key, "", func(service *servingv1.Service) (*servingv1.Service, error) {
		if service.GetMetadata().GetUid() == s.service.GetMetadata().GetUid() {
			service.Status = status(service.GetStatus(), s)
		}
		return service, nil
	})
	if err != nil && !apierror.IsNotFound(err) {
		return reconcile.Done, err
	}
	return reconcile.Go, nil
}

func status(st *servingv1.ServiceStatus, s *run) *servingv1.ServiceStatus {
	if st == nil {
		st = &servingv1.ServiceStatus{}
	}
	st.ObservedGeneration = s.service.GetMetadata().GetGeneration()
	set := func(conditionType string, c state) {
		st.Conditions = condition.Set(st.GetConditions(), s.now, conditionType, c.status, c.reason, c.message)
	}
	if s.config != nil {
		st.LatestCreatedRevisionName = s.config.GetStatus().GetLatestCreatedRevisionName()
		st.LatestReadyRevisionName = s.config.GetStatus().GetLatestReadyRevisionName()
	}
	if s.route != nil {
		st.Url, st.Address, st.Traffic = s.route.GetStatus().GetUrl(), s.route.GetStatus().GetAddress(), s.route.GetStatus().GetTraffic()
	}
	if older.Manual(s.service) {
		st.LatestCreatedRevisionName, st.LatestReadyRevisionName = "", ""
		st.Url, st.Address, st.Traffic = "", nil, nil
		manual := state{condition.Unknown, ReasonManual, fmt.Sprintf(
			"the service leaves the Configuration and the Route %q to the user; see their own conditions", s.key.Name)}
		set(ConfigurationsReady, manual)
		set(RoutesReady, manual)
	} else {
		set(ConfigurationsReady, configurationState(s))
		set(RoutesReady, routeState(s))
	}
	st.Conditions = condition.Summarize(st.GetConditions(), s.now, condition.Ready, ConfigurationsReady, RoutesReady)
	return st
}

type state struct{ status, reason, message string }

func of(c *metav1.Condition) state {
	if c == nil {
		return state{status: condition.Unknown}
	}
	return state{c.GetStatus(), c.GetReason(), c.GetMessage()}
}

func configurationState(s *run) state {
	switch {
	case s.config == nil:
		return state{condition.False, ReasonNotOwned, fmt.Sprintf("a configuration %q exists that is not of this service; delete it, or rename the service", s.key.Name)}
	case s.config.GetStatus().GetObservedGeneration() != s.config.GetMetadata().GetGeneration():
		return state{condition.Unknown, ReasonOutOfDate, "the configuration has not been acted on yet"}
	}
	return of(condition.Get(s.config.GetStatus().GetConditions(), condition.Ready))
}

func routeState(s *run) state {
	switch {
	case s.route == nil:
		return state{condition.False, ReasonNotOwned, fmt.Sprintf("a route %q exists that is not of this service; delete it, or rename the service", s.key.Name)}
	case s.route.GetStatus().GetObservedGeneration() != s.route.GetMetadata().GetGeneration():
		return state{condition.Unknown, ReasonOutOfDate, "the route has not been acted on yet"}
	}
	is := of(condition.Get(s.route.GetStatus().GetConditions(), condition.Ready))
	if is.status == condition.True && s.config != nil {
		latest := s.config.GetStatus().GetLatestReadyRevisionName()
		for _, t := range s.route.GetStatus().GetTraffic() {
			if t.GetLatestRevision() && t.GetRevisionName() != latest {
				return state{condition.Unknown, ReasonTrafficNotMigrated, fmt.Sprintf("requests do not go to the newest ready revision %q yet", latest)}
			}
		}
	}
	return is
}
