// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package build_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"fairlead.dev/services/internal/condition"
)

// line is a TCP line to kube-apiserver that can be cut.
type line struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
}

// newLine makes a line to the cluster of config, and a configuration that goes over it.
func newLine(t *testing.T, config *rest.Config) (*line, *rest.Config) {
	t.Helper()
	u, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{target: u.Host, conns: map[net.Conn]struct{}{}}
	if l.listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	l.wg.Go(l.serve)
	t.Cleanup(func() {
		_ = l.listener.Close()
		l.set(true)
		l.wg.Wait()
	})
	over := rest.CopyConfig(config)
	over.Host, over.ServerName = "https://"+l.listener.Addr().String(), u.Hostname()
	return l, over
}

// set cuts the line, or restores it.
func (l *line) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for c := range l.conns {
			_ = c.Close()
		}
		clear(l.conns)
	}
}

func (l *line) serve() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", l.target)
		l.mu.Lock()
		if err != nil || l.cut {
			_ = client.Close()
			if server != nil {
				_ = server.Close()
			}
		} else {
			l.conns[client], l.conns[server] = struct{}{}, struct{}{}
			for _, ends := range [][2]net.Conn{{client, server}, {server, client}} {
				l.wg.Go(func() {
					_, _ = io.Copy(ends[0], ends[1])
					_ = ends[0].Close()
					_ = ends[1].Close()
				})
			}
		}
		l.mu.Unlock()
	}
}

// outage is how long kube-apiserver stays away: 30 seconds where time is given, a few otherwise.
func outage() time.Duration {
	if os.Getenv("FAIRLEAD_SOAK") != "" {
		return 30 * time.Second
	}
	return 4 * time.Second
}

// TestClusterAway has kube-apiserver go while builds begin, run and are deleted. Once it is back, each build that is there
// has run to its end, in one pod, and what was deleted leaves none.
func TestClusterAway(t *testing.T) {
	p := newPlatform(t, nil)
	p.stop()
	l, over := newLine(t, p.cluster.config)
	c := *p.cluster
	c.config = over
	p.cluster = &c
	p.start()
	const before, during = 3, 4
	create := func(name string) {
		p.create("metadata: {name: " + name + "}\nspec: {steps: [{name: one, image: TOOL}, {name: two, image: TOOL}]}")
	}
	p.create("metadata: {name: deleted}\nspec: {steps: [{name: one, image: TOOL, args: [wait]}]}")
	p.awaitReason("deleted", "Running")
	for i := range before {
		create(fmt.Sprintf("before-%d", i))
	}
	l.set(true)
	began := time.Now()
	p.remove("deleted")
	for i := range during {
		create(fmt.Sprintf("during-%d", i))
	}
	<-time.After(outage() - time.Since(began)) // the fault itself, not a wait for anything
	l.set(false)
	back := time.Now()
	for i := range before + during {
		name := fmt.Sprintf("before-%d", i)
		if i >= before {
			name = fmt.Sprintf("during-%d", i-before)
		}
		if got := outcome(p.awaitEnd(name)); got.GetStatus() != condition.True {
			t.Errorf("%s: condition %v", name, got)
		}
	}
	t.Logf("all builds have ended %s after kube-apiserver was back", time.Since(back).Round(time.Millisecond))
	p.awaitPods("one for each build that is there", func(pods []corev1.Pod) bool { return len(pods) == before+during })
}
