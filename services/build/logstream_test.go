// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// informerOf is an informer that knows one pod and never hears of another.
func informerOf(p *corev1.Pod) cache.SharedIndexInformer {
	i := cache.NewSharedIndexInformer(nil, &corev1.Pod{}, 0, cache.Indexers{})
	_ = i.GetIndexer().Add(p)
	return i
}

// TestLogSurvivesBrokenConnections has a server that breaks off in the middle of a log, and, as Kubernetes does, begins
// again at the second that it is asked for.
func TestLogSurvivesBrokenConnections(t *testing.T) {
	lines := []string{
		"2026-01-01T00:00:01.1Z a", "2026-01-01T00:00:01.2Z b", "2026-01-01T00:00:01.2Z c", "2026-01-01T00:00:01.2Z d", "2026-01-01T00:00:02Z ", "2026-01-01T00:00:03Z e",
	}
	for breakAfter := range lines {
		t.Run(strconv.Itoa(breakAfter), func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				from := 0
				if since := r.URL.Query().Get("sinceTime"); since != "" {
					for from < len(lines) && lines[from] < strings.TrimSuffix(since, "Z") {
						from++
					}
				}
				asked++
				for i, l := range lines[from:] {
					if asked == 1 && i == breakAfter {
						w.(http.Flusher).Flush()
						panic(http.ErrAbortHandler)
					}
					fmt.Fprintln(w, l)
				}
			}))
			t.Cleanup(server.Close)
			client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
			c := containerLog{pods: client.CoreV1().Pods("shop"), pod: "p", container: "c", follow: true}
			w := &buildWatch{namespace: "shop", name: "p", informer: informerOf(&corev1.Pod{ObjectMeta: kmetav1.ObjectMeta{Namespace: "shop", Name: "p"}})}
			var got strings.Builder
			err = c.copy(context.Background(), w, func(data []byte) error {
				got.Write(data)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := "a\nb\nc\nd\n\ne\n"; got.String() != want {
				t.Errorf("log %q after %d connections, want %q", got.String(), asked, want)
			}
		})
	}
}

func TestLogWithoutLineEnd(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "2026-01-01T00:00:01Z "+strings.Repeat("x", 3*logPiece))
	}))
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	c := containerLog{pods: client.CoreV1().Pods("shop"), pod: "p", container: "c"}
	n := 0
	if err := c.copy(context.Background(), &buildWatch{}, func(data []byte) error { n += len(data); return nil }); err != nil {
		t.Fatal(err)
	}
	if n != 3*logPiece {
		t.Errorf("%d bytes, want %d", n, 3*logPiece)
	}
}
