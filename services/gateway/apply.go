// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/apply"
	"fairlead.dev/services/internal/wire"
)

// applyVersion is the version of what /apply answers with.
const applyVersion = "apply.fairlead.dev/v1"

// applier answers POST /apply: any number of documents, ours and the cluster's, in YAML or JSON.
type applier struct {
	deps   Deps
	owners *groupOwners
	native *nativeApply
}

type applyResult struct {
	kmetav1.TypeMeta `json:",inline"`

	Items []apply.Result `json:"items"`
}

func newApplier(deps Deps, owners *groupOwners, cluster *passThrough) *applier {
	return &applier{deps: deps, owners: owners, native: &nativeApply{cluster: cluster, resources: map[string]nativeResources{}}}
}

func (a *applier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeError(w, apierror.New(apierror.ReasonMethodNotAllowed, "%s is not supported at /apply; POST documents to it", r.Method))
		return
	}
	results, err := a.apply(r)
	if err != nil {
		logInternal(r.Context(), a.deps.Log, r.Header.Get(headerRequestID), err)
		e := apierror.From(err)
		if len(results) > 0 {
			partial := *e
			partial.Message = fmt.Sprintf("%v (the %d documents before it were applied)", err, len(results))
			e = &partial
		}
		writeError(w, e)
		return
	}
	writeJSON(w, http.StatusOK, applyResult{TypeMeta: kmetav1.TypeMeta{APIVersion: applyVersion, Kind: "ApplyResult"}, Items: results})
}

func (a *applier) apply(r *http.Request) ([]apply.Result, error) {
	q := r.URL.Query()
	atomic, err := strconv.ParseBool(cmp.Or(q.Get("atomic"), "false"))
	if err != nil {
		return nil, apierror.BadRequest("atomic is %q; it may be true or false", q.Get("atomic"))
	}
	force, err := strconv.ParseBool(cmp.Or(q.Get("force"), "false"))
	if err != nil {
		return nil, apierror.BadRequest("force is %q; it may be true, to take over fields that others manage, or false", q.Get("force"))
	}
	dryRun := q.Get("dryRun")
	if dryRun != "" && dryRun != "All" {
		return nil, apierror.BadRequest("dryRun is %q; it may be All", dryRun)
	}
	data, err := readBody(r)
	if err != nil {
		return nil, err
	}
	ap := &apply.Applier{
		Conn: a.deps.Conn, Kinds: a.owners.kinds(), FieldManager: cmp.Or(q.Get("fieldManager"), wire.DefaultManager), Namespace: q.Get("namespace"),
		Force: force,
	}
	if a.deps.Cluster != nil {
		ap.Native = a.native
	}
	if atomic {
		if err := a.decided(ap, data); err != nil {
			return nil, err
		}
		return a.together(outgoing(r), q, data, force)
	}
	docs, err := ap.Parse(data)
	if err != nil {
		return nil, err //nolint:wrapcheck // an error of ours
	}
	if err := a.check(docs); err != nil {
		return nil, err
	}
	return ap.Apply(outgoing(r), docs, dryRun == "All", nil) //nolint:wrapcheck // an error of ours
}

// check refuses documents of groups of which nobody has said who answers for them.
func (a *applier) check(docs []apply.Document) error {
	for _, doc := range docs {
		group, _, _ := strings.Cut(doc.APIVersion, "/")
		if err := a.owners.check(group); err != nil {
			return err
		}
	}
	return nil
}

// decided refuses the same before a service sees the documents, which reads them itself.
func (a *applier) decided(ap *apply.Applier, data []byte) error {
	if !a.owners.disputed() {
		return nil
	}
	docs, err := ap.Parse(data)
	if err != nil {
		return err //nolint:wrapcheck // an error of ours
	}
	return a.check(docs)
}

// together has a service apply documents in one step.
func (a *applier) together(ctx context.Context, q url.Values, data []byte, force bool) ([]apply.Result, error) {
	if len(data) == 0 {
		return nil, apierror.BadRequest("there is no document; send YAML or JSON with apiVersion, kind and metadata.name")
	}
	req := &metav1.ApplyRequest{
		Documents: data, Namespace: q.Get("namespace"), FieldManager: cmp.Or(q.Get("fieldManager"), wire.DefaultManager),
		Force: force,
	}
	if q.Get("dryRun") != "" {
		req.DryRun = []string{q.Get("dryRun")}
	}
	answer, err := metav1.NewApplyServiceClient(a.deps.Conn).Apply(ctx, req)
	if err != nil {
		return nil, apierror.FromStatus(err)
	}
	return apply.Results(answer), nil
}

// nativeApply applies the cluster's own kinds by server-side apply, as the caller.
type nativeApply struct {
	cluster *passThrough

	mu        sync.Mutex
	resources map[string]nativeResources
}

// nativeResources is what the cluster said of one group and version; asked again after a minute, since kinds come and go.
type nativeResources struct {
	list  []kmetav1.APIResource
	until time.Time
}

// Apply applies one document.
func (n *nativeApply) Apply(ctx context.Context, doc apply.Document, o apply.NativeOptions) (action, version string, err error) {
	res, err := n.resource(ctx, doc)
	if err != nil {
		return "", "", err
	}
	path := "/apis/" + doc.APIVersion
	if gv, err := schema.ParseGroupVersion(doc.APIVersion); err == nil && gv.Group == "" {
		path = "/api/" + doc.APIVersion
	}
	if res.Namespaced {
		ns := doc.Namespace
		if ns == "" {
			ns = kmetav1.NamespaceDefault
		}
		path += "/namespaces/" + url.PathEscape(ns)
	}
	path += "/" + res.Name + "/" + url.PathEscape(doc.Name)

	before, err := n.object(ctx, http.MethodGet, path, nil)
	if err != nil && !apierror.IsNotFound(err) {
		return "", "", err
	}
	query := url.Values{"fieldManager": {o.FieldManager}, "force": {strconv.FormatBool(o.Force)}, "fieldValidation": {"Strict"}}
	if o.DryRun {
		query.Set("dryRun", "All")
	}
	after, err := n.object(ctx, http.MethodPatch, path+"?"+query.Encode(), doc.JSON)
	switch {
	case err != nil:
		return "", "", err
	case before == "":
		return apply.Created, after, nil
	case before == after:
		return apply.Unchanged, after, nil
	}
	return apply.Configured, after, nil
}

// object asks the cluster for an object, or to apply one, and returns its version.
func (n *nativeApply) object(ctx context.Context, method, path string, body []byte) (version string, err error) {
	header := http.Header{"Accept": {mimeJSON}}
	if body != nil {
		header.Set("Content-Type", wire.ContentTypeApply)
	}
	code, _, data, err := n.cluster.do(ctx, method, path, header, body)
	if err != nil {
		return "", err
	}
	if code >= http.StatusBadRequest {
		return "", fromKubernetes(code, data)
	}
	var obj kmetav1.PartialObjectMetadata
	if err := json.Unmarshal(data, &obj); err != nil {
		return "", apierror.Internal(fmt.Errorf("gateway: %s %s of the cluster: %w", method, path, err))
	}
	return obj.ResourceVersion, nil
}

// fromKubernetes is the error that a Status of the cluster tells.
func fromKubernetes(code int, data []byte) *apierror.Error {
	var s kmetav1.Status
	if err := json.Unmarshal(data, &s); err != nil || s.Message == "" {
		return apierror.New(apierror.ReasonInternalError, "the cluster answered with code %d, and says nothing more; try again, and look at the log of its kube-apiserver", code)
	}
	e := apierror.New(apierror.Reason(s.Reason), "%s", s.Message)
	if s.Reason == "" { // kube-apiserver gives none for documents that its schemas refuse
		e = apierror.BadRequest("%s", s.Message)
	}
	if s.Details != nil {
		e.Name = s.Details.Name
		e.Resource = apierror.Resource{Group: s.Details.Group, Plural: s.Details.Kind, Kind: s.Details.Kind}
		for _, c := range s.Details.Causes {
			e.Causes = append(e.Causes, apierror.Cause{Field: c.Field, Reason: string(c.Type), Message: c.Message})
		}
	}
	return e
}

// maxVersions bounds how many groups and versions are remembered: what is asked for is written by callers.
const maxVersions = 1_000

func (n *nativeApply) remember(apiVersion string, known nativeResources) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.resources) >= maxVersions {
		clear(n.resources)
	}
	n.resources[apiVersion] = known
}

// resource finds the cluster's resource for a document's kind.
func (n *nativeApply) resource(ctx context.Context, doc apply.Document) (kmetav1.APIResource, error) {
	n.mu.Lock()
	known, ok := n.resources[doc.APIVersion]
	n.mu.Unlock()
	if !ok || time.Now().After(known.until) {
		path := "/apis/" + doc.APIVersion
		if doc.APIVersion == "v1" {
			path = "/api/v1"
		}
		var list kmetav1.APIResourceList
		found, _, err := n.cluster.getJSON(ctx, path, mimeJSON, &list)
		if err != nil {
			return kmetav1.APIResource{}, err
		}
		known = nativeResources{list: list.APIResources, until: time.Now().Add(time.Minute)}
		if found {
			n.remember(doc.APIVersion, known)
		}
	}
	for _, r := range known.list {
		if r.Kind == doc.Kind && !strings.Contains(r.Name, "/") {
			return r, nil
		}
	}
	return kmetav1.APIResource{}, apierror.New(apierror.ReasonNotFound,
		"there is no kind %s in %s, neither here nor in the cluster; check apiVersion and kind", doc.Kind, doc.APIVersion)
}
