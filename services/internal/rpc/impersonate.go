// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/wire"
)

// Metadata by which a caller acts as somebody else, for which it needs a right. Values are percent-encoded, as those of
// x-remote-user; impersonate-extra is NAME=VALUE, and impersonate-extra-NAME a value alone.
const (
	impersonatePrefix = "impersonate-"
	impersonateUser   = impersonatePrefix + "user"
	impersonateUID    = impersonatePrefix + "uid"
	impersonateGroup  = impersonatePrefix + "group"
	impersonateExtra  = impersonatePrefix + "extra"
)

// Kubernetes' names.
const (
	verbImpersonate       = "impersonate"
	groupAuthentication   = "authentication.k8s.io"
	groupAuthenticated    = "system:authenticated"
	groupUnauthenticated  = "system:unauthenticated"
	userAnonymous         = "system:anonymous"
	reservedPrefix        = "system:"
	serviceAccountPrefix  = "system:serviceaccount:"
	groupServiceAccounts  = "system:serviceaccounts"
	maxImpersonatedGroups = 1000
)

// Impersonation is whom a caller wants to act as.
type Impersonation struct {
	// User, UID, Groups and Extra are who that is. Only the user is needed.
	User, UID string
	Groups    []string
	Extra     map[string][]string
}

// Metadata says whom a call is to be made as.
func (i *Impersonation) Metadata() metadata.MD {
	md := metadata.MD{}
	if i == nil {
		return md
	}
	md.Set(impersonateUser, url.PathEscape(i.User))
	if i.UID != "" {
		md.Set(impersonateUID, url.PathEscape(i.UID))
	}
	for _, g := range i.Groups {
		md.Append(impersonateGroup, url.PathEscape(g))
	}
	appendExtra(md, impersonateExtra, i.Extra)
	return md
}

// impersonationOf reads whom a call wants to be made as; nil where it does not want that.
func impersonationOf(md metadata.MD) (*Impersonation, error) {
	some := false
	for key := range md {
		some = some || strings.HasPrefix(key, impersonatePrefix)
	}
	if !some {
		return nil, nil //nolint:nilnil // as most calls
	}
	i := &Impersonation{}
	for key, to := range map[string]*string{impersonateUser: &i.User, impersonateUID: &i.UID} {
		values, err := unescaped(md.Get(key))
		if err != nil {
			return nil, err
		}
		if len(values) > 1 {
			return nil, apierror.BadRequest("%d values of %s came with the call, send one", len(values), key)
		}
		if len(values) == 1 {
			*to = values[0]
		}
	}
	var err error
	if i.Groups, err = unescaped(md.Get(impersonateGroup)); err != nil {
		return nil, err
	}
	if i.Extra, err = extraOf(md, impersonateExtra); err != nil {
		return nil, err
	}
	switch {
	case i.User == "":
		return nil, apierror.BadRequest("the call is to be made as somebody else, and does not say as whom; send Impersonate-User too")
	case len(i.Groups) > maxImpersonatedGroups:
		return nil, apierror.BadRequest("%d groups came with the call, send at most %d", len(i.Groups), maxImpersonatedGroups)
	}
	return i, nil
}

// impersonated returns whom a caller acts as, if it may.
func impersonated(ctx context.Context, authorizer Authorizer, caller *Identity, i *Impersonation) (*Identity, error) {
	for _, name := range append([]string{i.User}, i.Groups...) {
		if strings.HasPrefix(name, wire.ServiceUserPrefix) {
			return nil, apierror.Forbidden(apierror.Resource{Plural: "users"}, name, "nobody acts as one of Fairlead's own services")
		}
	}
	for _, a := range i.rights() {
		if err := authorizer.Authorize(ctx, caller, a); err != nil {
			return nil, err
		}
	}
	id := &Identity{
		User: i.User, UID: i.UID, Groups: append([]string(nil), i.Groups...), Extra: i.Extra,
		Expires: caller.Expires, Source: SourceToken, Impersonator: caller,
	}
	// Names that begin so are the cluster's, whoever says them; others are of those among whom the caller is.
	if caller.Source.OfCluster() || strings.HasPrefix(i.User, reservedPrefix) {
		id.Source = SourceCluster
	}
	if id.Source == SourceCluster && !caller.Source.OfCluster() {
		for n, g := range id.Groups { // the caller may act in groups of ours, not in the cluster's of the same name
			if !strings.HasPrefix(g, reservedPrefix) {
				id.Groups[n] = ClusterPrefix + g
			}
		}
	}
	if namespace, _, ok := serviceAccount(i.User); ok && len(i.Groups) == 0 {
		id.Groups = []string{groupServiceAccounts, groupServiceAccounts + ":" + namespace}
	}
	everybody := groupAuthenticated
	if i.User == userAnonymous {
		everybody = groupUnauthenticated
	}
	if !slices.Contains(id.Groups, everybody) {
		id.Groups = append(id.Groups, everybody)
	}
	return id, nil
}

// rights are what a caller needs to act so: what Kubernetes asks, and for groups of the cluster's and its users but service
// accounts the right to everything.
func (i *Impersonation) rights() []Attributes {
	_, _, account := serviceAccount(i.User)
	everything := !account && strings.HasPrefix(i.User, reservedPrefix)
	for _, g := range i.Groups {
		everything = everything || strings.HasPrefix(g, reservedPrefix) && g != groupAuthenticated
	}
	out := ActsAs(i.User, i.UID, i.Groups, i.Extra)
	if everything {
		out = append(out, Attributes{Verb: "*", Group: "*", Resource: "*"})
	}
	return out
}
