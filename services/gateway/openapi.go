// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/munnerz/goautoneg"
	"k8s.io/kube-openapi/pkg/handler3"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	openapidoc "fairlead.dev/services/internal/openapi"
)

// openAPI serves the OpenAPI documents of our groups beside the cluster's own.
type openAPI struct {
	kinds   func() []kinds.Kind
	cluster *passThrough
	// state names what the kinds depend on.
	state func() string
	v2    openAPIV2

	mu   sync.Mutex
	docs map[string]openAPIDocument
}

const (
	openAPIRoot = "/openapi/v3"
	openAPIV2At = "/openapi/v2"

	// mimeOpenAPIV3 is the media type of a document in protobuf.
	mimeOpenAPIV3 = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
	// mimeOpenAPIV3Old is how clients ask for it whose media types need not be valid.
	mimeOpenAPIV3Old = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
)

// openAPIDocument is the document of a group and version, in both its forms.
type openAPIDocument struct {
	json, proto []byte
	// hash names what is in it.
	hash string
}

func (o *openAPI) ours(path string) (group, version string, ok bool) {
	rest, found := strings.CutPrefix(path, openAPIRoot+"/apis/")
	group, version, cut := strings.Cut(rest, "/")
	ok = found && cut && slices.ContainsFunc(o.kinds(), func(k kinds.Kind) bool { return k.Group == group && k.Version == version })
	return group, version, ok
}

// ourGroup tells whether a path of the index, such as apis/GROUP/VERSION, is in a group of ours.
func (o *openAPI) ourGroup(path string) bool {
	group, _, _ := strings.Cut(strings.TrimPrefix(path, "apis/"), "/")
	return strings.HasPrefix(path, "apis/") && slices.ContainsFunc(o.kinds(), func(k kinds.Kind) bool { return k.Group == group })
}

// handles tells whether a path is an index or a document of ours, or one that has both the cluster's and ours.
func (o *openAPI) handles(path string) bool {
	return strings.TrimSuffix(path, "/") == openAPIRoot || path == openAPIV2At || o.ourGroup(strings.TrimPrefix(path, openAPIRoot+"/"))
}

func (o *openAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		writeError(w, notSupported(r))
		return
	}
	var err error
	group, version, ok := o.ours(r.URL.Path)
	switch {
	case ok:
		err = o.serveDocument(w, r, group, version)
	case r.URL.Path == openAPIV2At:
		err = o.serveV2(w, r)
	case strings.TrimSuffix(r.URL.Path, "/") == openAPIRoot:
		err = o.serveIndex(w, r)
	default:
		err = apierror.New(apierror.ReasonNotFound, "there is no OpenAPI document at %s; GET %s lists those there are", r.URL.Path, openAPIRoot)
	}
	if err != nil {
		writeError(w, apierror.From(err))
	}
}

// notSupported is the error for a method that a path does not have.
func notSupported(r *http.Request) *apierror.Error {
	return apierror.New(apierror.ReasonMethodNotAllowed, "%s is not supported at %s; use GET", r.Method, r.URL.Path)
}

// serveIndex lists the documents. Those of the cluster about groups of ours are dropped.
func (o *openAPI) serveIndex(w http.ResponseWriter, r *http.Request) error {
	index := handler3.OpenAPIV3Discovery{}
	if _, _, err := o.cluster.getJSON(r.Context(), openAPIRoot, mimeJSON, &index); err != nil {
		return err
	}
	out := handler3.OpenAPIV3Discovery{Paths: map[string]handler3.OpenAPIV3DiscoveryGroupVersion{}}
	for path, at := range index.Paths {
		if !o.ourGroup(path) {
			out.Paths[path] = at
		}
	}
	for _, k := range o.kinds() {
		doc, err := o.document(k.Group, k.Version)
		if err != nil {
			return err
		}
		out.Paths["apis/"+k.APIVersion()] = handler3.OpenAPIV3DiscoveryGroupVersion{ServerRelativeURL: doc.url(k.Group, k.Version)}
	}
	writeTagged(w, r, mimeJSON, out)
	return nil
}

func (d openAPIDocument) url(group, version string) string {
	return openAPIRoot + "/apis/" + group + "/" + version + "?hash=" + url.QueryEscape(d.hash)
}

// serveDocument answers with a document of ours as kube-apiserver does: whoever names the hash may keep it for good.
func (o *openAPI) serveDocument(w http.ResponseWriter, r *http.Request, group, version string) error {
	doc, err := o.document(group, version)
	if err != nil {
		return err
	}
	w.Header().Set("Vary", "Accept")
	if hash := r.URL.Query().Get("hash"); hash != "" {
		if hash != doc.hash {
			http.Redirect(w, r, doc.url(group, version), http.StatusMovedPermanently) //nolint:gosec // to a document of ours, whose group and version are known
			return nil
		}
		w.Header().Set("Cache-Control", "public, immutable")
		w.Header().Set("Expires", time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat))
	}
	data, media := doc.accepted(r)
	if media == "" {
		return notAcceptable(r.Header.Get("Accept"), "accept application/json or "+mimeOpenAPIV3)
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("ETag", `"`+doc.hash+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	return nil
}

// accepted is the form of a document that a request asks for, and its media type, which is empty if there is none.
func (d openAPIDocument) accepted(r *http.Request) (data []byte, media string) {
	header := r.Header.Get("Accept")
	if header == "" {
		return d.json, mimeJSON
	}
	for _, clause := range goautoneg.ParseAccept(header) {
		switch one := clause.Type + "/" + clause.SubType; {
		case one == mimeOpenAPIV3, one == mimeOpenAPIV3Old:
			return d.proto, mimeOpenAPIV3
		case mediaType(clause) == mimeJSON:
			return d.json, mimeJSON
		}
	}
	return nil, ""
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return strings.ToUpper(hex.EncodeToString(sum[:16]))
}

// document makes the document of a group and version once.
func (o *openAPI) document(group, version string) (openAPIDocument, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := group + "/" + version
	if doc, ok := o.docs[key]; ok {
		return doc, nil
	}
	var ks []kinds.Kind
	for _, k := range o.kinds() {
		if k.Group == group && k.Version == version {
			ks = append(ks, k)
		}
	}
	data, err := openapidoc.Document(group, version, ks)
	if err != nil {
		return openAPIDocument{}, apierror.Internal(err)
	}
	encoded, err := handler3.ToV3ProtoBinary(data)
	if err != nil {
		return openAPIDocument{}, apierror.Internal(err)
	}
	doc := openAPIDocument{json: data, proto: encoded, hash: hashOf(data)}
	if o.docs == nil {
		o.docs = map[string]openAPIDocument{}
	}
	o.docs[key] = doc
	return doc, nil
}

// all returns the JSON of all documents of ours.
func (o *openAPI) all() ([][]byte, error) {
	var out [][]byte
	seen := map[string]bool{}
	for _, k := range o.kinds() {
		if seen[k.APIVersion()] {
			continue
		}
		seen[k.APIVersion()] = true
		doc, err := o.document(k.Group, k.Version)
		if err != nil {
			return nil, err
		}
		out = append(out, doc.json)
	}
	return out, nil
}
