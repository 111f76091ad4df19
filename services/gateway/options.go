// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
)

// Options of requests are read and checked by Kubernetes' own code, so that what it takes is taken, and what it refuses is refused
// with the same reason. What gRPC checks as well is left to the services.

// readOptions reads the query parameters that Kubernetes knows for a request into one of its types of options.
func readOptions(q url.Values, into runtime.Object) error {
	if err := scheme.ParameterCodec.DecodeParameters(q, kmetav1.SchemeGroupVersion, into); err != nil {
		return apierror.BadRequest("the query parameters cannot be read: %v", err)
	}
	return nil
}

// refused is the error for options with faults, or nil if there are none.
func refused(kind string, faults field.ErrorList) error {
	if len(faults) == 0 {
		return nil
	}
	causes := make([]apierror.Cause, len(faults))
	for i, f := range faults {
		causes[i] = apierror.Cause{Field: f.Field, Reason: string(f.Type), Message: f.ErrorBody()}
	}
	return apierror.InvalidObject(apierror.Resource{Group: kmetav1.GroupName, Kind: kind}, "", causes)
}

// listOptions reads the options of a list or watch, and writes them as the HTTP bindings know them.
func listOptions(q url.Values) (*internalversion.ListOptions, error) {
	o := &internalversion.ListOptions{}
	if err := readOptions(q, o); err != nil {
		return nil, err
	}
	flag := func(name string, set bool) {
		q.Del(name)
		if set {
			q.Set(name, "true")
		}
	}
	flag("allowWatchBookmarks", o.AllowWatchBookmarks)
	if o.SendInitialEvents != nil {
		q.Set("sendInitialEvents", strconv.FormatBool(*o.SendInitialEvents))
	}
	q.Del("timeoutSeconds")
	if o.TimeoutSeconds != nil && *o.TimeoutSeconds > 0 {
		q.Set("timeoutSeconds", strconv.FormatInt(*o.TimeoutSeconds, 10))
	}
	q.Set("limit", strconv.FormatInt(max(o.Limit, 0), 10))
	return o, nil
}

// nameSelector is the field selector of a watch of one object, which may have been given one already.
func nameSelector(selector fields.Selector, name string) (string, error) {
	one := fields.OneTermEqualSelector("metadata.name", name)
	if selector == nil {
		return one.String(), nil
	}
	if other, ok := selector.RequiresExactMatch("metadata.name"); ok && other != name {
		return "", apierror.BadRequest("fieldSelector metadata.name %q doesn't match requested name %q", other, name)
	}
	return fields.AndSelectors(selector, one).String(), nil
}

// writeOptions checks the options of a write, and returns how unknown fields are dealt with.
func writeOptions(r *http.Request, q url.Values, patchType string) (fieldValidation string, err error) {
	switch r.Method {
	case http.MethodPatch:
		o := &kmetav1.PatchOptions{}
		if err := readOptions(q, o); err != nil {
			return "", err
		}
		if o.Force != nil { // Kubernetes reads more as a truth value than grpc-gateway does
			q.Set("force", strconv.FormatBool(*o.Force))
		}
		return o.FieldValidation, refused("PatchOptions", validation.ValidatePatchOptions(o, types.PatchType(patchType)))
	case http.MethodPut:
		o := &kmetav1.UpdateOptions{}
		if err := readOptions(q, o); err != nil {
			return "", err
		}
		return o.FieldValidation, refused("UpdateOptions", validation.ValidateUpdateOptions(o))
	default:
		o := &kmetav1.CreateOptions{}
		if err := readOptions(q, o); err != nil {
			return "", err
		}
		return o.FieldValidation, refused("CreateOptions", validation.ValidateCreateOptions(o))
	}
}

// asJSON returns a body of JSON or YAML as JSON.
func asJSON(r *http.Request, data []byte) ([]byte, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Header.Get("Content-Type") == "", err == nil && media == mimeJSON:
		return data, nil
	case err == nil && (media == mimeYAML || media == "application/x-yaml" || media == "text/yaml"):
		return codec.YAMLToJSON(data, codec.Limits{}) //nolint:wrapcheck // an error of ours
	}
	return nil, unsupported(r, mimeJSON, mimeYAML)
}

// deleteOptions checks the DeleteOptions of query and body, which counts where both say something, and moves them into the
// query.
func deleteOptions(r *http.Request, q url.Values) error {
	o := &kmetav1.DeleteOptions{}
	if err := readOptions(q, o); err != nil {
		return err
	}
	data, err := readBody(r)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = http.NoBody, 0
	if len(bytes.TrimSpace(data)) > 0 {
		if data, err = asJSON(r, data); err != nil {
			return err
		}
		if err := json.Unmarshal(data, o); err != nil {
			return apierror.BadRequest("the body is no DeleteOptions: %v", err)
		}
		if o.Kind != "" && o.Kind != "DeleteOptions" {
			return apierror.BadRequest("the body is a %s; send DeleteOptions, or nothing", o.Kind)
		}
	}
	if err := refused("DeleteOptions", validation.ValidateDeleteOptions(o)); err != nil {
		return err
	}
	setDeleteOptions(q, o)
	return nil
}

func setDeleteOptions(q url.Values, o *kmetav1.DeleteOptions) {
	for _, name := range []string{"propagationPolicy", "gracePeriodSeconds", "dryRun"} {
		q.Del(name)
	}
	switch {
	case o.PropagationPolicy != nil:
		q.Set("propagationPolicy", string(*o.PropagationPolicy))
	case o.OrphanDependents != nil && *o.OrphanDependents: //nolint:staticcheck // old clients send it
		q.Set("propagationPolicy", string(kmetav1.DeletePropagationOrphan))
	}
	if o.GracePeriodSeconds != nil {
		q.Set("gracePeriodSeconds", strconv.FormatInt(*o.GracePeriodSeconds, 10))
	}
	if p := o.Preconditions; p != nil {
		if p.UID != nil {
			q.Set("preconditions.uid", string(*p.UID))
		}
		if p.ResourceVersion != nil {
			q.Set("preconditions.resourceVersion", *p.ResourceVersion)
		}
	}
	if len(o.DryRun) > 0 {
		q["dryRun"] = o.DryRun
	}
}
