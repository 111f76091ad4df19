// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	authorizationv1 "k8s.io/api/authorization/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// Where `kubectl auth` and others ask who they are, and who may do what.
const (
	pathAuthorization     = "/apis/authorization.k8s.io/v1/"
	pathSelfAccessReview  = pathAuthorization + "selfsubjectaccessreviews"
	pathSelfRulesReview   = pathAuthorization + "selfsubjectrulesreviews"
	pathLocalNamespaces   = pathAuthorization + "namespaces/"
	localReviews          = "localsubjectaccessreviews"
	pathSelfReview        = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	reviewTimeout         = 10 * time.Second
	everything            = "*"
	reservedPrefix        = "system:"
	pathDebug             = "/debug"
	kindSelfAccessReview  = "SelfSubjectAccessReview"
	kindAccessReview      = "SubjectAccessReview"
	kindLocalAccessReview = "LocalSubjectAccessReview"
)

// accessReviews answers who may do what with kinds of ours, which the cluster does not know, and has the cluster answer for
// the rest. Who somebody is it says by the names that Fairlead knows.
type accessReviews struct {
	client  authv1.AccessServiceClient
	groups  []string // of ours
	cluster *passThrough
}

func newAccessReviews(conn *grpc.ClientConn, served []kinds.Kind, cluster *passThrough) *accessReviews {
	a := &accessReviews{client: authv1.NewAccessServiceClient(conn), cluster: cluster}
	for _, k := range served {
		if !slices.Contains(a.groups, k.Group) {
			a.groups = append(a.groups, k.Group)
		}
	}
	slices.Sort(a.groups)
	return a
}

// answers answers a review, and tells whether it has. Any other request is left as it was, to be passed on.
func (a *accessReviews) answers(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	var answer func(context.Context, *question) (any, error)
	switch path := r.URL.Path; {
	case path == pathSelfReview:
		answer = a.self
	case path == pathSelfAccessReview:
		answer = a.selfAccess
	case path == pathSelfRulesReview:
		answer = a.selfRules
	case path == pathAccessReviews:
		answer = a.access
	case strings.HasPrefix(path, pathLocalNamespaces) && strings.HasSuffix(path, "/"+localReviews):
		answer = a.localAccess
	default:
		return false
	}
	data, err := readBody(r)
	if err != nil {
		writeError(w, apierror.From(err))
		return true
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	review, _, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return false // the cluster's to refuse
	}
	ctx, cancel := context.WithTimeout(outgoing(r), reviewTimeout)
	defer cancel()
	res, err := answer(ctx, &question{path: r.URL.Path, review: review})
	switch {
	case err != nil:
		writeError(w, apierror.From(err))
	case res == nil:
		return false
	default:
		writeJSON(w, http.StatusCreated, res)
	}
	return true
}

// question is a review as it was asked. An answer that is nil leaves it to the cluster.
type question struct {
	path   string
	review runtime.Object
}

func reviewType(kind string) kmetav1.TypeMeta {
	return kmetav1.TypeMeta{APIVersion: authorizationv1.SchemeGroupVersion.String(), Kind: kind}
}

// whose tells who answers: we, the cluster, or both, since something is asked of all groups.
func (a *accessReviews) whose(ra *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) (ours, clusters bool) {
	switch {
	case ra != nil && ra.Group == everything:
		return true, true
	case ra != nil:
		ours = slices.Contains(a.groups, ra.Group)
	case path != nil:
		ours = path.Path == pathDebug || strings.HasPrefix(path.Path, pathDebug+"/")
	}
	return ours, !ours
}

// request is what is asked, as our services take it.
func request(ra *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) *authv1.ReviewRequest {
	if ra == nil {
		return &authv1.ReviewRequest{Verb: path.Verb, Path: path.Path}
	}
	plural, subresource, _ := strings.Cut(ra.Resource, "/")
	if ra.Subresource != "" {
		subresource = ra.Subresource
	}
	return &authv1.ReviewRequest{Verb: ra.Verb, Group: ra.Group, Resource: plural, Subresource: subresource, Namespace: ra.Namespace, Name: ra.Name}
}

func (a *accessReviews) selfAccess(ctx context.Context, q *question) (any, error) {
	review, ok := q.review.(*authorizationv1.SelfSubjectAccessReview)
	if !ok {
		return nil, nil //nolint:nilnil // the cluster's to refuse
	}
	ours, clusters := a.whose(review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
	if !ours {
		return nil, nil //nolint:nilnil // the cluster's to answer
	}
	review.TypeMeta = reviewType(kindSelfAccessReview)
	res, err := a.client.Review(ctx, request(review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes))
	if err != nil {
		return nil, err //nolint:wrapcheck // a status of ours
	}
	review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: res.GetAllowed(), Reason: res.GetReason()}
	if clusters && review.Status.Allowed {
		asked := *review
		asked.Status = authorizationv1.SubjectAccessReviewStatus{}
		var answer authorizationv1.SelfSubjectAccessReview
		if err := a.ask(ctx, q.path, asked, &answer); err != nil {
			return nil, err
		}
		review.Status = answer.Status
	}
	return review, nil
}

// access answers a review of somebody else. Whoever asks needs the right to, here and, for what is the cluster's, there.
func (a *accessReviews) access(ctx context.Context, q *question) (any, error) {
	review, ok := q.review.(*authorizationv1.SubjectAccessReview)
	if !ok {
		return nil, nil //nolint:nilnil // the cluster's to refuse
	}
	status, err := a.subject(ctx, q.path, kindAccessReview, review.Spec, func(s *authv1.ReviewedSubject, asked *authv1.ReviewRequest) (bool, string, error) {
		res, err := a.client.ReviewSubject(ctx, &authv1.ReviewSubjectRequest{Subject: s, Review: asked})
		return res.GetAllowed(), res.GetReason(), err //nolint:wrapcheck // a status of ours
	})
	review.TypeMeta, review.Status = reviewType(kindAccessReview), status
	return review, err
}

// localAccess is access in a namespace.
func (a *accessReviews) localAccess(ctx context.Context, q *question) (any, error) {
	review, ok := q.review.(*authorizationv1.LocalSubjectAccessReview)
	namespace := strings.TrimSuffix(strings.TrimPrefix(q.path, pathLocalNamespaces), "/"+localReviews)
	if !ok || strings.Contains(namespace, "/") {
		return nil, nil //nolint:nilnil // the cluster's to refuse
	}
	status, err := a.subject(ctx, q.path, kindLocalAccessReview, review.Spec, func(s *authv1.ReviewedSubject, asked *authv1.ReviewRequest) (bool, string, error) {
		res, err := a.client.ReviewLocalSubject(ctx, &authv1.ReviewLocalSubjectRequest{Namespace: namespace, Subject: s, Review: asked})
		return res.GetAllowed(), res.GetReason(), err //nolint:wrapcheck // a status of ours
	})
	review.TypeMeta, review.Status = reviewType(kindLocalAccessReview), status
	return review, err
}

// subject finds out what somebody may do: by our services, by the cluster, or by both.
func (a *accessReviews) subject(ctx context.Context, path, kind string, spec authorizationv1.SubjectAccessReviewSpec,
	ours func(*authv1.ReviewedSubject, *authv1.ReviewRequest) (bool, string, error),
) (status authorizationv1.SubjectAccessReviewStatus, err error) {
	here, there := a.whose(spec.ResourceAttributes, spec.NonResourceAttributes)
	if here {
		who := &authv1.ReviewedSubject{User: spec.User, Groups: spec.Groups, Uid: spec.UID, Extra: map[string]*authv1.ExtraValue{}}
		for key, values := range spec.Extra {
			who.Extra[key] = &authv1.ExtraValue{Items: values}
		}
		status.Allowed, status.Reason, err = ours(who, request(spec.ResourceAttributes, spec.NonResourceAttributes))
		if err != nil || !status.Allowed || !there {
			return status, err
		}
	}
	var answer authorizationv1.SubjectAccessReview // the local one has the same form
	asked := authorizationv1.SubjectAccessReview{TypeMeta: reviewType(kind), Spec: inCluster(spec)}
	if namespace, ok := strings.CutPrefix(path, pathLocalNamespaces); ok {
		asked.Namespace, _, _ = strings.Cut(namespace, "/")
	}
	err = a.ask(ctx, path, asked, &answer)
	return answer.Status, err
}

// inCluster names whom a review is about as the cluster does: users and groups of ours have a prefix there.
func inCluster(spec authorizationv1.SubjectAccessReviewSpec) authorizationv1.SubjectAccessReviewSpec {
	name := func(of string) string {
		if of == "" || strings.HasPrefix(of, reservedPrefix) || strings.HasPrefix(of, rpc.ClusterPrefix) {
			return of
		}
		return rpc.ClusterPrefix + of
	}
	spec.User = name(spec.User)
	groups := make([]string, len(spec.Groups))
	for i, group := range spec.Groups {
		groups[i] = name(group)
	}
	spec.Groups = groups
	return spec
}

// ask has the cluster answer a review, as the caller.
func (a *accessReviews) ask(ctx context.Context, path string, review, into any) error {
	body, err := json.Marshal(review)
	if err != nil {
		return apierror.Internal(err)
	}
	header := http.Header{"Content-Type": {mimeJSON}, "Accept": {mimeJSON}}
	code, _, data, err := a.cluster.do(ctx, http.MethodPost, path, header, body)
	if err != nil {
		return err
	}
	if code != http.StatusCreated && code != http.StatusOK {
		return fromKubernetes(code, data)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return clusterAway().Wrap(err)
	}
	return nil
}
