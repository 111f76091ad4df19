// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"fairlead.dev/services/gateway/reference"
	"fairlead.dev/services/gateway/web"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/tracing"
)

const headerRequestID = "X-Request-Id"

// front sorts requests by who answers them.
type front struct {
	cfg       Config
	deps      Deps
	resources *resources
	cluster   *passThrough
	owners    *groupOwners
	discovery *discovery
	openapi   *openAPI
	apply     *applier
	identity  *identities
	openid    *openID
	reviews   *accessReviews
	web       *web.Handler
	pages     *pages
	reference *reference.Handler
	requests  *prometheus.CounterVec
	latency   *prometheus.HistogramVec
}

func newFront(ctx context.Context, cfg Config, deps Deps) (*front, error) {
	res, err := newResources(ctx, deps)
	if err != nil {
		return nil, err
	}
	ids := newIdentities(deps.Conn, deps.Clients, cfg.IdentityTTL)
	cluster, err := newPassThrough(deps, ids)
	if err != nil {
		return nil, err
	}
	page, err := reference.New(deps.Kinds)
	if err != nil {
		return nil, err //nolint:wrapcheck // says it all
	}
	owners, err := newGroupOwners(cfg.OwnGroups, deps.Kinds, deps.Cluster, deps.Log)
	if err != nil {
		return nil, err
	}
	ours, err := newPages(cfg.WebOrigins)
	if err != nil {
		return nil, err
	}
	f := &front{
		cfg: cfg, deps: deps, resources: res, cluster: cluster, identity: ids, owners: owners,
		openid: newOpenID(deps.Conn), reviews: newAccessReviews(deps.Conn, deps.Kinds, cluster),
		discovery: &discovery{kinds: owners.kinds, cluster: cluster},
		openapi:   &openAPI{kinds: owners.kinds, state: owners.state, cluster: cluster},
		apply:     newApplier(deps, owners, cluster),
		web:       web.New(deps.Conn, cfg.WebOrigins),
		pages:     ours,
		reference: page,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_gateway_requests_total", Help: "Requests answered, by route, method and HTTP code.",
		}, []string{"route", "method", "code"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fairlead_gateway_request_seconds", Help: "Time to answer, watches and upgrades left out, in seconds.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"route", "method"}),
	}
	for _, c := range []prometheus.Collector{f.requests, f.latency} {
		if err := deps.Metrics.Register(c); err != nil {
			return nil, fmt.Errorf("gateway: metrics: %w", err)
		}
	}
	return f, nil
}

// ServeHTTP gives each request an id, counts and logs it, and answers panics.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	id := r.Header.Get(headerRequestID)
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		id = uuid.NewString()
	}
	r.Header.Set(headerRequestID, id)
	w.Header().Set(headerRequestID, id)
	rec := &recorder{ResponseWriter: w, control: http.NewResponseController(w), timeout: f.cfg.ClientTimeout}
	route := "unknown"
	r, traced := tracing.HTTP(f.deps.Tracer, r)
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			f.deps.Log.ErrorContext(r.Context(), "panic in a request", "panic", p, "request_id", id, "stack", string(debug.Stack()))
			if rec.code == 0 {
				writeError(rec, apierror.Internal(fmt.Errorf("panic: %v", p)))
			}
		}
		rec.hurry() // the end of the answer is yet to be sent
		took := time.Since(start)
		traced(method(r)+" "+cmp.Or(rec.resource, route), rec.code)
		f.requests.WithLabelValues(route, method(r), strconv.Itoa(rec.code)).Inc()
		if !rec.long {
			f.latency.WithLabelValues(route, method(r)).Observe(took.Seconds())
		}
		f.deps.Log.DebugContext(r.Context(), "request", "request_id", id, "route", route, "method", r.Method, "path", r.URL.Path, "code", rec.code, "took", took)
	}()
	route = f.serve(rec, r)
}

// method keeps made-up methods from becoming metric labels.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// shortest tells whether a path has no segments that others may read as another path.
func shortest(path string) bool {
	whole := path + "/"
	return !strings.Contains(whole, "/../") && !strings.Contains(whole, "/./") && !strings.Contains(path, "//")
}

// open answers what needs no caller, or asks for one itself; it returns the name of the route, or nothing where there is more
// to do.
func (f *front) open(w *recorder, r *http.Request) string {
	path := r.URL.Path
	switch first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); first {
	case "livez", "healthz", "readyz":
		f.health(w, r)
		return "health"
	case "debug":
		f.debug(w, r)
		return "debug"
	}
	if !shortest(path) {
		writeError(w, apierror.BadRequest("the path %q is not in its shortest form; leave out empty, . and .. segments", path))
		return "bad"
	}
	if f.openid.handles(path) {
		f.openid.ServeHTTP(w, r)
		return "openid"
	}
	if f.reference.Handles(path) {
		f.reference.ServeHTTP(w, r)
		return "reference"
	}
	return ""
}

// serve answers and returns the name of the route.
func (f *front) serve(w *recorder, r *http.Request) string {
	if route := f.open(w, r); route != "" {
		return route
	}
	path := r.URL.Path
	sent, err := f.identity.take(r)
	if err == nil {
		err = f.pages.check(r, sent)
	}
	if err != nil {
		f.fail(w, r, err)
		return "unauthenticated"
	}
	known, done := f.identity.whileKnown(r.Context(), sent)
	defer done()
	r = r.WithContext(known)
	id, err := f.identity.of(r, sent)
	if f.web.Handles(r) { // whether a caller must be known is for the services to say, in the caller's protocol
		w.long = f.web.Streams(r)
		r.Body = w.timed(r.Body)
		f.web.ServeHTTP(w, r.WithContext(outgoing(r.WithContext(withCaller(r.Context(), id)))))
		return "rpc"
	}
	if err != nil {
		f.fail(w, r, err)
		return "unauthenticated"
	}
	r = r.WithContext(withCaller(r.Context(), id))
	ours, theirs := f.resources.parse(path), f.owners.clusters(groupOf(path))
	if ours != nil && ours.kind != nil {
		w.resource = ours.kind.Plural + "." + ours.kind.Group
	}
	whole := r.Body
	limited := w.timed(http.MaxBytesReader(w, whole, f.cfg.MaxBodyBytes))
	r.Body = limited
	switch {
	case ours != nil && !theirs:
		if err := f.owners.check(groupOf(path)); err != nil {
			f.fail(w, r, err)
			return "disputed"
		}
		f.resources.serve(w, r, ours)
		return "resource"
	case path == "/apply":
		f.apply.ServeHTTP(w, r)
		return "apply"
	case f.reviews.answers(w, r):
		return "access review"
	case f.discovery.handles(path):
		f.discovery.ServeHTTP(w, r)
		return "discovery"
	case f.openapi.handles(path):
		f.openapi.ServeHTTP(w, r)
		return "openapi"
	case f.resources.owns(path) && !theirs:
		writeError(w, apierror.New(apierror.ReasonNotFound, "%s serves nothing at %s; GET /apis lists what there is", r.Host, path))
		return "unknown"
	default:
		if upgrades(r) && r.Body == limited {
			r.Body = whole // what is sent over an upgraded connection has no end that a limit could be for
		}
		if err := f.passOn(w, r, id); err != nil {
			f.fail(w, r, err)
		}
		return "cluster"
	}
}

// passOn hands a request on to the cluster when it is the caller's turn.
func (f *front) passOn(w *recorder, r *http.Request, c *caller) error {
	w.long = w.long || lasts(r)
	if f.deps.Limits == nil {
		f.cluster.ServeHTTP(w, r)
		return nil
	}
	if w.long {
		done, err := f.deps.Limits.Open(c.user)
		if err != nil {
			return err //nolint:wrapcheck // an error for users
		}
		defer done()
		f.cluster.ServeHTTP(w, r)
		return nil
	}
	return f.deps.Limits.Do(r.Context(), c.user, func() { f.cluster.ServeHTTP(w, r) }) //nolint:wrapcheck // an error for users
}

func (f *front) health(w http.ResponseWriter, r *http.Request) {
	if f.deps.Health == nil {
		writeText(w, http.StatusOK, "ok")
		return
	}
	f.deps.Health.ServeHTTP(w, r)
}

func (f *front) debug(w *recorder, r *http.Request) {
	if f.deps.Debug == nil {
		writeError(w, apierror.New(apierror.ReasonNotFound, "nothing is served at %s; GET /apis lists what there is", r.URL.Path))
		return
	}
	w.long = true
	f.deps.Debug.ServeHTTP(w, r)
}

func (f *front) fail(w http.ResponseWriter, r *http.Request, err error) {
	logInternal(r.Context(), f.deps.Log, r.Header.Get(headerRequestID), err)
	writeError(w, apierror.From(err))
}

// logInternal logs what users are not told.
func logInternal(ctx context.Context, log *slog.Logger, requestID string, err error) {
	if e := apierror.From(err); e.Reason == apierror.ReasonInternalError {
		log.ErrorContext(ctx, "request failed", "request_id", requestID, "error", errors.Unwrap(e))
	}
}

// writeError answers with a Kubernetes Status.
func writeError(w http.ResponseWriter, e *apierror.Error) {
	if e.Reason == apierror.ReasonUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="fairlead"`)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	writeJSON(w, e.HTTPCode(), e.Kubernetes())
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "the answer could not be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(data, '\n'))
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text))
}
