// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"

	"fairlead.dev/services/eventing/dispatcher"
)

func TestEveryModeIsDelivered(t *testing.T) {
	sub := subscribe(t, nil)
	s := start(t, newControl(), t.TempDir(), nil)
	s.set(broker(trigger("t-1", sub.URL)))
	s.await(t, "t-1", ready)

	event := func(id string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"/s","type":"order","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{"n":1}}`
	}
	cases := []struct {
		name, body string
		header     []string
		ids        []string
		data       string
	}{
		{"binary", "hi", []string{"ce-specversion", "1.0", "ce-id", "b", "ce-source", "/s", "ce-type", "order", "content-type", "text/plain", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, []string{"b"}, "hi"},
		{"structured", event("s"), []string{"content-type", "application/cloudevents+json"}, []string{"s"}, `{"n":1}`},
		{"batched", "[" + event("x") + "," + event("y") + "]", []string{"content-type", "application/cloudevents-batch+json"}, []string{"x", "y"}, `{"n":1}`},
		{"empty batch", "[]", []string{"content-type", "application/cloudevents-batch+json"}, nil, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if code, text, _ := post(t, s.url+"/shop/default", tc.body, tc.header...); code != http.StatusAccepted {
				t.Fatalf("got %d %s", code, text)
			}
			var ids []string
			for range tc.ids {
				r := sub.next(t)
				ids = append(ids, r.header.Get("Ce-Id"))
				if r.body != tc.data || r.header.Get("Ce-Type") != "order" {
					t.Errorf("got %q with %v, want %q", r.body, r.header, tc.data)
				}
				if got := r.header.Get("Traceparent"); got != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" {
					t.Errorf("traceparent: got %q", got)
				}
				if r.header.Get("Ce-Knativebrokerttl") != "" {
					t.Error("the subscriber sees how many hops are left")
				}
			}
			slices.Sort(ids)
			if d := cmp.Diff(tc.ids, ids); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestFilter(t *testing.T) {
	orders, all := subscribe(t, nil), subscribe(t, nil)
	s := start(t, newControl(), t.TempDir(), nil)
	filtered := trigger("t-orders", orders.URL)
	filtered.Attributes = map[string]string{"type": "order", "region": "eu"}
	s.set(broker(filtered, trigger("t-all", all.URL)))
	s.await(t, "t-orders", ready)
	s.await(t, "t-all", ready)

	s.emit(t, "1", "ce-region", "us")
	s.emit(t, "2", "ce-type", "invoice", "ce-region", "eu")
	s.emit(t, "3", "ce-region", "eu")
	if got := orders.next(t).header.Get("Ce-Id"); got != "3" {
		t.Errorf("the filter let %s through, want 3 only", got)
	}
	for range 3 {
		all.next(t)
	}
}

func TestSubscriberThatComesBack(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close() // nobody is there
	s := start(t, newControl(), t.TempDir(), nil)
	tc := trigger("t-1", "http://"+address)
	tc.Retry = 100
	tc.BackoffPolicy = "linear"
	s.set(broker(tc))
	s.await(t, "t-1", ready)
	s.emit(t, "1")
	s.await(t, "t-1", func(st *eventingv1.DispatchState) bool {
		return strings.Contains(st.GetDeliveryError(), "connection refused") && st.GetPending() == 1
	})

	l, err = net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	sub := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("Ce-Id")
	})}}
	sub.Start()
	defer sub.Close()
	select {
	case id := <-got:
		if id != "1" {
			t.Errorf("got event %s", id)
		}
	case <-time.After(patience):
		t.Fatal("the event did not come again")
	}
	s.await(t, "t-1", func(st *eventingv1.DispatchState) bool { return st.GetDeliveryError() == "" && st.GetPending() == 0 })
}

func TestRetriesByStatus(t *testing.T) {
	cases := map[int]int{ // status: requests, with two retries
		200: 1, 202: 1, 301: 1, 400: 1, 403: 1, 413: 1,
		404: 3, 408: 3, 409: 3, 429: 3, 500: 3, 503: 3,
	}
	for code, want := range cases {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			sub := subscribe(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(code)
				_, _ = w.Write([]byte("two\nlines \x00 of reasons"))
			})
			dead := subscribe(t, nil)
			s := start(t, newControl(), t.TempDir(), nil)
			tc := trigger("t-1", sub.URL)
			tc.Retry, tc.DeadLetterSinkUri = 2, dead.URL
			s.set(broker(tc))
			s.await(t, "t-1", ready)
			s.emit(t, "1")
			for range want {
				sub.next(t)
			}
			if code < 300 {
				s.emit(t, "2")
				if got := sub.next(t).header.Get("Ce-Id"); got != "2" {
					t.Errorf("event %s came again after %d", got, code)
				}
				return
			}
			r := dead.next(t)
			got := map[string]string{
				"id": r.header.Get("Ce-Id"), "dest": r.header.Get("Ce-Knativeerrordest"), "code": r.header.Get("Ce-Knativeerrorcode"),
				"data": r.header.Get("Ce-Knativeerrordata"), "body": r.body,
			}
			expected := map[string]string{
				"id": "1", "dest": sub.URL, "code": strconv.Itoa(code), "data": "two%20lines%20%20%20of%20reasons", "body": "data of 1",
			}
			if d := cmp.Diff(expected, got); d != "" {
				t.Errorf("dead letter (-want +got):\n%s", d)
			}
			if n := len(sub.got); n != 0 {
				t.Errorf("%d requests too many", n)
			}
			s.await(t, "t-1", func(st *eventingv1.DispatchState) bool {
				return strings.Contains(st.GetDeliveryError(), strconv.Itoa(code))
			})
		})
	}
}

func TestDeadLetterSinkThatComesBack(t *testing.T) {
	sub := subscribe(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	var tries atomic.Int32
	dead := subscribe(t, func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) <= 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	s := start(t, newControl(), t.TempDir(), nil)
	tc := trigger("t-1", sub.URL)
	tc.Retry, tc.DeadLetterSinkUri = 0, dead.URL
	s.set(broker(tc))
	s.await(t, "t-1", ready)
	s.emit(t, "1")
	for range 4 {
		dead.next(t)
	}
	s.await(t, "t-1", func(st *eventingv1.DispatchState) bool { return st.GetPending() == 0 && st.GetDeliveryError() != "" })
	if n := len(sub.got); n != 1 {
		t.Errorf("the subscriber got the event %d times, want once", n)
	}
}

func TestDroppedWithoutSink(t *testing.T) {
	sub := subscribe(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Ce-Id") == "bad" {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	s := start(t, newControl(), t.TempDir(), nil)
	s.set(broker(trigger("t-1", sub.URL)))
	s.await(t, "t-1", ready)
	s.emit(t, "bad")
	s.await(t, "t-1", func(st *eventingv1.DispatchState) bool { return strings.Contains(st.GetDeliveryError(), "dropped") })
	s.emit(t, "good")
	s.await(t, "t-1", func(st *eventingv1.DispatchState) bool { return st.GetDeliveryError() == "" })
	if n := len(sub.got); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	var first time.Time
	var once sync.Once
	sub := subscribe(t, func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() {
			first = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		})
	})
	s := start(t, newControl(), t.TempDir(), nil)
	s.set(broker(trigger("t-1", sub.URL)))
	s.await(t, "t-1", ready)
	s.emit(t, "1")
	sub.next(t)
	sub.next(t)
	if took := time.Since(first); took < time.Second {
		t.Errorf("tried again after %s, and the subscriber asked for a second", took)
	}
}

func TestReplyGoesToTheBroker(t *testing.T) {
	answering := subscribe(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Ce-Specversion", "1.0")
		h.Set("Ce-Id", r.Header.Get("Ce-Id")) // the same id and source, as functions often answer
		h.Set("Ce-Source", r.Header.Get("Ce-Source"))
		h.Set("Ce-Type", "answer")
		h.Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("reply"))
	})
	replies := subscribe(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"ok":true}`)) // an answer that is no event
	})
	s := start(t, newControl(), t.TempDir(), nil)
	a, b := trigger("t-a", answering.URL), trigger("t-b", replies.URL)
	a.Attributes, b.Attributes = map[string]string{"type": "order"}, map[string]string{"type": "answer"}
	s.set(broker(a, b))
	s.await(t, "t-a", ready)
	s.await(t, "t-b", ready)
	s.emit(t, "1")
	if r := replies.next(t); r.body != "reply" || r.header.Get("Ce-Id") != "1" || r.header.Get("Fairlead-Hops") != "253" {
		t.Errorf("reply: got %q with %v", r.body, r.header)
	}
}

func TestLoopOfRepliesEnds(t *testing.T) {
	echo := subscribe(t, func(w http.ResponseWriter, r *http.Request) {
		for _, k := range []string{"Ce-Specversion", "Ce-Id", "Ce-Source", "Ce-Type"} {
			w.Header()[k] = r.Header[k]
		}
	})
	s := start(t, newControl(), t.TempDir(), nil)
	s.set(broker(trigger("t-1", echo.URL)))
	s.await(t, "t-1", ready)
	s.emit(t, "1", "ce-knativebrokerttl", "4")
	for range 4 {
		echo.next(t)
	}
	s.emit(t, "end", "ce-knativebrokerttl", "1")
	if got := echo.next(t).header.Get("Ce-Id"); got != "end" {
		t.Errorf("event %s goes on after its hops", got)
	}
	code, text, _ := post(t, s.url+"/shop/default", "", "ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t", "fairlead-hops", "0")
	if code != http.StatusBadRequest || !strings.Contains(text, "loop") {
		t.Errorf("an event without hops: got %d %s", code, text)
	}
}

func TestSlowSubscriberHoldsUpNobody(t *testing.T) {
	release := make(chan struct{})
	slow := subscribe(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	fast := subscribe(t, nil)
	s := start(t, newControl(), t.TempDir(), func(c *dispatcher.Config) { c.Concurrency = 4 })
	s.set(broker(trigger("t-slow", slow.URL), trigger("t-fast", fast.URL)))
	s.await(t, "t-slow", ready)
	s.await(t, "t-fast", ready)
	for i := range 30 {
		s.emit(t, strconv.Itoa(i))
	}
	for range 30 {
		fast.next(t)
	}
	if n := len(slow.got); n > 4 {
		t.Errorf("%d events at a time, want 4 at most", n)
	}
}

func TestAcceptedEventsAreDeliveredAcrossRestart(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	sub := subscribe(t, func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	c, dir := newControl(), t.TempDir()
	tc := trigger("t-1", sub.URL)
	tc.Retry, tc.BackoffDelayMs, tc.BackoffPolicy = 1000, 50, "linear"
	c.set(broker(tc))
	s := start(t, c, dir, nil)
	s.await(t, "t-1", ready)
	const n = 50
	for i := range n {
		s.emit(t, strconv.Itoa(i))
	}
	sub.next(t) // deliveries are under way
	s.stop()
	down.Store(false)
	start(t, c, dir, nil)

	seen := map[string]bool{}
	for len(seen) < n {
		seen[sub.next(t).header.Get("Ce-Id")] = true
	}
	for i := range n {
		if !seen[strconv.Itoa(i)] {
			t.Errorf("event %d is lost", i)
		}
	}
}

func TestEventsWaitForASubscriber(t *testing.T) {
	sub := subscribe(t, nil)
	s := start(t, newControl(), t.TempDir(), nil)
	s.set(broker(trigger("t-1", "")))
	s.await(t, "t-1", ready)
	s.emit(t, "1")
	s.set(broker(trigger("t-1", sub.URL)))
	if got := sub.next(t).header.Get("Ce-Id"); got != "1" {
		t.Errorf("got event %s", got)
	}
	s.set(broker(trigger("t-1", "")))
	s.emit(t, "2")
	other := subscribe(t, nil)
	s.set(broker(trigger("t-1", other.URL)))
	if got := other.next(t).header.Get("Ce-Id"); got != "2" {
		t.Errorf("the new subscriber got event %s", got)
	}
}

func TestDeletedBrokersAndTriggersGo(t *testing.T) {
	sub := subscribe(t, nil)
	c, dir := newControl(), t.TempDir()
	second := &eventingv1.BrokerConfig{Uid: "b-2", Namespace: "shop", Name: "second"}
	c.set(broker(trigger("t-1", sub.URL), trigger("t-2", sub.URL)), second)
	s := start(t, c, dir, nil)
	for _, uid := range []string{"t-1", "t-2", "b-2"} {
		s.await(t, uid, ready)
	}
	gone := func(st *eventingv1.DispatchState) bool { return st == nil }
	c.set(broker(trigger("t-1", sub.URL)), second)
	s.await(t, "t-2", gone)
	if got, err := s.engine.Consumers(t.Context(), "b-1"); err != nil || !slices.Equal(got, []string{"t-1"}) {
		t.Errorf("consumers: got %v, %v", got, err)
	}
	c.set(broker(trigger("t-1", sub.URL)))
	s.await(t, "b-2", gone)
	if code, _, _ := post(t, s.url+"/shop/second", "", "ce-id", "1"); code != http.StatusNotFound {
		t.Errorf("post to a deleted broker: %d", code)
	}
	s.stop()

	// The rest goes while no dispatcher is there.
	c.set(&eventingv1.BrokerConfig{Uid: "b-3", Namespace: "shop", Name: "default"})
	s = start(t, c, dir, func(c *dispatcher.Config) { c.OrphanGrace = 0 })
	s.await(t, "b-3", ready)
	if got, err := s.engine.Streams(t.Context()); err != nil || !slices.Equal(got, []string{"b-3"}) {
		t.Errorf("streams: got %v, %v", got, err)
	}
}

func TestOlderConfigurationIsLeftOut(t *testing.T) {
	c := newControl()
	c.config.Version = 10
	c.set(broker())
	s := start(t, c, t.TempDir(), nil)
	s.await(t, "b-1", ready)
	c.update(func() { c.config = &eventingv1.DispatcherServiceSyncResponse{Version: 3} })
	c.update(func() {
		c.config = &eventingv1.DispatcherServiceSyncResponse{Version: 12, Brokers: []*eventingv1.BrokerConfig{broker(trigger("t-1", ""))}}
	})
	s.await(t, "t-1", ready)
	if _, err := s.engine.Consumers(t.Context(), "b-1"); err != nil {
		t.Error(err)
	}
}

func TestIngressRefuses(t *testing.T) {
	s := start(t, newControl(), t.TempDir(), nil)
	event := []string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"}
	await := func(code int) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; {
			got, _, h := post(t, s.url+"/shop/default", "", event...)
			if got == code {
				return
			}
			if got == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
				t.Fatal("503 without Retry-After")
			}
			if time.Now().After(deadline) {
				t.Fatalf("got %d, want %d", got, code)
			}
		}
	}
	await(http.StatusNotFound) // once the first, empty configuration is there
	s.set(broker())
	await(http.StatusAccepted)

	large := strings.Repeat("x", 1<<20+1)
	cases := map[string]struct {
		path, body string
		header     []string
		code       int
		text       string
	}{
		"unknown broker":    {"/shop/other", "", event, 404, "other"},
		"no broker":         {"/shop", "", event, 404, "/NAMESPACE/BROKER"},
		"too deep":          {"/shop/default/x", "", event, 404, "/NAMESPACE/BROKER"},
		"no event":          {"/shop/default", "{}", []string{"content-type", "application/json"}, 400, "ce-specversion"},
		"faults":            {"/shop/default", "", []string{"ce-specversion", "1.0", "ce-id", "1"}, 400, "source"},
		"batch with faults": {"/shop/default", `[{"specversion":"1.0","id":"1","source":"/s","type":"t"},{}]`, []string{"content-type", "application/cloudevents-batch+json"}, 400, "event 1: "},
		"unknown format":    {"/shop/default", "", []string{"content-type", "application/cloudevents+protobuf"}, 415, "JSON"},
		"too large":         {"/shop/default", large, event, 413, "1048576"},
		"too many": {
			"/shop/default", "[" + strings.Repeat(`{"specversion":"1.0","id":"1","source":"/s","type":"t"},`, 1000) + `{"specversion":"1.0","id":"1","source":"/s","type":"t"}]`,
			[]string{"content-type", "application/cloudevents-batch+json"}, 413, "1000",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			code, text, _ := post(t, s.url+tc.path, tc.body, tc.header...)
			if code != tc.code || !strings.Contains(text, tc.text) {
				t.Errorf("got %d %s, want %d with %q", code, text, tc.code, tc.text)
			}
		})
	}
	resp, err := http.Get(s.url + "/shop/default")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") == "" {
		t.Errorf("GET: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}

	s.engine.Close()
	code, text, h := post(t, s.url+"/shop/default", "", event...)
	if code != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
		t.Errorf("with the storage away: got %d %s, Retry-After %q", code, text, h.Get("Retry-After"))
	}
}

func TestWebhookHandshake(t *testing.T) {
	s := start(t, newControl(), t.TempDir(), nil)
	req, _ := http.NewRequest(http.MethodOptions, s.url+"/shop/default", nil)
	req.Header.Set("Webhook-Request-Origin", "events.example")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := fmt.Sprint(resp.StatusCode, resp.Header.Get("Webhook-Allowed-Origin")); got != "200events.example" {
		t.Errorf("got %s", got)
	}
}
