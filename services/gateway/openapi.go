// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	openapidoc "fairlead.dev/services/internal/openapi"
)

// openAPI serves the OpenAPI v3 documents of our groups beside the cluster's own. OpenAPI v2 is the cluster's: clients
// that know v3 do not ask for it.
type openAPI struct {
	kinds   []kinds.Kind
	cluster *passThrough

	mu   sync.Mutex
	docs map[string][]byte
}

const openAPIRoot = "/openapi/v3"

type openAPIIndex struct {
	Paths map[string]openAPIPath `json:"paths"`
}

type openAPIPath struct {
	ServerRelativeURL string `json:"serverRelativeURL"`
}

func (o *openAPI) ours(path string) (group, version string, ok bool) {
	rest, found := strings.CutPrefix(path, openAPIRoot+"/apis/")
	group, version, cut := strings.Cut(rest, "/")
	ok = found && cut && slices.ContainsFunc(o.kinds, func(k kinds.Kind) bool { return k.Group == group && k.Version == version })
	return group, version, ok
}

// handles tells whether a path is the index or a document of ours.
func (o *openAPI) handles(path string) bool {
	if path == openAPIRoot || path == openAPIRoot+"/" {
		return true
	}
	_, _, ok := o.ours(path)
	return ok
}

func (o *openAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if group, version, ok := o.ours(r.URL.Path); ok {
		doc, err := o.document(group, version)
		if err != nil {
			writeError(w, apierror.Internal(err))
			return
		}
		w.Header().Set("Content-Type", mimeJSON)
		w.Header().Set("ETag", etag(doc))
		_, _ = w.Write(doc)
		return
	}
	index := openAPIIndex{}
	if _, _, err := o.cluster.getJSON(r.Context(), openAPIRoot, mimeJSON, &index); err != nil {
		writeError(w, apierror.From(err))
		return
	}
	if index.Paths == nil {
		index.Paths = map[string]openAPIPath{}
	}
	for _, k := range o.kinds {
		doc, err := o.document(k.Group, k.Version)
		if err != nil {
			writeError(w, apierror.Internal(err))
			return
		}
		path := "apis/" + k.APIVersion()
		index.Paths[path] = openAPIPath{ServerRelativeURL: openAPIRoot + "/" + path + "?hash=" + strings.Trim(etag(doc), `"`)}
	}
	writeJSON(w, http.StatusOK, index)
}

func etag(doc []byte) string {
	sum := sha256.Sum256(doc)
	return `"` + strings.ToUpper(hex.EncodeToString(sum[:16])) + `"`
}

// document makes the document of a group and version once.
func (o *openAPI) document(group, version string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := group + "/" + version
	if doc, ok := o.docs[key]; ok {
		return doc, nil
	}
	var ks []kinds.Kind
	for _, k := range o.kinds {
		if k.Group == group && k.Version == version {
			ks = append(ks, k)
		}
	}
	doc, err := openapidoc.Document(group, version, ks)
	if err != nil {
		return nil, err //nolint:wrapcheck // logged as it is
	}
	if o.docs == nil {
		o.docs = map[string][]byte{}
	}
	o.docs[key] = doc
	return doc, nil
}
