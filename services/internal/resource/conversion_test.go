// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

const (
	keptByStored = "conversion.fairlead.dev/v1"      // on older objects: what v1 says beyond them
	keptByOlder  = "conversion.fairlead.dev/v1beta1" // on stored objects: what v1beta1 says beyond them
)

// olderTrigger makes of the Broker an older form of the Trigger: `config.name` is the trigger's broker, and `delivery` is
// the same in both. It has neither filter nor subscriber, and the trigger no kind of config.
func olderTrigger(t *testing.T) kinds.Kind {
	t.Helper()
	k := kind(t, &eventingv1.Broker{})
	k.Kind, k.Plural, k.Version, k.StoredVersion = "Trigger", "triggers", "v1beta1", "v1"
	return k
}

func triggerConversion() *resource.Conversion {
	return &resource.Conversion{
		ToStored: func(obj store.Object) (store.Object, error) {
			b := obj.(*eventingv1.Broker)
			if strings.HasPrefix(b.GetSpec().GetConfig().GetName(), "impossible") {
				return nil, errors.New("spec.config.name is impossible")
			}
			return &eventingv1.Trigger{
				Spec: &eventingv1.TriggerSpec{
					Broker: b.GetSpec().GetConfig().GetName(), Delivery: b.GetSpec().GetDelivery(),
					Subscriber: &eventingv1.Destination{Uri: "http://fallback"},
				},
				Status: &eventingv1.TriggerStatus{Conditions: b.GetStatus().GetConditions()},
			}, nil
		},
		FromStored: func(obj store.Object) (store.Object, error) {
			t := obj.(*eventingv1.Trigger)
			return &eventingv1.Broker{
				Spec: &eventingv1.BrokerSpec{
					Config:   &eventingv1.KReference{Kind: "Broker", Name: t.GetSpec().GetBroker(), ApiVersion: "v1"},
					Delivery: t.GetSpec().GetDelivery(),
				},
				Status: &eventingv1.BrokerStatus{Conditions: t.GetStatus().GetConditions()},
			}, nil
		},
	}
}

// versions is a server of one kind in two versions.
type versions struct {
	*fixture

	older  eventingv1.BrokerServiceClient
	stored eventingv1.TriggerServiceClient
}

func startVersions(t *testing.T) *versions {
	t.Helper()
	f := startHandlers(t, everyone{},
		resource.Handler{Kind: olderTrigger(t), Hooks: resource.Hooks{Convert: triggerConversion()}},
		resource.Handler{Kind: kind(t, &eventingv1.Trigger{}), Hooks: resource.Hooks{
			Validate: func(_ context.Context, obj, _ store.Object) []apierror.Cause {
				if obj.(*eventingv1.Trigger).GetSpec().GetDelivery().GetRetry() == 13 {
					return []apierror.Cause{apierror.Invalid("spec.delivery.retry", "Invalid value: 13")}
				}
				return nil
			},
		}},
	)
	return &versions{f, eventingv1.NewBrokerServiceClient(f.conn), eventingv1.NewTriggerServiceClient(f.conn)}
}

func aTrigger(name string) *eventingv1.Trigger {
	return &eventingv1.Trigger{
		Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"a": "b"}},
		Spec: &eventingv1.TriggerSpec{
			Broker: "main", Filter: &eventingv1.TriggerFilter{Attributes: map[string]string{"type": "order"}},
			Subscriber: &eventingv1.Destination{Uri: "http://orders"},
		},
	}
}

func (v *versions) getStored(t *testing.T, name string) *eventingv1.Trigger {
	t.Helper()
	out, err := v.stored.Get(v.ctx, &metav1.GetRequest{Namespace: "shop", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (v *versions) getOlder(t *testing.T, name string) *eventingv1.Broker {
	t.Helper()
	out, err := v.older.Get(v.ctx, &metav1.GetRequest{Namespace: "shop", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRoundTripsThroughAnOlderFormLoseNothing(t *testing.T) {
	v := startVersions(t)
	before, err := v.stored.Create(v.ctx, &eventingv1.TriggerServiceCreateRequest{Object: aTrigger("web")})
	if err != nil {
		t.Fatal(err)
	}
	older := v.getOlder(t, "web")
	if older.GetSpec().GetConfig().GetName() != "main" || older.GetMetadata().GetAnnotations()[keptByStored] == "" {
		t.Fatalf("older form: %v", older)
	}
	after, err := v.older.Update(v.ctx, &eventingv1.BrokerServiceUpdateRequest{Object: older})
	if err != nil || after.GetMetadata().GetResourceVersion() != older.GetMetadata().GetResourceVersion() {
		t.Errorf("what was read, written back, is a write: %v, %v", after, err)
	}
	if d := cmp.Diff(before, v.getStored(t, "web"), protocmp.Transform()); d != "" {
		t.Errorf("stored form (-before +after):\n%s", d)
	}

	retry := int32(3)
	older.Spec.Delivery = &eventingv1.DeliverySpec{Retry: &retry}
	if _, err := v.older.Update(v.ctx, &eventingv1.BrokerServiceUpdateRequest{Object: older}); err != nil {
		t.Fatal(err)
	}
	got := v.getStored(t, "web")
	if got.GetSpec().GetDelivery().GetRetry() != 3 || got.GetSpec().GetFilter().GetAttributes()["type"] != "order" ||
		got.GetSpec().GetSubscriber().GetUri() != "http://orders" || got.GetMetadata().GetGeneration() != 2 {
		t.Errorf("a change by the older form: %v", got)
	}
	if _, noted := got.GetMetadata().GetAnnotations()[keptByStored]; noted {
		t.Errorf("the annotation is stored: %v", got.GetMetadata())
	}

	patched, err := v.older.Patch(v.ctx, &metav1.PatchRequest{
		Namespace: "shop", Name: "web", ContentType: mergePatch, Patch: []byte(`{"metadata":{"annotations":{"` + keptByStored + `":null}}}`),
	})
	if err != nil || patched.GetMetadata().GetAnnotations()[keptByStored] != "" {
		t.Fatalf("got %v, %v", patched, err)
	}
	if got := v.getStored(t, "web"); got.GetSpec().GetFilter() != nil || got.GetSpec().GetSubscriber().GetUri() != "http://fallback" {
		t.Errorf("who removes the annotation removes what it kept: %v", got)
	}
}

func TestWhatOnlyTheOlderFormSaysIsKept(t *testing.T) {
	v := startVersions(t)
	made, err := v.older.Create(v.ctx, &eventingv1.BrokerServiceCreateRequest{Object: &eventingv1.Broker{
		Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:     &eventingv1.BrokerSpec{Config: &eventingv1.KReference{Kind: "ConfigMap", Namespace: "far", Name: "main", ApiVersion: "v1"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := &eventingv1.KReference{Kind: "ConfigMap", Namespace: "far", Name: "main", ApiVersion: "v1"}
	for reason, got := range map[string]*eventingv1.Broker{"created": made, "read": v.getOlder(t, "web")} {
		if d := cmp.Diff(want, got.GetSpec().GetConfig(), protocmp.Transform()); d != "" || got.GetMetadata().GetAnnotations()[keptByOlder] != "" {
			t.Errorf("%s: %v (-want +got):\n%s", reason, got.GetMetadata(), d)
		}
	}
	stored := v.getStored(t, "web")
	if stored.GetMetadata().GetAnnotations()[keptByOlder] == "" {
		t.Errorf("stored: %v", stored)
	}
	// A change by the stored form of what the older one had its own word for takes that word's place.
	stored.Metadata.Annotations[keptByOlder] = strings.Replace(stored.GetMetadata().GetAnnotations()[keptByOlder], `"was":"Broker"`, `"was":"Other"`, 1)
	if _, err := v.stored.Update(v.ctx, &eventingv1.TriggerServiceUpdateRequest{Object: stored}); err != nil {
		t.Fatal(err)
	}
	if got := v.getOlder(t, "web").GetSpec().GetConfig(); got.GetKind() != "Broker" || got.GetNamespace() != "far" {
		t.Errorf("got %v", got)
	}
}

func TestEveryVerbOfAnOlderForm(t *testing.T) {
	v := startVersions(t)
	yes := true
	watch, err := v.older.Watch(v.ctx, &metav1.WatchRequest{
		Namespace: "shop", SendInitialEvents: &yes, ResourceVersionMatch: "NotOlderThan", AllowWatchBookmarks: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	next := func() (string, *eventingv1.Broker) {
		t.Helper()
		e, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return e.GetType(), e.GetObject()
	}
	if what, obj := next(); what != "BOOKMARK" || obj.GetMetadata().GetResourceVersion() == "" {
		t.Errorf("got %s %v", what, obj)
	}
	if _, err := v.stored.Create(v.ctx, &eventingv1.TriggerServiceCreateRequest{Object: aTrigger("web")}); err != nil {
		t.Fatal(err)
	}
	if what, obj := next(); what != "ADDED" || obj.GetSpec().GetConfig().GetName() != "main" {
		t.Errorf("got %s %v", what, obj)
	}
	list, err := v.older.List(v.ctx, &metav1.ListRequest{Namespace: "shop", LabelSelector: "a=b"})
	if err != nil || len(list.GetItems()) != 1 || list.GetItems()[0].GetSpec().GetConfig().GetName() != "main" {
		t.Errorf("list: %v, %v", list, err)
	}
	withStatus := proto.CloneOf(list.GetItems()[0])
	withStatus.Status = &eventingv1.BrokerStatus{Conditions: []*metav1.Condition{{Type: "Ready", Status: "True"}}}
	if got, err := v.older.UpdateStatus(v.ctx, &eventingv1.BrokerServiceUpdateStatusRequest{Object: withStatus}); err != nil || len(got.GetStatus().GetConditions()) != 1 {
		t.Errorf("status: %v, %v", got, err)
	}
	next()
	timeout := "PT1S"
	change := proto.CloneOf(withStatus)
	change.Metadata.ResourceVersion, change.Spec.Delivery = "", &eventingv1.DeliverySpec{Timeout: &timeout}
	if got, err := v.older.Update(v.ctx, &eventingv1.BrokerServiceUpdateRequest{Object: change}); err != nil || len(got.GetStatus().GetConditions()) != 1 {
		t.Errorf("update: %v, %v", got, err)
	}
	next()
	if h, err := v.older.History(v.ctx, &metav1.HistoryRequest{Namespace: "shop", Name: "web"}); err != nil || len(h.GetVersions()) != 1 ||
		h.GetVersions()[0].GetObject().GetSpec().GetConfig().GetName() != "main" {
		t.Errorf("history: %v, %v", h, err)
	}
	if got, err := v.older.Rollback(v.ctx, &metav1.RollbackRequest{Namespace: "shop", Name: "web"}); err != nil || got.GetSpec().GetDelivery() != nil {
		t.Errorf("rollback: %v, %v", got, err)
	}
	next()
	if got, err := v.older.Delete(v.ctx, &metav1.DeleteRequest{Namespace: "shop", Name: "web"}); err != nil || got.GetSpec().GetConfig().GetName() != "main" {
		t.Errorf("delete: %v, %v", got, err)
	}
	if what, obj := next(); what != "DELETED" || obj.GetSpec().GetConfig().GetName() != "main" {
		t.Errorf("got %s %v", what, obj)
	}
}

func TestOlderFormsAreRefused(t *testing.T) {
	v := startVersions(t)
	thirteen := int32(13)
	older := func(name string, annotations map[string]string) *eventingv1.Broker {
		return &eventingv1.Broker{
			Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "web", Annotations: annotations},
			Spec:     &eventingv1.BrokerSpec{Config: &eventingv1.KReference{Kind: "Broker", Name: name, ApiVersion: "v1"}},
		}
	}
	unlucky := older("main", nil)
	unlucky.Spec.Delivery = &eventingv1.DeliverySpec{Retry: &thirteen}
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	cases := map[string]struct {
		obj  *eventingv1.Broker
		text string
	}{
		"what cannot be converted":       {older("impossible", nil), "it cannot be stored as eventing.knative.dev/v1: spec.config.name is impossible"},
		"faults of the stored form":      {unlucky, "spec.delivery.retry"},
		"an annotation that is no JSON":  {older("main", map[string]string{keptByStored: "x"}), "leave it as the server gave it, or remove it"},
		"an annotation nested deeply":    {older("main", map[string]string{keptByStored: deep}), "nested deeper"},
		"an annotation about metadata":   {older("main", map[string]string{keptByStored: `[{"path":["metadata","uid"],"is":"x"}]`}), "it keeps what is not spec"},
		"an annotation about status":     {older("main", map[string]string{keptByStored: `[{"path":["status"],"is":{}}]`}), "it keeps what is not spec"},
		"an annotation without a path":   {older("main", map[string]string{keptByStored: `[{"is":{}}]`}), "it keeps what is not spec"},
		"an annotation of a wrong type":  {older("main", map[string]string{keptByStored: `[{"path":["spec","filter"],"is":5}]`}), "spec.filter"},
		"an annotation of unknown field": {older("main", map[string]string{keptByStored: `[{"path":["spec","filters"],"is":5}]`}), "spec.filters"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := v.older.Create(v.ctx, &eventingv1.BrokerServiceCreateRequest{Object: c.obj})
			fails(t, err, apierror.ReasonInvalid, c.text)
		})
	}
}

func TestVersionsAreRegisteredTogether(t *testing.T) {
	st, err := store.New(startEtcd(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	older := resource.Handler{Kind: olderTrigger(t), Hooks: resource.Hooks{Convert: triggerConversion()}}
	stored := resource.Handler{Kind: kind(t, &eventingv1.Trigger{})}
	without, half, converted := older, older, stored
	without.Convert, half.Convert = nil, &resource.Conversion{ToStored: triggerConversion().ToStored}
	converted.Convert = triggerConversion()
	for reason, c := range map[string]struct {
		handlers []resource.Handler
		want     string
	}{
		"the stored form is missing":      {[]resource.Handler{older}, "register both together"},
		"there is no conversion":          {[]resource.Handler{without, stored}, "an older form needs a Conversion"},
		"the conversion lacks a way":      {[]resource.Handler{half, stored}, "lacks a direction"},
		"a stored form is not converted":  {[]resource.Handler{converted}, "no other kind may have one"},
		"the order does not matter":       {[]resource.Handler{older, stored}, ""},
		"the order does not matter, else": {[]resource.Handler{stored, older}, ""},
	} {
		err := resource.Register(grpc.NewServer(), resource.Deps{Store: st}, c.handlers...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", reason, err, c.want)
		}
	}
}

// TestWarningsOfAnOlderFormComeOnce has writers get in each other's way, so that each tries more often than once.
func TestWarningsOfAnOlderFormComeOnce(t *testing.T) {
	convert := triggerConversion()
	convert.Warnings = func(store.Object) []string { return []string{"spec.config is kept"} }
	f := startHandlers(t, everyone{}, resource.Handler{Kind: olderTrigger(t), Hooks: resource.Hooks{Convert: convert}}, resource.Handler{Kind: kind(t, &eventingv1.Trigger{})})
	stored, older := eventingv1.NewTriggerServiceClient(f.conn), eventingv1.NewBrokerServiceClient(f.conn)
	if _, err := stored.Create(f.ctx, &eventingv1.TriggerServiceCreateRequest{Object: aTrigger("web")}); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for i := range 20 {
		writers.Go(func() {
			var header metadata.MD
			_, err := older.Patch(f.ctx, &metav1.PatchRequest{
				Namespace: "shop", Name: "web", ContentType: mergePatch, Patch: []byte(fmt.Sprintf(`{"metadata":{"labels":{"l%d":"x"}}}`, i)),
			}, grpc.Header(&header))
			if got := header.Get(wire.WarningKey); err != nil || len(got) != 1 {
				t.Errorf("writer %d: warnings %q, %v", i, got, err)
			}
		})
	}
	writers.Wait()
}
