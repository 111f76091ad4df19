// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The steps of probes. A pod that has just got its address often answers within milliseconds, and a lost packet must not
// cost the second after which TCP sends it again.
const (
	firstPause     = 2 * time.Millisecond
	longestPause   = 100 * time.Millisecond
	connectTimeout = 100 * time.Millisecond
	slowAfter      = 50 // tries, after which the network is taken to be slow rather than not there yet
	slowTimeout    = time.Second
	answerTimeout  = time.Second
)

// prober finds out whether a pod answers.
type prober struct {
	ctx    context.Context //nolint:containedctx // probes outlive the requests that ask for them, and end with the router
	start  func(func())    // runs a probe beside what goes on, and waits for it at the end
	client func(h2c bool) http.RoundTripper
}

// probe starts to probe the pods that nobody says are ready, if a request waits. The caller holds the lock.
func (b *backend) probe() {
	if b.waiters.Len() == 0 {
		return
	}
	for _, p := range b.pods {
		if p.usable() || p.probing || p.removed {
			continue
		}
		p.probing = true
		path, h2c := b.probePath, b.settings.h2c
		b.env.prober.start(func() { b.prove(p, path, h2c) })
	}
}

// prove probes a pod until it answers, goes, or nobody waits for it any more.
func (b *backend) prove(p *pod, path string, h2c bool) {
	pause := firstPause
	for try := 0; ; try++ {
		ok := b.env.prober.answers(p.address, path, h2c, try >= slowAfter)
		if b.proved(p, ok) {
			return
		}
		select {
		case <-time.After(pause):
		case <-b.env.prober.ctx.Done():
			return
		}
		pause = min(pause*3/2, longestPause)
	}
}

// proved takes the result of a probe over and tells whether it was the last one.
func (b *backend) proved(p *pod, ok bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ok {
		p.proven, p.suspect, p.provenAt = true, false, b.env.now()
	}
	if ok || p.removed || p.usable() || b.waiters.Len() == 0 || b.env.prober.ctx.Err() != nil {
		p.probing = false
		b.dispatch()
		return true
	}
	return false
}

// answers tells whether a pod accepts connections and, where a path is given, answers there with success.
func (p prober) answers(address, path string, h2c, slow bool) bool {
	timeout := connectTimeout
	if slow {
		timeout = slowTimeout
	}
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(p.ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	if path == "" {
		return true
	}
	ctx, cancel := context.WithTimeout(p.ctx, answerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s%s", address, path), http.NoBody)
	if err != nil {
		return false
	}
	req.Header.Set("User-Agent", "fairlead-router")
	resp, err := p.client(h2c).RoundTrip(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode >= http.StatusOK && resp.StatusCode < http.StatusBadRequest
}
