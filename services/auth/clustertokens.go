// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/wire"
)

const (
	// tokenHolds is for how long it is remembered that the cluster knows a token. kube-apiserver itself goes on accepting
	// the tokens of a deleted service account for up to 10 s; this adds little.
	tokenHolds = 300 * time.Millisecond
	// noTokenHolds is for how long it is remembered that the cluster does not know a token: long enough to make asking again
	// and again cheap, short enough for one that becomes valid.
	noTokenHolds = 5 * time.Second
	// tokensOfStrangers and burstOfStrangers bound how many tokens a second the cluster is asked about that it has not known
	// a short while ago, so that made-up ones do not take the cluster's time from everyone.
	tokensOfStrangers, burstOfStrangers = 100, 200
	// maxFamiliar bounds how many tokens are remembered as once known.
	maxFamiliar = 10_000
)

// foreign returns what a token says of itself if it is a JWT that another than we has issued, who go by the names of own.
// Nothing of it is verified.
func foreign(token string, own []string) (*jwt.RegisteredClaims, bool) {
	if len(token) > maxTokenBytes {
		return nil, false
	}
	c := &jwt.RegisteredClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, c); err != nil {
		return nil, false
	}
	return c, c.Issuer != "" && !slices.Contains(own, c.Issuer)
}

// clusterTokens has the cluster say whose a token is. Only service accounts are taken from it: other users of the cluster
// could bear the names of ours.
type clusterTokens struct {
	cluster  Cluster
	audience string
	answers  *answers[*rpc.Identity] // nil for tokens that do not hold
	// strangers is asked before the cluster is, for tokens that are not familiar.
	strangers *rate.Limiter
	familiar  *familiar
}

func newClusterTokens(c Cluster, audience string) *clusterTokens {
	return &clusterTokens{
		cluster: c, audience: audience, answers: newAnswers[*rpc.Identity](),
		strangers: rate.NewLimiter(tokensOfStrangers, burstOfStrangers), familiar: newFamiliar(maxFamiliar),
	}
}

// authenticate returns whom a token of the cluster's stands for. The claims are what it says of itself.
func (t *clusterTokens) authenticate(ctx context.Context, token string, c *jwt.RegisteredClaims) (*rpc.Identity, error) {
	q := question(sha256.Sum256([]byte(token)))
	id, err := t.answers.get(ctx, q, func(ctx context.Context) (*rpc.Identity, time.Duration, error) {
		if !t.familiar.has(q) && !t.strangers.Allow() {
			return nil, 0, errTooManyStrangers
		}
		id, err := t.review(ctx, token, c)
		if err != nil {
			return nil, 0, err
		}
		if id == nil {
			return nil, noTokenHolds, nil
		}
		t.familiar.add(q)
		return id, tokenHolds, nil
	})
	switch {
	case errors.Is(err, errTooManyStrangers):
		return nil, apierror.Unavailable(time.Second, "%s", errTooManyStrangers)
	case err != nil:
		return nil, apierror.Unavailable(time.Second,
			"the token is none of ours, and the Kubernetes behind does not say whether it is one of its own; try again in a moment").Wrap(err)
	case id == nil:
		return nil, apierror.Unauthorized("neither this installation nor the Kubernetes behind takes the token for a valid one of its own; %s", howToRenew)
	case !id.Expires.IsZero() && !time.Now().Before(id.Expires):
		return nil, apierror.Unauthorized("the token has expired; %s", howToRenew)
	}
	return id, nil
}

var errTooManyStrangers = errors.New("too many unknown tokens are sent; try again in a moment")

// review asks the cluster. It returns nil for a token that does not hold, or is no service account's.
func (t *clusterTokens) review(ctx context.Context, token string, c *jwt.RegisteredClaims) (*rpc.Identity, error) {
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	if slices.Contains(c.Audience, t.audience) {
		review.Spec.Audiences = []string{t.audience} // otherwise it has to be for the cluster's API
	}
	answer, err := t.cluster.Clientset().AuthenticationV1().TokenReviews().Create(ctx, review, kmetav1.CreateOptions{})
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the caller
	}
	s := answer.Status
	if !s.Authenticated || !strings.HasPrefix(s.User.Username, serviceAccountPrefix) {
		return nil, nil //nolint:nilnil // an answer as well
	}
	if len(review.Spec.Audiences) > 0 && !slices.Contains(s.Audiences, t.audience) {
		return nil, nil //nolint:nilnil // an answer as well: the cluster does not know of audiences
	}
	id := &rpc.Identity{User: s.User.Username, UID: s.User.UID, Source: rpc.SourceCluster}
	if c.ExpiresAt != nil {
		id.Expires = c.ExpiresAt.Time
	}
	for _, group := range s.User.Groups {
		// Groups of ours are not the cluster's to give, and names without the prefix are.
		if strings.HasPrefix(group, reservedPrefix) && !strings.HasPrefix(group, wire.ServiceUserPrefix) {
			id.Groups = append(id.Groups, group)
		}
	}
	for key, values := range s.User.Extra {
		if id.Extra == nil {
			id.Extra = map[string][]string{}
		}
		id.Extra[key] = values
	}
	return id, nil
}
