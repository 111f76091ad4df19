// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/gen/go/rest"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/wire"
)

// Media types.
const (
	mimeJSON = "application/json"
	mimeYAML = "application/yaml"
	mimeText = "text/plain"
)

// verbList is the verb of lists.
const verbList = "list"

// patchTypes are the forms of patches that are understood.
var patchTypes = []string{wire.ContentTypeJSONPatch, wire.ContentTypeMergePatch, wire.ContentTypeApply}

// resources answers for our own kinds through grpc-gateway's generated handlers.
type resources struct {
	deps   Deps
	mux    *runtime.ServeMux
	groups map[string]bool
	kinds  map[string]kinds.Kind
}

// target is what a path of ours names.
type target struct {
	// kind is nil for paths of ours that are no kind's, such as tokens.
	kind                         *kinds.Kind
	namespace, name, subresource string
	// watch tells that the path is one of those that Kubernetes once had for watches.
	watch bool
}

func newResources(ctx context.Context, deps Deps) (*resources, error) {
	rs := &resources{deps: deps, groups: map[string]bool{}, kinds: map[string]kinds.Kind{}}
	for _, k := range deps.Kinds {
		rs.groups[k.Group] = true
		rs.kinds[k.Group+"/"+k.Version+"/"+k.Plural] = k
	}
	rs.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, marshaler{}),
		runtime.WithMarshalerOption(mimeJSON, marshaler{}),
		runtime.WithMarshalerOption(mimeYAML, marshaler{yaml: true}),
		runtime.WithMarshalerOption(mimeText, marshaler{text: true}),
		runtime.WithIncomingHeaderMatcher(func(h string) (string, bool) {
			return "x-request-id", strings.EqualFold(h, headerRequestID)
		}),
		runtime.WithMetadata(program),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }), // beforeResponse sends warnings
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithForwardResponseRewriter(rewrite),
		runtime.WithForwardResponseOption(beforeResponse),
		runtime.WithErrorHandler(rs.fail),
		runtime.WithStreamErrorHandler(func(ctx context.Context, err error) *status.Status {
			viewFrom(ctx).streamErr = err
			return status.Convert(err)
		}),
		runtime.WithRoutingErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
			if code == http.StatusMethodNotAllowed || code == http.StatusNotImplemented {
				writeError(w, apierror.New(apierror.ReasonMethodNotAllowed, "%s is not supported at %s", r.Method, r.URL.Path))
				return
			}
			writeError(w, rs.nothingAt(r.URL.Path))
		}),
		runtime.WithDisableHTTPMethodOverride(),
	)
	conn, err := unreadConn(deps.Conn)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	for _, register := range rest.Handlers() {
		if err := register(ctx, rs.mux, conn); err != nil {
			return nil, fmt.Errorf("gateway: handlers: %w", err)
		}
	}
	return rs, nil
}

// nothingAt is the error for a path of ours that leads nowhere.
func (rs *resources) nothingAt(path string) *apierror.Error {
	t := rs.parse(path)
	if t == nil || t.kind == nil || t.subresource == "" || strings.Contains(t.subresource, "/") {
		return apierror.New(apierror.ReasonNotFound, "nothing is served at %s; GET /apis lists what there is", path)
	}
	var names []string
	for _, sub := range subresources(*t.kind) {
		names = append(names, sub.name)
	}
	return apierror.New(apierror.ReasonNotFound, "%s.%s have no subresource %q; among theirs are %s", t.kind.Plural, t.kind.Group, t.subresource, strings.Join(names, ", "))
}

// parse returns what a path in one of our groups names, or nil for other paths and for those of discovery.
func (rs *resources) parse(path string) *target {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) < 4 || parts[0] != "apis" || !rs.groups[parts[1]] {
		return nil
	}
	group, version, rest := parts[1], parts[2], parts[3:]
	t := &target{}
	if rest[0] == "watch" && len(rest) > 1 {
		t.watch, rest = true, rest[1:]
	}
	if len(rest) >= 3 && rest[0] == "namespaces" {
		t.namespace, rest = rest[1], rest[2:]
	}
	k, ok := rs.kinds[group+"/"+version+"/"+rest[0]]
	if !ok {
		return t
	}
	t.kind = &k
	if len(rest) > 1 {
		t.name = rest[1]
	}
	if len(rest) > 2 {
		t.subresource = strings.Join(rest[2:], "/")
	}
	return t
}

// owns tells whether a path is in one of our groups.
func (rs *resources) owns(path string) bool {
	parts := strings.SplitN(strings.TrimPrefix(path, "/apis/"), "/", 2)
	return strings.HasPrefix(path, "/apis/") && rs.groups[parts[0]]
}

// serve turns a Kubernetes request into the one that the generated handlers know, and has them answer it.
func (rs *resources) serve(w *recorder, r *http.Request, t *target) {
	v := &view{kind: t.kind}
	r = r.WithContext(context.WithValue(r.Context(), viewKey{}, v))
	accept, f, err := negotiate(r)
	if err == nil {
		v.form = f
		err = rs.prepare(r, t, v)
		v.unread = v.keepsUnread(t)
	}
	if err == nil && t.kind != nil {
		err = f.suits(v.verb, r)
	}
	if err != nil {
		writeError(w, apierror.From(err))
		return
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("Content-Type", mimeJSON)
	if t.subresource == "log" {
		r.Header.Set("Accept", mimeText)
		v.stream = true
	}
	if v.stream {
		w.long = true
		rs.mux.ServeHTTP(&streamWriter{recorder: w, view: v}, r)
		return
	}
	rs.mux.ServeHTTP(w, r)
}

// prepare brings path, query and body into the form of the HTTP bindings.
func (rs *resources) prepare(r *http.Request, t *target, v *view) error {
	q := r.URL.Query()
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return rs.prepareRead(r, t, v, q)
	case http.MethodDelete:
		if t.kind != nil {
			v.verb = "delete"
			if err := deleteOptions(r, q); err != nil {
				return err
			}
		}
		keep(r, q, t, "propagationPolicy", "gracePeriodSeconds", "dryRun", "preconditions.uid", "preconditions.resourceVersion", "labelSelector", "fieldSelector")
		return nil
	case http.MethodPost:
		if t.kind != nil && t.subresource == "rollback" {
			v.verb, r.Body, r.ContentLength = "rollback", http.NoBody, 0
			keep(r, q, t, "generation", "dryRun")
			return nil
		}
		v.verb = "create"
	case http.MethodPut:
		v.verb = "update"
	case http.MethodPatch:
		v.verb = "patch"
	}
	return rs.prepareWrite(r, t, v, q)
}

func (rs *resources) prepareRead(r *http.Request, t *target, v *view, q url.Values) error {
	v.verb = "get"
	if t.kind != nil && t.kind.HasStatus && t.subresource == "status" { // which is read as a part of the object that it is of
		t.subresource = ""
		r.URL.Path, r.URL.RawPath = strings.TrimSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/status"), ""
	}
	if t.kind == nil || t.subresource != "" {
		switch t.subresource {
		case "log":
			keep(r, q, t, "follow", "step")
		case "history":
			keep(r, q, t)
		default:
			keep(r, q, t, "resourceVersion")
		}
		return nil
	}
	options, err := listOptions(q)
	switch {
	case err != nil:
		return err
	case options.Watch || t.watch:
		v.stream, v.verb = true, "watch"
		if t.name != "" {
			selector, err := nameSelector(options.FieldSelector, t.name)
			if err != nil {
				return err
			}
			q.Set("fieldSelector", selector)
		}
		// The generated handlers know watches by the path that Kubernetes once had for them.
		path := "/apis/" + t.kind.Group + "/" + t.kind.Version + "/watch/"
		if t.namespace != "" {
			path += "namespaces/" + t.namespace + "/"
		}
		r.URL.Path, r.URL.RawPath = path+t.kind.Plural, ""
		keep(r, q, t, "labelSelector", "fieldSelector", "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "allowWatchBookmarks", "timeoutSeconds")
	case t.name != "":
		keep(r, q, t, "resourceVersion")
	case options.SendInitialEvents != nil:
		return refused("ListOptions", field.ErrorList{field.Forbidden(field.NewPath("sendInitialEvents"), "sendInitialEvents is forbidden for list")})
	default:
		v.verb = verbList
		keep(r, q, t, "labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch")
	}
	return nil
}

func (rs *resources) prepareWrite(r *http.Request, t *target, v *view, q url.Values) error {
	data, err := readBody(r)
	if err != nil {
		return err
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return unsupported(r, mimeJSON, mimeYAML)
	}
	if r.Method == http.MethodPatch {
		if !slices.Contains(patchTypes, media) {
			return unsupported(r, patchTypes...)
		}
		q.Set("contentType", media)
	} else if data, err = asJSON(r, data); err != nil {
		return err
	}
	validation, err := writeOptions(r, q, media)
	if err != nil {
		return err
	}
	validation = cmp.Or(validation, kmetav1.FieldValidationWarn)
	v.strict, v.ignore = validation == kmetav1.FieldValidationStrict, validation == kmetav1.FieldValidationIgnore
	q.Set("fieldValidation", validation)
	if t.kind != nil {
		keep(r, q, t, "dryRun", "fieldManager", "fieldValidation", "force", "contentType")
	} else {
		keep(r, q, t)
	}
	if r.Method != http.MethodPatch {
		drop(r, "force", "contentType")
	}
	r.Body = &body{Reader: bytes.NewReader(data), view: v}
	r.ContentLength = int64(len(data))
	return nil
}

func unsupported(r *http.Request, accepted ...string) error {
	return apierror.New(apierror.ReasonUnsupportedMediaType, "the Content-Type %q is not understood at %s %s; send one of: %s",
		r.Header.Get("Content-Type"), r.Method, r.URL.Path, strings.Join(accepted, ", "))
}

// readBody reads a body whole; what is over the limit is refused.
func readBody(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(r.Body)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, apierror.New(apierror.ReasonRequestEntityTooLarge, "the request body is larger than %d bytes; send less, or in several requests", tooLarge.Limit)
	}
	if err != nil {
		return nil, apierror.BadRequest("the request body could not be read to its end; send it again")
	}
	return data, nil
}

// keep leaves only the query parameters that the bindings know; Kubernetes ignores others too.
func keep(r *http.Request, q url.Values, t *target, names ...string) {
	out := url.Values{}
	for _, n := range names {
		if vs, ok := q[n]; ok && (len(vs) > 1 || vs[0] != "") {
			out[n] = vs
		}
	}
	if t.kind == nil {
		out = q
	}
	r.URL.RawQuery = out.Encode()
}

func drop(r *http.Request, names ...string) {
	q := r.URL.Query()
	for _, n := range names {
		q.Del(n)
	}
	r.URL.RawQuery = q.Encode()
}

// fail answers with the Status of an error.
func (rs *resources) fail(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	v := viewFrom(ctx)
	if v.decodeErr != nil {
		err = v.decodeErr
	}
	logInternal(ctx, rs.deps.Log, r.Header.Get(headerRequestID), err)
	writeError(w, apierror.From(err))
}

// beforeResponse sets the code and headers of an answer; for a stream it is called with no message once it has begun.
func beforeResponse(ctx context.Context, w http.ResponseWriter, m proto.Message) error {
	v := viewFrom(ctx)
	md, _ := runtime.ServerMetadataFromContext(ctx)
	for _, text := range append(v.warnings, md.HeaderMD.Get(wire.WarningKey)...) {
		w.Header().Add("Warning", `299 - `+strconv.Quote(text))
	}
	v.warnings = nil
	if m == nil && v.stream {
		if len(md.HeaderMD.Get(resource.StreamKey)) > 0 {
			contentType := mimeJSON
			if v.verb != "watch" {
				contentType = "text/plain; charset=utf-8"
			}
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(http.StatusOK)
			return http.NewResponseController(w).Flush() //nolint:wrapcheck // grpc-gateway wraps it
		}
		return nil
	}
	if v.kind != nil && (v.verb == "create" || len(md.HeaderMD.Get(wire.CreatedKey)) > 0) {
		w.WriteHeader(http.StatusCreated)
	}
	return nil
}
