// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes/scheme"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// pathSelfAccessReview is where `kubectl auth can-i` asks.
const pathSelfAccessReview = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

// accessReviews answers what callers may do with kinds of ours, which the cluster does not know, and leaves the rest to it.
type accessReviews struct {
	client authv1.AccessServiceClient
	groups map[string]bool
}

func newAccessReviews(conn *grpc.ClientConn, served []kinds.Kind) *accessReviews {
	a := &accessReviews{client: authv1.NewAccessServiceClient(conn), groups: map[string]bool{}}
	for _, k := range served {
		a.groups[k.Group] = true
	}
	return a
}

// answers answers a review about a group of ours, and tells whether it has. Any other request is left as it was.
func (a *accessReviews) answers(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost || r.URL.Path != pathSelfAccessReview {
		return false
	}
	data, err := readBody(r)
	if err != nil {
		writeError(w, apierror.From(err))
		return true
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	review, ok := obj.(*authorizationv1.SelfSubjectAccessReview)
	if err != nil || !ok || review.Spec.ResourceAttributes == nil || !a.groups[review.Spec.ResourceAttributes.Group] {
		return false // the cluster's to answer, or to refuse
	}
	ra := review.Spec.ResourceAttributes
	ctx, cancel := context.WithTimeout(outgoing(r), 10*time.Second)
	defer cancel()
	plural, subresource, _ := strings.Cut(ra.Resource, "/")
	if ra.Subresource != "" {
		subresource = ra.Subresource
	}
	res, err := a.client.Review(ctx, &authv1.ReviewRequest{
		Verb: ra.Verb, Group: ra.Group, Resource: plural, Subresource: subresource, Namespace: ra.Namespace, Name: ra.Name,
	})
	if err != nil {
		writeError(w, apierror.FromStatus(err))
		return true
	}
	review.APIVersion, review.Kind = authorizationv1.SchemeGroupVersion.String(), "SelfSubjectAccessReview"
	review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: res.GetAllowed(), Reason: res.GetReason()}
	writeJSON(w, http.StatusCreated, review)
	return true
}
