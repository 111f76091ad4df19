// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// Kubernetes' headers by which a caller acts as somebody else.
const (
	prefixImpersonate      = "Impersonate-"
	headerImpersonateUser  = prefixImpersonate + "User"
	headerImpersonateUID   = prefixImpersonate + "Uid"
	headerImpersonateGroup = prefixImpersonate + "Group"
	prefixImpersonateExtra = prefixImpersonate + "Extra-"

	groupAuthenticated = "system:authenticated"
	pathAccessReviews  = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
)

// impersonationOf takes from the headers whom the caller wants to act as; nil for itself.
func impersonationOf(h http.Header) (*rpc.Impersonation, error) {
	var out *rpc.Impersonation
	for name, values := range h {
		canonical := http.CanonicalHeaderKey(name)
		if !strings.HasPrefix(canonical, prefixImpersonate) {
			continue
		}
		if out == nil {
			out = &rpc.Impersonation{}
		}
		delete(h, name)
		switch {
		case canonical == headerImpersonateGroup:
			out.Groups = append(out.Groups, values...)
		case (canonical == headerImpersonateUser || canonical == headerImpersonateUID) && len(values) > 1:
			return nil, apierror.BadRequest("the header %s came %d times, send it once", canonical, len(values))
		case canonical == headerImpersonateUser:
			out.User = values[0]
		case canonical == headerImpersonateUID:
			out.UID = values[0]
		case strings.HasPrefix(canonical, prefixImpersonateExtra):
			key := strings.ToLower(strings.TrimPrefix(canonical, prefixImpersonateExtra))
			if plain, err := url.PathUnescape(key); err == nil {
				key = plain
			}
			if out.Extra == nil {
				out.Extra = map[string][]string{}
			}
			out.Extra[key] = append(out.Extra[key], values...)
		default:
			return nil, apierror.BadRequest("the header %s is none by which somebody acts as another; there are Impersonate-User, -Uid, -Group and -Extra-KEY", canonical)
		}
	}
	if out != nil && out.User == "" {
		return nil, apierror.BadRequest("headers say how the caller wants to act, and not as whom; send Impersonate-User too")
	}
	return out, nil
}

// absent tells whether there is no cluster to ask for the caller of ctx: what kube-apiserver hands on to us never goes back.
func (p *passThrough) absent(ctx context.Context) bool {
	c := callerFrom(ctx)
	return p.client == nil || c != nil && c.aggregated
}

// mayActAs tells whether the cluster lets who really calls act as the caller of ctx. A right of ours to act as somebody
// gives nothing that the cluster gives to those names.
func (p *passThrough) mayActAs(ctx context.Context) error {
	c := callerFrom(ctx)
	if c == nil || c.real == nil || p.absent(ctx) {
		return nil
	}
	user, groups := c.real.inCluster()
	asUser, asGroups := c.inCluster()
	asUID, asExtra := "", map[string][]string(nil)
	if c.cluster {
		asUID, asExtra = c.uid, c.extra
	}
	extra := map[string]authorizationv1.ExtraValue{}
	if c.real.cluster {
		for key, values := range c.real.extra {
			extra[key] = values
		}
	}
	for _, r := range rpc.ActsAs(asUser, asUID, asGroups, asExtra) {
		allowed, err := p.review(ctx, authorizationv1.SubjectAccessReviewSpec{
			User: user, Groups: groups, Extra: extra,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: r.Verb, Group: r.Group, Version: "*", Resource: r.Resource, Subresource: r.Subresource, Namespace: r.Namespace, Name: r.Name,
			},
		})
		if err != nil {
			return err
		}
		if !allowed {
			return apierror.Forbidden(apierror.Resource{Group: r.Group, Plural: r.Resource}, r.Name,
				"User %q cannot impersonate resource %q in API group %q in the Kubernetes behind", user, r.Resource, r.Group)
		}
	}
	return nil
}

// inCluster returns the names by which the cluster knows a caller.
func (c *caller) inCluster() (user string, groups []string) {
	if c.cluster {
		return c.user, c.groups
	}
	groups = []string{groupAuthenticated}
	for _, g := range c.groups {
		if g != groupAuthenticated {
			groups = append(groups, rpc.ClusterPrefix+g)
		}
	}
	return rpc.ClusterPrefix + c.user, groups
}

// review asks the cluster, as the gateway itself.
func (p *passThrough) review(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	review := authorizationv1.SubjectAccessReview{Spec: spec}
	review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SubjectAccessReview"
	body, err := json.Marshal(review)
	if err != nil {
		return false, apierror.Internal(err)
	}
	u, err := p.target.Parse(pathAccessReviews)
	if err != nil {
		return false, apierror.Internal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return false, apierror.Internal(err)
	}
	req.Header.Set("Content-Type", mimeJSON)
	res, err := p.client.Do(req)
	if err != nil {
		return false, clusterAway().Wrap(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return false, clusterAway().Wrap(err)
	}
	if res.StatusCode != http.StatusCreated || json.Unmarshal(data, &review) != nil {
		return false, clusterAway().Wrap(errors.New("a SubjectAccessReview was answered with " + res.Status))
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}
