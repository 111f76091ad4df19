// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"

	"fairlead.dev/services/eventing/cloudevent"
)

func TestPause(t *testing.T) {
	cases := map[string]struct {
		policy string
		tries  int
		want   time.Duration
	}{
		"exponential, first":  {"exponential", 1, 200 * time.Millisecond},
		"exponential, third":  {"exponential", 3, 800 * time.Millisecond},
		"exponential, bound":  {"exponential", 1000, 10 * time.Minute},
		"linear, first":       {"linear", 1, 200 * time.Millisecond},
		"linear, third":       {"linear", 3, 600 * time.Millisecond},
		"exponential unnamed": {"", 2, 400 * time.Millisecond},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := pause(&eventingv1.TriggerConfig{BackoffPolicy: tc.policy, BackoffDelayMs: 200}, tc.tries, 10*time.Minute); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-1": 0, "soon": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:00:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

// serveDNS answers each question for an IPv4 address by 127.0.0.1, and passes the name on.
func serveDNS(t *testing.T) (address string, asked <-chan string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	names, done := make(chan string, 10), make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Header.Response, m.Header.Authoritative, m.Additionals = true, true, nil
			if q.Type == dnsmessage.TypeA {
				names <- q.Name.String()
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			answer, err := m.Pack()
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(answer, from)
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return conn.LocalAddr().String(), names
}

func TestNamesOfTheCluster(t *testing.T) {
	hosts := make(chan string, 10)
	sub := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host }))
	defer sub.Close()
	_, port, _ := net.SplitHostPort(sub.Listener.Addr().String())
	cfg := DefaultConfig()
	var asked <-chan string
	cfg.ClusterDNS, asked = serveDNS(t)
	s := newSender(cfg)
	defer s.close()
	for _, host := range []string{"web.shop.svc.cluster.local", "web.shop.localhost"} {
		a := s.send(context.Background(), "http://"+host+":"+port, cloudevent.New("1", "/s", "t"), envelope{hops: 2}, 10*time.Second)
		if a.failure != nil {
			t.Fatalf("%s: %s", host, a.failure.reason)
		}
		if got := <-hosts; got != host+":"+port {
			t.Errorf("host: got %s, want %s", got, host)
		}
	}
	if got := <-asked; got != "web.shop.svc.cluster.local." {
		t.Errorf("the cluster's DNS was asked for %s", got)
	}
	if len(asked) > 0 {
		t.Errorf("the cluster's DNS was asked for %s too", <-asked)
	}
}
