// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"k8s.io/kube-openapi/pkg/aggregator"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"fairlead.dev/services/internal/apierror"
	openapidoc "fairlead.dev/services/internal/openapi"
)

// openAPIV2 keeps the OpenAPI v2 document, which is the cluster's and ours in one, until the cluster's changes.
type openAPIV2 struct {
	mu sync.Mutex
	// of is the ETag of the cluster's document that merged was made of, and groups who owns which groups in it.
	of, groups string
	merged     http.Handler
	// alone has our own groups only, for those who do not get to see the cluster through us.
	alone http.Handler
}

// serveV2 answers with the document in the form that is asked for: JSON or protobuf.
func (o *openAPI) serveV2(w http.ResponseWriter, r *http.Request) error {
	h, err := o.upToDateV2(r)
	if err != nil {
		return err
	}
	h.ServeHTTP(w, r)
	return nil
}

// upToDateV2 asks the cluster, as the caller, for its document, which it does not send again while it is the same.
func (o *openAPI) upToDateV2(r *http.Request) (http.Handler, error) {
	o.v2.mu.Lock()
	defer o.v2.mu.Unlock()
	if o.cluster.absent(r.Context()) {
		return o.aloneV2()
	}
	groups := o.state()
	header := http.Header{"Accept": {mimeJSON}}
	if o.v2.merged != nil && o.v2.of != "" && o.v2.groups == groups {
		header.Set("If-None-Match", o.v2.of)
	}
	code, answer, data, err := o.cluster.do(r.Context(), http.MethodGet, openAPIV2At, header, nil)
	switch {
	case err != nil:
		return nil, err
	case code == http.StatusNotModified && o.v2.merged != nil:
		return o.v2.merged, nil
	case code == http.StatusNotFound:
		return o.aloneV2()
	case code != http.StatusOK:
		return nil, fromKubernetes(code, data)
	}
	h, err := o.makeV2(data)
	if err != nil {
		return nil, err
	}
	o.v2.of, o.v2.groups, o.v2.merged = answer.Get("ETag"), groups, h
	return h, nil
}

func (o *openAPI) aloneV2() (http.Handler, error) {
	var err error
	if o.v2.alone == nil {
		o.v2.alone, err = o.makeV2(nil)
	}
	return o.v2.alone, err
}

// makeV2 merges our documents into the cluster's, from which groups of ours are dropped.
func (o *openAPI) makeV2(cluster []byte) (http.Handler, error) {
	documents, err := o.all()
	if err != nil {
		return nil, err
	}
	merged, err := openapidoc.V2(documents...)
	if err != nil {
		return nil, apierror.Internal(err)
	}
	if cluster != nil {
		theirs := &spec.Swagger{}
		if err := json.Unmarshal(cluster, theirs); err != nil {
			return nil, apierror.Internal(fmt.Errorf("gateway: %s of the cluster: %w", openAPIV2At, err))
		}
		o.dropOurs(theirs)
		if err := aggregator.MergeSpecsIgnorePathConflictRenamingDefinitionsAndParameters(theirs, merged); err != nil {
			return nil, apierror.Internal(err)
		}
		merged = theirs
	}
	mux := http.NewServeMux()
	handler.NewOpenAPIService(merged).RegisterOpenAPIVersionedService(openAPIV2At, mux)
	return mux, nil
}

// dropOurs takes out of the cluster's document what it says of groups of ours.
func (o *openAPI) dropOurs(theirs *spec.Swagger) {
	if theirs.Paths == nil {
		return
	}
	var kept []string
	for path := range theirs.Paths.Paths {
		if !o.ourGroup(strings.TrimPrefix(path, "/")) {
			kept = append(kept, path)
		}
	}
	if len(kept) < len(theirs.Paths.Paths) {
		aggregator.FilterSpecByPaths(theirs, kept)
	}
}
