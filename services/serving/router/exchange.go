// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"sync/atomic"
	"time"
)

// How requests end that no pod has answered.
var (
	errTimeout = errors.New("the answer took longer than the revision's timeoutSeconds")
	errStart   = errors.New("no answer began within the revision's responseStartTimeoutSeconds")
	errIdle    = errors.New("no byte was sent or received for the revision's idleTimeoutSeconds")
	errQueue   = errors.New("no pod became ready in time")
	errDrain   = errors.New("the router shuts down")
)

// flushWithin is how long bytes of an answer of known length may stay with the router. Streams are passed on at once.
const flushWithin = 20 * time.Millisecond

// statusClientGone is what is noted for a request whose caller went away; nobody gets it.
const statusClientGone = 499

// exchange is one request on its way to a pod and back. It is the transport of its own reverse proxy, so that a pod is
// chosen, and chosen again, where the request is sent.
type exchange struct {
	router  *Router
	backend *backend
	id      string
	arrived time.Time
	cold    bool // no pod could take it when it came

	settings settings
	client   *http.ResponseController
	cancel   context.CancelCauseFunc
	limits   *limits // from the moment a pod has it; nil before
	body     *onceBody
	pod      *pod
	status   int
	started  atomic.Bool // the answer has begun
}

// serve answers the request.
func (x *exchange) serve(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithCancelCause(req.Context())
	x.cancel = cancel
	x.settings = x.backend.current()
	x.client = http.NewResponseController(w)
	x.cold = x.backend.cold()
	x.backend.begin()
	stop := context.AfterFunc(x.router.draining, func() { cancel(errDrain) }) //nolint:contextcheck // ends with the router too
	defer func() {
		stop()
		x.limits.end()
		cancel(nil)
		x.giveBack()
		x.backend.end()
		if !x.backend.removed() { // its metrics are forgotten
			x.router.metrics.answered(x.backend.key, x.status, x.router.now().Sub(x.arrived))
		}
	}()
	proxy := httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		Transport:      x,
		FlushInterval:  flushWithin,
		BufferPool:     x.router.buffers,
		ErrorLog:       x.router.proxyLog,
		ModifyResponse: x.answered,
		ErrorHandler:   x.failed,
	}
	proxy.ServeHTTP(w, req.WithContext(ctx))
}

func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	pr.Out.URL.Scheme = "http"
	pr.Out.URL.Host = pr.In.Host // a pod's address is put in when one is chosen
	pr.Out.Host = pr.In.Host
	if x.router.cfg.TrustForwarded {
		pr.Out.Header["X-Forwarded-For"] = pr.In.Header["X-Forwarded-For"]
	}
	pr.SetXForwarded()
	if x.router.cfg.TrustForwarded {
		for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Host"} {
			if v := pr.In.Header.Get(name); v != "" {
				pr.Out.Header.Set(name, v)
			}
		}
	}
	pr.Out.Header.Set(requestIDHeader, x.id)
}

// RoundTrip sends the request to a pod, and to another where that one got nothing of it.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	wait, stop := context.WithDeadlineCause(req.Context(), x.arrived.Add(x.router.cfg.QueueTimeout), errQueue)
	defer stop()
	x.body = &onceBody{ReadCloser: req.Body}
	for attempt := 1; ; attempt++ {
		p, err := x.backend.acquire(wait, attempt > 1)
		if err != nil {
			return nil, err
		}
		x.pod = p
		if x.limits == nil {
			x.limits = newLimits(x.settings, x.expire)
			x.body.limits = x.limits
		}
		resp, sent, err := x.send(req, p)
		if err == nil {
			return resp, nil
		}
		x.giveBack()
		if req.Context().Err() != nil {
			return nil, context.Cause(req.Context())
		}
		x.backend.doubt(p) //nolint:contextcheck // probes are for all who wait, and end with the router
		if attempt >= x.router.cfg.MaxAttempts || !x.mayRepeat(req, sent) {
			return nil, fmt.Errorf("pod %s: %w", p.address, err)
		}
		x.router.metrics.retried(x.backend.key)
		x.router.log.InfoContext(req.Context(), "request goes to another pod", labelRevision, x.backend.key.String(),
			"pod", p.address, "request", x.id, "error", err)
	}
}

// send sends the request to one pod. sent tells, on an error, whether the pod may have got some of it.
func (x *exchange) send(req *http.Request, p *pod) (resp *http.Response, sent bool, err error) {
	var wrote atomic.Bool
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { wrote.Store(true) },
	})
	out := req.WithContext(ctx)
	u := *req.URL
	u.Host = p.address
	out.URL = &u
	if req.Body != nil && req.Body != http.NoBody {
		out.Body = x.body
	}
	resp, err = x.router.transport(x.settings.h2c).RoundTrip(out)
	return resp, wrote.Load(), err //nolint:wrapcheck // named by the caller
}

// mayRepeat tells whether sending the request again can do no harm: the pod got none of it, or getting it twice means
// nothing; and nothing of its body has been read.
func (x *exchange) mayRepeat(req *http.Request, sent bool) bool {
	if x.body.read.Load() {
		return false
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return !sent
}

// expire ends the request because of a limit. A caller that does not read holds the router up no longer.
func (x *exchange) expire(err error) {
	x.cancel(err)
	if x.started.Load() {
		_ = x.client.SetWriteDeadline(time.Now())
	}
}

func (x *exchange) giveBack() {
	if x.pod != nil {
		x.backend.release(x.pod)
		x.pod = nil
	}
}

// answered sees the head of the pod's answer.
func (x *exchange) answered(resp *http.Response) error {
	x.started.Store(true)
	x.status = resp.StatusCode
	resp.Header.Set(requestIDHeader, x.id)
	x.limits.answered()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.limits.upgraded()
	}
	resp.Body = x.limits.watch(resp.Body)
	if x.cold {
		x.tellColdStart()
	}
	return nil
}

// tellColdStart logs where the time of a cold start went. Serving logs the parts before the pod had an address.
func (x *exchange) tellColdStart() {
	now := x.router.now()
	x.router.metrics.coldStarted(x.backend.key, now.Sub(x.arrived))
	x.backend.mu.Lock()
	seen, proven := x.pod.seen, x.pod.provenAt
	x.backend.mu.Unlock()
	attrs := []any{labelRevision, x.backend.key.String(), "pod", x.pod.address, "request", x.id, "total", now.Sub(x.arrived)}
	if seen.After(x.arrived) {
		attrs = append(attrs, "untilAddress", seen.Sub(x.arrived))
	}
	if proven.After(seen) {
		attrs = append(attrs, "untilProbeOK", proven.Sub(seen), "untilFirstByte", now.Sub(proven))
	}
	x.router.log.Info("cold start", attrs...)
}

// failed answers in the pod's place.
func (x *exchange) failed(w http.ResponseWriter, req *http.Request, err error) {
	if cause := context.Cause(req.Context()); cause != nil {
		err = cause
	}
	name := fmt.Sprintf("revision %s of namespace %s", x.backend.key.name, x.backend.key.namespace)
	var text string
	var failure failureError
	switch {
	case errors.Is(err, errTimeout):
		x.status, text = http.StatusGatewayTimeout, fmt.Sprintf("%s: %s (%s)", name, err, x.settings.timeout)
	case errors.Is(err, errStart):
		x.status, text = http.StatusGatewayTimeout, fmt.Sprintf("%s: %s (%s)", name, err, x.settings.responseStart)
	case errors.Is(err, errIdle):
		x.status, text = http.StatusGatewayTimeout, fmt.Sprintf("%s: %s (%s)", name, err, x.settings.idle)
	case errors.Is(err, errQueueFull), errors.Is(err, errDrain):
		x.status, text = http.StatusServiceUnavailable, fmt.Sprintf("%s: %s", name, err)
		w.Header().Set("Retry-After", "1")
	case errors.Is(err, errQueue):
		x.status, text = http.StatusServiceUnavailable, fmt.Sprintf("%s: %s (%s)", name, err, x.router.cfg.QueueTimeout)
		w.Header().Set("Retry-After", "5")
	case errors.Is(err, errGone):
		x.status, text = http.StatusServiceUnavailable, fmt.Sprintf("%s: %s", name, err)
	case errors.As(err, &failure):
		x.status, text = http.StatusServiceUnavailable, fmt.Sprintf("%s cannot answer: %s", name, failure)
	case errors.Is(err, context.Canceled):
		x.status = statusClientGone
		return
	default:
		x.status, text = http.StatusBadGateway, fmt.Sprintf("%s: its pod did not answer: %s", name, err)
		x.router.log.LogAttrs(req.Context(), slog.LevelWarn, "request failed", slog.String(labelRevision, x.backend.key.String()),
			slog.String("request", x.id), slog.Any("error", err))
	}
	w.Header().Set(requestIDHeader, x.id)
	http.Error(w, text, x.status)
}

// onceBody notes that reading a request's body has begun, and leaves closing it to the proxy.
type onceBody struct {
	io.ReadCloser

	limits *limits
	read   atomic.Bool
}

// Read reads on.
func (b *onceBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	n, err := b.ReadCloser.Read(p)
	b.limits.flowed(n)
	return n, err //nolint:wrapcheck // a reader hands errors on as they are
}

// Close does nothing: a transport closes the body also when it has sent none of it.
func (b *onceBody) Close() error { return nil }
