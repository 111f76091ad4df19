// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// minClusterTokenLifetime is the shortest that Kubernetes issues tokens for.
const minClusterTokenLifetime = 10 * time.Minute

// impersonation returns by which names a caller is impersonated in the cluster.
func impersonation(id *rpc.Identity) rest.ImpersonationConfig {
	as := inCluster(id)
	extra := map[string][]string{}
	for key, values := range as.Extra {
		extra[key] = values
	}
	return rest.ImpersonationConfig{UserName: as.User, UID: as.UID, Groups: as.Groups, Extra: extra}
}

// IssueForServiceAccount asks the cluster for a token in the caller's name: the cluster says whether the caller may have it.
// Rights that roles of ours give to the service account must be the caller's as well, as for every token.
func (t *tokenService) IssueForServiceAccount(ctx context.Context, r *authv1.IssueForServiceAccountRequest) (*authv1.IssueForServiceAccountResponse, error) {
	s := t.server
	caller, ok := rpc.IdentityFrom(ctx)
	if !ok {
		return nil, apierror.Unauthorized("no caller is known")
	}
	if s.mirror == nil {
		return nil, apierror.Unavailable(time.Minute, "this server has no service accounts")
	}
	accounts := apierror.Resource{Group: Group, Plural: s.kinds.serviceAccount.Plural, Kind: s.kinds.serviceAccount.Kind}
	if err := checkSpec(tokenSpec{user: "-", audiences: r.GetAudiences()}, s.cfg.MaxTokenLifetime); err != nil {
		return nil, err
	}
	user := serviceAccountPrefix + r.GetNamespace() + ":" + r.GetName()
	lacks, err := s.policy.exceeds(ctx, caller, &rpc.Identity{
		User: user, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + r.GetNamespace()}, Source: rpc.SourceCluster,
	})
	if err != nil {
		return nil, err
	}
	if len(lacks) > 0 && caller.User != user {
		return nil, apierror.Forbidden(accounts, r.GetName(),
			"a token for %q is forbidden: it would have rights that user %q has not: %s", user, caller.User, listed(lacks))
	}
	config := s.mirror.Kube().Config()
	config.Impersonate = impersonation(caller)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, apierror.Internal(err)
	}
	lifetime := time.Duration(r.GetExpirationSeconds()) * time.Second
	if lifetime == 0 {
		lifetime = s.cfg.TokenLifetime
	}
	seconds := int64(max(lifetime, minClusterTokenLifetime) / time.Second)
	audiences := r.GetAudiences()
	if len(audiences) == 0 {
		audiences = []string{s.cfg.Audience}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	made, err := client.CoreV1().ServiceAccounts(r.GetNamespace()).CreateToken(ctx, r.GetName(), &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds},
	}, kmetav1.CreateOptions{})
	if err != nil {
		return nil, fromCluster(accounts, r.GetName(), err)
	}
	return &authv1.IssueForServiceAccountResponse{Token: made.Status.Token, ExpirationTimestamp: timestamppb.New(made.Status.ExpirationTimestamp.Time)}, nil
}

// fromCluster tells a caller what the cluster refuses.
func fromCluster(r apierror.Resource, name string, err error) error {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsNotFound(err):
		return apierror.NotFound(r, name)
	case apierrors.IsForbidden(err) && errors.As(err, &status):
		return apierror.Forbidden(r, name, "the Kubernetes behind refuses: %s", status.Status().Message)
	case apierrors.IsInvalid(err) && errors.As(err, &status):
		return apierror.BadRequest("the Kubernetes behind refuses: %s", status.Status().Message)
	}
	return apierror.Unavailable(time.Second, "the Kubernetes behind does not answer; try again in a moment").Wrap(err)
}
