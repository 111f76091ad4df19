// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion/validation"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
)

// checkList holds callers to what Kubernetes asks of the options of a list.
func checkList(r *metav1.ListRequest) error {
	return checkListOptions(&internalversion.ListOptions{
		ResourceVersion: r.GetResourceVersion(), ResourceVersionMatch: kmetav1.ResourceVersionMatch(r.GetResourceVersionMatch()), Continue: r.GetContinue(),
	})
}

// checkWatch holds callers to what Kubernetes asks of the options of a watch.
func checkWatch(r *metav1.WatchRequest) error {
	return checkListOptions(&internalversion.ListOptions{
		Watch: true, ResourceVersion: r.GetResourceVersion(), ResourceVersionMatch: kmetav1.ResourceVersionMatch(r.GetResourceVersionMatch()),
		SendInitialEvents: r.SendInitialEvents,
	})
}

func checkListOptions(o *internalversion.ListOptions) error {
	faults := validation.ValidateListOptions(o, true)
	if len(faults) == 0 {
		return nil
	}
	causes := make([]apierror.Cause, len(faults))
	for i, f := range faults {
		causes[i] = apierror.Cause{Field: f.Field, Reason: string(f.Type), Message: f.ErrorBody()}
	}
	return apierror.InvalidObject(apierror.Resource{Group: kmetav1.GroupName, Kind: "ListOptions"}, "", causes)
}

// pageVersion is the version that a page of a list is read at. Clients that first asked for any version, 0, go on asking for it
// with the continue token, which says it better.
func pageVersion(r *metav1.ListRequest) string {
	if r.GetContinue() != "" && r.GetResourceVersion() == "0" {
		return ""
	}
	return r.GetResourceVersion()
}

// versionMatch is how a list's version is meant. That of pages is exact where nothing else is said, as ever in Kubernetes.
func versionMatch(r *metav1.ListRequest) string {
	if v := r.GetResourceVersion(); r.GetResourceVersionMatch() == "" && r.GetLimit() > 0 && r.GetContinue() == "" && v != "" && v != "0" {
		return string(kmetav1.ResourceVersionMatchExact)
	}
	return r.GetResourceVersionMatch()
}
