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
	audiences := r.GetAudiences()
	if len(audiences) == 0 {
		audiences = []string{t.server.cfg.Audience}
	}
	made, err := t.requestToken(ctx, r.GetNamespace(), r.GetName(), audiences, time.Duration(r.GetExpirationSeconds())*time.Second)
	if err != nil {
		return nil, err
	}
	return &authv1.IssueForServiceAccountResponse{Token: made.Token, ExpirationTimestamp: timestamppb.New(made.ExpirationTimestamp.Time)}, nil
}

// KubeconfigForServiceAccount makes a kubeconfig with a token of a service account: for us, or for the cluster itself.
func (t *tokenService) KubeconfigForServiceAccount(ctx context.Context, r *authv1.KubeconfigForServiceAccountRequest) (*authv1.KubeconfigForServiceAccountResponse, error) {
	target, err := t.server.kubeconfigTarget()
	audiences := []string{t.server.cfg.Audience}
	if r.GetTarget() == targetCluster {
		target, err = t.server.clusterTarget()
		audiences = nil // the cluster's own
	}
	if err != nil {
		return nil, err
	}
	made, err := t.requestToken(ctx, r.GetNamespace(), r.GetName(), audiences, time.Duration(r.GetExpirationSeconds())*time.Second)
	if err != nil {
		return nil, err
	}
	text, err := target.kubeconfig(serviceAccountPrefix+r.GetNamespace()+":"+r.GetName(), r.GetNamespace(), made.Token)
	if err != nil {
		return nil, err
	}
	return &authv1.KubeconfigForServiceAccountResponse{Kubeconfig: text, ExpirationTimestamp: timestamppb.New(made.ExpirationTimestamp.Time)}, nil
}

// requestToken asks the cluster for a token of a service account. A lifetime of 0 is that of tokens of ours.
func (t *tokenService) requestToken(ctx context.Context, namespace, name string, audiences []string, lifetime time.Duration) (*authenticationv1.TokenRequestStatus, error) {
	s := t.server
	caller, ok := rpc.IdentityFrom(ctx)
	if !ok {
		return nil, apierror.Unauthorized("no caller is known; send a token")
	}
	if err := s.reviews.mayActAs(ctx, caller); err != nil {
		return nil, err
	}
	if s.mirror == nil {
		return nil, apierror.Unavailable(time.Minute, "this server has no service accounts, since it knows no Kubernetes; start it with --kubeconfig")
	}
	accounts := apierror.Resource{Group: Group, Plural: s.kinds.serviceAccount.Plural, Kind: s.kinds.serviceAccount.Kind}
	if err := checkSpec(tokenSpec{user: "-", audiences: audiences}, s.cfg.MaxTokenLifetime); err != nil {
		return nil, err
	}
	user := serviceAccountPrefix + namespace + ":" + name
	lacks, err := s.policy.exceeds(ctx, caller, &rpc.Identity{
		User: user, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace}, Source: rpc.SourceCluster,
	})
	if err != nil {
		return nil, err
	}
	if len(lacks) > 0 && caller.User != user {
		return nil, apierror.Forbidden(accounts, name,
			"a token for %q is forbidden: it would have rights that user %q has not: %s", user, caller.User, listed(lacks))
	}
	config := s.mirror.Kube().Config()
	config.Impersonate = impersonation(caller)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, apierror.Internal(err)
	}
	if lifetime == 0 {
		lifetime = s.cfg.TokenLifetime
	}
	seconds := int64(max(lifetime, minClusterTokenLifetime) / time.Second)
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	made, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds},
	}, kmetav1.CreateOptions{})
	if err != nil {
		return nil, fromCluster(accounts, name, err)
	}
	return &made.Status, nil
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
