// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package eventing_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/storetest"

	"fairlead.dev/services/eventing"
	"fairlead.dev/services/eventing/controller"
	"fairlead.dev/services/eventing/dispatcher"
	"fairlead.dev/services/eventing/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// everyone takes each token for the user's name, and lets all do all.
type everyone struct{}

func (everyone) Authenticate(_ context.Context, token string) (*rpc.Identity, error) {
	return &rpc.Identity{User: token}, nil
}

func (everyone) Authorize(context.Context, *rpc.Identity, rpc.Attributes) error { return nil }

// fixture is a running service over a real etcd.
type fixture struct {
	ctx      context.Context //nolint:containedctx // of all calls of a test
	store    *store.Store
	conn     *grpc.ClientConn
	brokers  eventingv1.BrokerServiceClient
	triggers eventingv1.TriggerServiceClient
}

type token string

func (t token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{rpc.AuthorizationKey: "Bearer " + string(t)}, nil
}

func (token) RequireTransportSecurity() bool { return false }

func start(t testing.TB) *fixture {
	t.Helper()
	st := storetest.Start(t)
	cfg := eventing.DefaultConfig()
	cfg.DispatcherGrace = 300 * time.Millisecond
	cfg.ClusterIngressURL = "http://10.0.0.1:8090"
	svc, err := eventing.New(cfg, eventing.Deps{Store: st, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{Authn: everyone{}, Authz: everyone{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Register(server); err != nil {
		t.Fatal(err)
	}
	memory := rpc.NewInMemory(server)
	conn, err := memory.Dial(token("alice"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		_ = conn.Close()
		server.Stop()
		_ = memory.Close()
	})
	call, end := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background()), 2*time.Minute)
	t.Cleanup(end)
	return &fixture{
		ctx: call, store: st, conn: conn,
		brokers: eventingv1.NewBrokerServiceClient(conn), triggers: eventingv1.NewTriggerServiceClient(conn),
	}
}

// dispatch runs a dispatcher on the engine's files in dir, and returns its ingress and its end.
func (f *fixture) dispatch(t testing.TB, dir string) (url string, stop func()) {
	t.Helper()
	ec := engine.DefaultConfig(dir)
	ec.MinFreeBytes, ec.AckWait = 0, time.Second
	e, err := engine.Open(ec, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := dispatcher.DefaultConfig()
	cfg.Grace = time.Second
	d, err := dispatcher.New(cfg, dispatcher.Deps{
		Conn: f.conn, Engine: e, Listeners: []net.Listener{l}, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run the dispatcher: %v", err)
		}
		e.Close()
	})
	t.Cleanup(stop)
	return "http://" + l.Addr().String(), stop
}

func kindOf(t testing.TB, m proto.Message) kinds.Kind {
	t.Helper()
	k, ok := kinds.ByMessage(m.ProtoReflect().Descriptor().FullName())
	if !ok {
		t.Fatalf("%T is no kind", m)
	}
	return k
}

// await waits for an object to be as wanted, by watching it.
func await[T store.Object](t testing.TB, f *fixture, name string, zero T, good func(T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	w, err := store.For[T](f.store, kindOf(t, zero)).Watch(ctx, store.WatchOptions{Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	var last T
	for e := range w.Events() {
		if e.Object.GetMetadata().GetName() != name {
			continue
		}
		if last = e.Object; e.Type != store.Deleted && good(last) {
			return last
		}
	}
	t.Fatalf("%T %s is not as it should be: %v", zero, name, last)
	return last
}

func condOf(t *eventingv1.Trigger, conditionType string) string {
	c := condition.Get(t.GetStatus().GetConditions(), conditionType)
	return c.GetStatus() + " " + c.GetReason()
}

func triggerIs(conditionType, want string) func(*eventingv1.Trigger) bool {
	return func(t *eventingv1.Trigger) bool { return strings.TrimSpace(condOf(t, conditionType)) == want }
}

func (f *fixture) broker(t testing.TB) *eventingv1.Broker {
	t.Helper()
	b, err := f.brokers.Create(f.ctx, &eventingv1.BrokerServiceCreateRequest{
		Object: &eventingv1.Broker{Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "default"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (f *fixture) trigger(t testing.TB, name string, spec *eventingv1.TriggerSpec) *eventingv1.Trigger {
	t.Helper()
	if spec.Broker == "" {
		spec.Broker = "default"
	}
	out, err := f.triggers.Create(f.ctx, &eventingv1.TriggerServiceCreateRequest{
		Object: &eventingv1.Trigger{Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: spec},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// service puts a serving Service in the store, with an address unless it is empty.
func (f *fixture) service(t testing.TB, name, address string) {
	t.Helper()
	k := kindOf(t, &servingv1.Service{})
	key := store.Key{Namespace: "shop", Name: name}
	if _, err := f.store.Get(f.ctx, k, key); apierror.IsNotFound(err) {
		if _, err := f.store.Create(f.ctx, k, &servingv1.Service{Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	if address == "" {
		return
	}
	_, err := store.For[*servingv1.Service](f.store, k).Update(f.ctx, key, "", func(s *servingv1.Service) (*servingv1.Service, error) {
		s.Status = &servingv1.ServiceStatus{Address: &servingv1.Addressable{Url: address}}
		return s, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func uri(u string) *eventingv1.Destination { return &eventingv1.Destination{Uri: u} }

func ref(apiVersion, kind, name string) *eventingv1.Destination {
	return &eventingv1.Destination{Ref: &eventingv1.KReference{ApiVersion: apiVersion, Kind: kind, Name: name}}
}

type received struct {
	path string
	id   string
}

func subscribe(t testing.TB, status func() int) (*httptest.Server, chan received) {
	t.Helper()
	got := make(chan received, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusOK
		if status != nil {
			code = status()
		}
		got <- received{r.URL.Path, r.Header.Get("Ce-Id")}
		w.WriteHeader(code)
	}))
	t.Cleanup(s.Close)
	return s, got
}

func emit(t testing.TB, url, id string) int {
	t.Helper()
	req, _ := http.NewRequest(http.MethodPost, url+"/shop/default", strings.NewReader("data"))
	for k, v := range map[string]string{"ce-specversion": "1.0", "ce-id": id, "ce-source": "/s", "ce-type": "order"} {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

func next(t testing.TB, got chan received) received {
	t.Helper()
	select {
	case r := <-got:
		return r
	case <-time.After(patience):
		t.Fatal("no event came")
		return received{}
	}
}

func TestFromBrokerToSubscriber(t *testing.T) {
	f := start(t)
	url, _ := f.dispatch(t, t.TempDir())
	f.broker(t)
	b := await(t, f, "default", &eventingv1.Broker{}, func(b *eventingv1.Broker) bool {
		return condition.IsTrue(b.GetStatus().GetConditions(), condition.Ready)
	})
	if got := b.GetStatus().GetAddress().GetUrl(); got != "http://10.0.0.1:8090/shop/default" {
		t.Errorf("address: %s", got)
	}
	if got := b.GetStatus().GetAnnotations()[controller.AnnotationLocalURL]; got != "http://127.0.0.1:8090/shop/default" {
		t.Errorf("local address: %s", got)
	}
	if b.GetStatus().GetObservedGeneration() != b.GetMetadata().GetGeneration() {
		t.Error("observedGeneration is behind")
	}

	sub, got := subscribe(t, nil)
	f.service(t, "hello", sub.URL)
	d := ref("serving.knative.dev/v1", "Service", "hello")
	d.Uri = "/events"
	f.trigger(t, "t", &eventingv1.TriggerSpec{Subscriber: d})
	tr := await(t, f, "t", &eventingv1.Trigger{}, triggerIs(condition.Ready, condition.True))
	if tr.GetStatus().GetSubscriberUri() != sub.URL+"/events" {
		t.Errorf("subscriberUri: %s", tr.GetStatus().GetSubscriberUri())
	}
	if code := emit(t, url, "1"); code != http.StatusAccepted {
		t.Fatalf("got %d", code)
	}
	if d := cmp.Diff(received{"/events", "1"}, next(t, got), cmp.AllowUnexported(received{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	if _, err := f.brokers.Delete(f.ctx, &metav1.DeleteRequest{Namespace: "shop", Name: "default"}); err != nil {
		t.Fatal(err)
	}
	await(t, f, "t", &eventingv1.Trigger{}, triggerIs(condition.Ready, "False "+controller.ReasonBrokerDoesNotExist))
	for deadline := time.Now().Add(patience); emit(t, url, "2") != http.StatusNotFound; {
		if time.Now().After(deadline) {
			t.Fatal("the ingress still knows a broker that is deleted")
		}
	}
}

func TestSubscriberThatAppears(t *testing.T) {
	f := start(t)
	url, _ := f.dispatch(t, t.TempDir())
	f.broker(t)
	f.trigger(t, "t", &eventingv1.TriggerSpec{Subscriber: ref("serving.knative.dev/v1", "Service", "late")})
	tr := await(t, f, "t", &eventingv1.Trigger{}, func(t *eventingv1.Trigger) bool {
		return triggerIs(controller.ConditionSubscriberResolved, "False "+controller.ReasonNotFound)(t) && triggerIs(controller.ConditionSubscriptionReady, "True")(t)
	})
	if m := condition.Get(tr.GetStatus().GetConditions(), condition.Ready).GetMessage(); !strings.Contains(m, "shop/late does not exist; create it") {
		t.Errorf("message: %q", m)
	}
	if code := emit(t, url, "early"); code != http.StatusAccepted {
		t.Fatalf("got %d", code)
	}
	f.service(t, "late", "")
	await(t, f, "t", &eventingv1.Trigger{}, triggerIs(controller.ConditionSubscriberResolved, "False "+controller.ReasonNoAddress))
	sub, got := subscribe(t, nil)
	f.service(t, "late", sub.URL)
	await(t, f, "t", &eventingv1.Trigger{}, triggerIs(condition.Ready, condition.True))
	if r := next(t, got); r.id != "early" {
		t.Errorf("got event %s", r.id)
	}
	if _, err := f.store.Delete(f.ctx, kindOf(t, &servingv1.Service{}), store.Key{Namespace: "shop", Name: "late"}, store.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, f, "t", &eventingv1.Trigger{}, func(t *eventingv1.Trigger) bool {
		return t.GetStatus().GetSubscriberUri() == "" && triggerIs(controller.ConditionSubscriberResolved, "False "+controller.ReasonNotFound)(t)
	})
}

func TestResolution(t *testing.T) {
	f := start(t)
	f.broker(t)
	cases := map[string]struct {
		subscriber *eventingv1.Destination
		uri        string
		resolved   string
	}{
		"uri":                {uri("https://example.com/x"), "https://example.com/x", "True"},
		"kubernetes-service": {ref("v1", "Service", "web"), "http://web.shop.svc.cluster.local", "True"},
		"broker":             {ref("eventing.knative.dev/v1", "Broker", "default"), "http://10.0.0.1:8090/shop/default", "True"},
		"other-version":      {ref("eventing.knative.dev/v1beta1", "Broker", "default"), "http://10.0.0.1:8090/shop/default", "True"},
		"not-addressable":    {ref("apps/v1", "Deployment", "web"), "", "False " + controller.ReasonNotAddressable},
		"absent":             {ref("serving.knative.dev/v1", "Route", "web"), "", "False " + controller.ReasonNotFound},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f.trigger(t, name, &eventingv1.TriggerSpec{Subscriber: tc.subscriber})
			tr := await(t, f, name, &eventingv1.Trigger{}, triggerIs(controller.ConditionSubscriberResolved, tc.resolved))
			if got := tr.GetStatus().GetSubscriberUri(); got != tc.uri {
				t.Errorf("subscriberUri: got %q, want %q", got, tc.uri)
			}
		})
	}
}

func TestDeliveryFailureIsReported(t *testing.T) {
	f := start(t)
	url, _ := f.dispatch(t, t.TempDir())
	f.broker(t)
	var mu sync.Mutex
	code := http.StatusServiceUnavailable
	sub, got := subscribe(t, func() int {
		mu.Lock()
		defer mu.Unlock()
		return code
	})
	f.trigger(t, "t", &eventingv1.TriggerSpec{
		Subscriber: uri(sub.URL),
		Delivery:   &eventingv1.DeliverySpec{Retry: new(int32(1000)), BackoffPolicy: new("linear"), BackoffDelay: new("PT0.01S")},
	})
	await(t, f, "t", &eventingv1.Trigger{}, triggerIs(condition.Ready, condition.True))
	emit(t, url, "1")
	next(t, got)
	tr := await(t, f, "t", &eventingv1.Trigger{}, triggerIs(controller.ConditionDelivering, "False "+controller.ReasonDeliveryFailing))
	c := condition.Get(tr.GetStatus().GetConditions(), controller.ConditionDelivering)
	if !strings.Contains(c.GetMessage(), "503") || c.GetSeverity() != "Warning" || !condition.IsTrue(tr.GetStatus().GetConditions(), condition.Ready) {
		t.Errorf("got %v", tr.GetStatus())
	}
	mu.Lock()
	code = http.StatusOK
	mu.Unlock()
	await(t, f, "t", &eventingv1.Trigger{}, triggerIs(controller.ConditionDelivering, "True"))
}

func TestDeadLetterSinkOfTheBroker(t *testing.T) {
	f := start(t)
	url, _ := f.dispatch(t, t.TempDir())
	dead, letters := subscribe(t, nil)
	failing, _ := subscribe(t, func() int { return http.StatusBadRequest })
	_, err := f.brokers.Create(f.ctx, &eventingv1.BrokerServiceCreateRequest{Object: &eventingv1.Broker{
		Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "default"},
		Spec: &eventingv1.BrokerSpec{Delivery: &eventingv1.DeliverySpec{
			Retry: new(int32(0)), DeadLetterSink: ref("serving.knative.dev/v1", "Service", "dead"),
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	f.trigger(t, "t", &eventingv1.TriggerSpec{Subscriber: uri(failing.URL)})
	await(t, f, "t", &eventingv1.Trigger{}, func(t *eventingv1.Trigger) bool {
		return triggerIs(controller.ConditionDeadLetterSinkResolved, "False "+controller.ReasonNotFound)(t) && triggerIs(controller.ConditionSubscriptionReady, "True")(t)
	})
	emit(t, url, "1") // waits, since it would be lost
	f.service(t, "dead", dead.URL)
	tr := await(t, f, "t", &eventingv1.Trigger{}, triggerIs(condition.Ready, "True"))
	if tr.GetStatus().GetDeadLetterSinkUri() != dead.URL {
		t.Errorf("deadLetterSinkUri: %s", tr.GetStatus().GetDeadLetterSinkUri())
	}
	if r := next(t, letters); r.id != "1" {
		t.Errorf("got event %s", r.id)
	}
	await(t, f, "default", &eventingv1.Broker{}, func(b *eventingv1.Broker) bool {
		return b.GetStatus().GetDeadLetterSinkUri() == dead.URL && condition.IsTrue(b.GetStatus().GetConditions(), condition.Ready)
	})
}

func TestWithoutDispatcher(t *testing.T) {
	f := start(t)
	dir := t.TempDir()
	_, stop := f.dispatch(t, dir)
	f.broker(t)
	ready := func(want string) func(*eventingv1.Broker) bool {
		return func(b *eventingv1.Broker) bool {
			c := condition.Get(b.GetStatus().GetConditions(), condition.Ready)
			return strings.TrimSpace(c.GetStatus()+" "+c.GetReason()) == want
		}
	}
	await(t, f, "default", &eventingv1.Broker{}, ready("True"))
	stop()
	await(t, f, "default", &eventingv1.Broker{}, ready("False "+controller.ReasonDispatcherAway))
	f.dispatch(t, dir)
	await(t, f, "default", &eventingv1.Broker{}, ready("True"))
}

func TestDefaults(t *testing.T) {
	f := start(t)
	b := f.broker(t)
	want := &eventingv1.DeliverySpec{Retry: new(int32(10)), BackoffPolicy: new("exponential"), BackoffDelay: new("PT0.2S")}
	if !proto.Equal(want, b.GetSpec().GetDelivery()) {
		t.Errorf("delivery: got %v", b.GetSpec().GetDelivery())
	}
	tr, err := f.triggers.Create(f.ctx, &eventingv1.TriggerServiceCreateRequest{Object: &eventingv1.Trigger{
		Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "t"},
		Spec:     &eventingv1.TriggerSpec{Subscriber: ref("v1", "Service", "web")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if tr.GetSpec().GetBroker() != "default" || tr.GetSpec().GetSubscriber().GetRef().GetNamespace() != "shop" ||
		tr.GetMetadata().GetLabels()["eventing.knative.dev/broker"] != "default" || tr.GetMetadata().GetAnnotations()["eventing.knative.dev/creator"] != "alice" {
		t.Errorf("got %v", tr)
	}
	bob := metadata.AppendToOutgoingContext(f.ctx)
	tr.Spec.Filter = &eventingv1.TriggerFilter{Attributes: map[string]string{"type": "x"}}
	tr.Metadata.Annotations = map[string]string{"eventing.knative.dev/creator": "mallory"}
	tr.Metadata.ResourceVersion = "" // whatever the controller wrote since
	tr, err = f.triggers.Update(bob, &eventingv1.TriggerServiceUpdateRequest{Object: tr})
	if err != nil || tr.GetMetadata().GetAnnotations()["eventing.knative.dev/creator"] != "alice" || tr.GetMetadata().GetGeneration() != 2 {
		t.Errorf("update: got %v, %v", tr, err)
	}
}

func TestValidationNamesEveryFault(t *testing.T) {
	f := start(t)
	f.broker(t)
	tr := f.trigger(t, "t", &eventingv1.TriggerSpec{Subscriber: uri("http://example.com")})
	bothWays := ref("v1", "Service", "x")
	bothWays.Uri = "http://example.com"
	create := func(spec *eventingv1.TriggerSpec) error {
		_, err := f.triggers.Create(f.ctx, &eventingv1.TriggerServiceCreateRequest{Object: &eventingv1.Trigger{Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "bad"}, Spec: spec}})
		return err
	}
	cases := map[string]struct {
		err  error
		want []string
	}{
		"trigger": {
			create(&eventingv1.TriggerSpec{
				Filter:     &eventingv1.TriggerFilter{Attributes: map[string]string{"Type": "x", "my-ext": "y", "ok1": "z"}},
				Subscriber: uri("/relative"),
				Delivery: &eventingv1.DeliverySpec{
					BackoffDelay: new("5s"), Timeout: new("P1Y"), BackoffPolicy: new("fast"), Retry: new(int32(-1)),
					DeadLetterSink: bothWays,
				},
			}),
			[]string{
				"spec.delivery.backoffDelay", "spec.delivery.backoffPolicy", "spec.delivery.deadLetterSink.uri", "spec.delivery.retry",
				"spec.delivery.timeout", "spec.filter.attributes[Type]", "spec.filter.attributes[my-ext]", "spec.subscriber.uri",
			},
		},
		"no subscriber": {create(&eventingv1.TriggerSpec{}), []string{"spec.subscriber"}},
		"empty subscriber": {
			create(&eventingv1.TriggerSpec{Subscriber: &eventingv1.Destination{}}), []string{"spec.subscriber"},
		},
		"incomplete ref": {
			create(&eventingv1.TriggerSpec{Subscriber: &eventingv1.Destination{Ref: &eventingv1.KReference{Name: "x"}}}),
			[]string{"spec.subscriber.ref.apiVersion", "spec.subscriber.ref.kind"},
		},
		"other broker": {
			func() error {
				other := proto.CloneOf(tr)
				other.Spec.Broker, other.Metadata.ResourceVersion = "second", ""
				_, err := f.triggers.Update(f.ctx, &eventingv1.TriggerServiceUpdateRequest{Object: other})
				return err
			}(),
			[]string{"spec.broker"},
		},
		"broker's class": {
			func() error {
				_, err := f.brokers.Create(f.ctx, &eventingv1.BrokerServiceCreateRequest{Object: &eventingv1.Broker{
					Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "bad", Annotations: map[string]string{"eventing.knative.dev/broker.class": "Kafka"}},
					Spec:     &eventingv1.BrokerSpec{Delivery: &eventingv1.DeliverySpec{Timeout: new("soon")}},
				}})
				return err
			}(),
			[]string{"metadata.annotations[eventing.knative.dev/broker.class]", "spec.delivery.timeout"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.err == nil {
				t.Fatal("taken")
			}
			e := apierror.FromStatus(tc.err)
			got := make([]string, 0, len(e.Causes))
			for _, c := range e.Causes {
				got = append(got, c.Field)
			}
			slices.Sort(got)
			if d := cmp.Diff(tc.want, slices.Compact(got)); d != "" || e.Reason != apierror.ReasonInvalid {
				t.Errorf("%s %s (-want +got):\n%s", e.Reason, e.Message, d)
			}
		})
	}
	_, err := f.brokers.Create(f.ctx, &eventingv1.BrokerServiceCreateRequest{Object: &eventingv1.Broker{
		Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "known-class", Annotations: map[string]string{"eventing.knative.dev/broker.class": "MTChannelBasedBroker"}},
	}})
	if err != nil {
		t.Errorf("a class that existing documents name: %v", err)
	}
}
