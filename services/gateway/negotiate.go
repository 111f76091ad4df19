// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/munnerz/goautoneg"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/internal/apierror"
)

// What objects can be asked for as, beside what they are.
const (
	asTable       = "Table"
	asPartial     = "PartialObjectMetadata"
	asPartialList = "PartialObjectMetadataList"
)

// form is what answers are asked for as.
type form struct {
	// as is empty for objects as they are.
	as string
	// version is that of meta.k8s.io in which as is wanted.
	version string
	// include is what the rows of a Table hold of their objects.
	include kmetav1.IncludeObjectPolicy
}

func (f form) apiVersion() string { return kmetav1.GroupName + "/" + f.version }

// negotiate reads the Accept header. It returns the media type of the answer, and the form of objects in it.
func negotiate(r *http.Request) (string, form, error) {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(header) == "" {
		return mimeJSON, form{}, nil
	}
	for _, clause := range goautoneg.ParseAccept(header) {
		media := mediaType(clause)
		f, ok := transformation(clause.Params)
		if media == "" || !ok || f.as != "" && media != mimeJSON {
			continue
		}
		var err error
		if f.as == asTable {
			f.include, err = includeObject(r)
		}
		return media, f, err
	}
	return "", form{}, notAcceptable(header, "accept application/json or application/yaml")
}

func notAcceptable(header, instead string) error {
	return apierror.New(apierror.ReasonNotAcceptable, "the Accept header %q asks for nothing that can be given here; %s", header, instead)
}

// mediaType is the media type of ours that a clause of an Accept header matches, or empty.
func mediaType(c goautoneg.Accept) string {
	switch c.Type + "/" + c.SubType {
	case mimeJSON, "application/*", "*/*", "text/*", mimeText, "text/html":
		return mimeJSON
	case mimeYAML, "application/x-yaml", "text/yaml":
		return mimeYAML
	}
	return ""
}

// transformation reads the parameters of a clause that say what objects are wanted as.
func transformation(params map[string]string) (form, bool) {
	f := form{as: params["as"], version: params["v"]}
	if f.as == "" {
		return form{}, params["g"] == "" && f.version == ""
	}
	known := slices.Contains([]string{asTable, asPartial, asPartialList}, f.as)
	return f, known && params["g"] == kmetav1.GroupName && (f.version == "v1" || f.version == "v1beta1")
}

func includeObject(r *http.Request) (kmetav1.IncludeObjectPolicy, error) {
	switch p := kmetav1.IncludeObjectPolicy(r.URL.Query().Get("includeObject")); p {
	case kmetav1.IncludeMetadata, kmetav1.IncludeNone, kmetav1.IncludeObject, "":
		return p, nil
	default:
		return "", apierror.BadRequest("Unable to convert to Table as requested: includeObject: Invalid value: %q: must be 'Metadata', 'Object', 'None', or empty", p)
	}
}

// suits tells whether what a verb answers with can be had in the form.
func (f form) suits(verb string, r *http.Request) error {
	switch {
	case f.as == asPartial && verb == verbList:
		return notAcceptable(r.Header.Get("Accept"), "for a list, ask for PartialObjectMetadataList")
	case f.as == asPartialList && verb != verbList:
		return notAcceptable(r.Header.Get("Accept"), "for what is no list, ask for PartialObjectMetadata")
	}
	return nil
}
