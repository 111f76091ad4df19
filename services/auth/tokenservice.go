// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

const (
	reservedPrefix = "system:"
	maxNameBytes   = 253
	maxGroups      = 100
	maxAudiences   = 10
)

// tokenResource is what errors about tokens are about.
func tokenResource() apierror.Resource {
	return apierror.Resource{Group: Group, Plural: "tokens", Kind: "Token"}
}

// tokenService issues and revokes tokens.
type tokenService struct {
	authv1.UnimplementedTokenServiceServer

	server *Server
}

// Issue makes a token.
func (t *tokenService) Issue(ctx context.Context, r *authv1.IssueRequest) (*authv1.IssueResponse, error) {
	made, err := t.issue(ctx, tokenSpec{
		user: r.GetUser(), groups: r.GetGroups(), audiences: r.GetAudiences(),
		lifetime: time.Duration(r.GetExpirationSeconds()) * time.Second,
	})
	if err != nil {
		return nil, err
	}
	return &authv1.IssueResponse{Token: made.token, Id: made.id, ExpirationTimestamp: timestamppb.New(made.expires)}, nil
}

// Kubeconfig makes a kubeconfig with a new token in it.
func (t *tokenService) Kubeconfig(ctx context.Context, r *authv1.KubeconfigRequest) (*authv1.KubeconfigResponse, error) {
	target, err := t.server.kubeconfigTarget()
	if err != nil {
		return nil, err
	}
	made, err := t.issue(ctx, tokenSpec{
		user: r.GetUser(), groups: r.GetGroups(), lifetime: time.Duration(r.GetExpirationSeconds()) * time.Second,
	})
	if err != nil {
		return nil, err
	}
	text, err := target.kubeconfig(r.GetUser(), r.GetNamespace(), made.token)
	if err != nil {
		return nil, err
	}
	return &authv1.KubeconfigResponse{Kubeconfig: text}, nil
}

// Revoke makes a token worthless.
func (t *tokenService) Revoke(ctx context.Context, r *authv1.RevokeRequest) (*authv1.RevokeResponse, error) {
	expires, ok := expiryOf(r.GetId())
	if !ok {
		return nil, apierror.BadRequest("id: this is no token's id, which is the `jti` claim, and comes with the token when it is issued")
	}
	left := expires.Sub(t.server.tokens.now())
	if left <= 0 {
		return &authv1.RevokeResponse{}, nil
	}
	if err := t.server.revocations.add(ctx, r.GetId(), min(left, t.server.cfg.MaxTokenLifetime)); err != nil {
		return nil, apierror.Unavailable(time.Second, "the token could not be revoked; try again").Wrap(err)
	}
	return &authv1.RevokeResponse{}, nil
}

// WhoAmI tells who the caller is taken for.
func (t *tokenService) WhoAmI(ctx context.Context, _ *authv1.WhoAmIRequest) (*authv1.WhoAmIResponse, error) {
	id, ok := rpc.IdentityFrom(ctx)
	if !ok {
		return nil, apierror.Unauthorized("no caller is known; send a token")
	}
	res := &authv1.WhoAmIResponse{
		User: id.User, Groups: id.Groups, TokenId: id.TokenID, Uid: id.UID, Source: string(cmp.Or(id.Source, rpc.SourceToken)),
	}
	for key, values := range id.Extra {
		if res.Extra == nil {
			res.Extra = map[string]*authv1.ExtraValue{}
		}
		res.Extra[key] = &authv1.ExtraValue{Items: values}
	}
	return res, nil
}

// issue makes a token if its caller has every right that it gives.
func (t *tokenService) issue(ctx context.Context, spec tokenSpec) (*issued, error) {
	s := t.server
	if spec.lifetime == 0 {
		spec.lifetime = s.cfg.TokenLifetime
	}
	if err := checkSpec(spec, s.cfg.MaxTokenLifetime); err != nil {
		return nil, err
	}
	caller, ok := rpc.IdentityFrom(ctx)
	if !ok {
		return nil, apierror.Unauthorized("no caller is known; send a token")
	}
	other := &rpc.Identity{User: spec.user, Groups: spec.groups}
	lacks, err := s.policy.exceeds(ctx, caller, other)
	if err != nil {
		return nil, err
	}
	if len(lacks) > 0 {
		return nil, apierror.Forbidden(tokenResource(), spec.user,
			"a token for user %q is forbidden: it would have rights that user %q has not: %s", spec.user, caller.User, listed(lacks))
	}
	bound, err := s.exceedsInCluster(ctx, caller, other)
	if err != nil {
		return nil, err
	}
	if bound != "" {
		return nil, apierror.Forbidden(tokenResource(), spec.user,
			"a token for user %q is forbidden: the cluster gives rights to %q, which user %q may not have", spec.user, bound, caller.Real().User)
	}
	return s.tokens.mint(ctx, spec)
}

// checkSpec tells every fault of what a token is wanted for.
func checkSpec(spec tokenSpec, longest time.Duration) error {
	var causes []apierror.Cause
	causes = append(causes, checkName("user", spec.user)...)
	if len(spec.groups) > maxGroups {
		causes = append(causes, apierror.Invalid("groups", fmt.Sprintf("Invalid value: at most %d are allowed", maxGroups)))
	} else {
		for i, group := range spec.groups {
			causes = append(causes, checkName(fmt.Sprintf("groups[%d]", i), group)...)
		}
	}
	if len(spec.audiences) > maxAudiences {
		causes = append(causes, apierror.Invalid("audiences", fmt.Sprintf("Invalid value: at most %d are allowed", maxAudiences)))
	} else {
		for i, audience := range spec.audiences {
			if audience == "" || len(audience) > maxNameBytes {
				causes = append(causes, apierror.Invalid(fmt.Sprintf("audiences[%d]", i), fmt.Sprintf("Invalid value: it must have 1 to %d bytes", maxNameBytes)))
			}
		}
	}
	if spec.lifetime < 0 || spec.lifetime > longest {
		causes = append(causes, apierror.Invalid("expirationSeconds",
			fmt.Sprintf("Invalid value: %d: must be between 1 and %d", int64(spec.lifetime/time.Second), int64(longest/time.Second))))
	}
	if len(causes) == 0 {
		return nil
	}
	return apierror.InvalidObject(tokenResource(), spec.user, causes)
}

// checkName refuses names of users and groups that would not come through HTTP headers as they are, and those that are
// the cluster's and Fairlead's own.
func checkName(field, name string) []apierror.Cause {
	switch {
	case name == "":
		return []apierror.Cause{apierror.Required(field, "Required value")}
	case len(name) > maxNameBytes:
		return []apierror.Cause{{Field: field, Reason: apierror.CauseTooLong, Message: fmt.Sprintf("Too long: may not be more than %d bytes", maxNameBytes)}}
	case strings.HasPrefix(name, reservedPrefix):
		return []apierror.Cause{apierror.ForbiddenField(field, fmt.Sprintf("Forbidden: %q: names that begin with %q are reserved", name, reservedPrefix))}
	case !utf8.ValidString(name), strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }), strings.TrimSpace(name) != name:
		return []apierror.Cause{apierror.Invalid(field, fmt.Sprintf("Invalid value: %q: only printable characters are allowed, and no space at the ends", name))}
	default:
		return nil
	}
}
