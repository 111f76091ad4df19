// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package issuers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

const (
	// notBeforeLeeway is by how much an issuer's clock may be ahead of ours; as much as others allow. When tokens expire
	// there is none.
	notBeforeLeeway = 5 * time.Minute
	// refreshEvery is after how long an issuer is asked again where its keys are, and which.
	refreshEvery = 10 * time.Minute
	// Longest and shortest wait before an issuer that does not answer is asked again.
	minRetry, maxRetry = time.Second, time.Minute
	// maxAnswerBytes bounds what an issuer answers.
	maxAnswerBytes = 1 << 20

	howToRenew = "sign in again: `fairlead login`"
)

// issuer believes the tokens of one issuer.
type issuer struct {
	*authenticator

	log    *slog.Logger
	now    func() time.Time
	client *http.Client
	keys   *keySet
	// ready is closed once the issuer has told of itself.
	ready chan struct{}
	once  sync.Once
}

func newIssuer(a *authenticator, log *slog.Logger, now func() time.Time, changed func()) *issuer {
	client := &http.Client{
		Timeout: keysTimeout,
		Transport: &limited{&http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.roots},
			// A connection now and then is cheap, and one kept is one more thing that can break.
			DisableKeepAlives: true,
		}},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Scheme != "https" || len(via) >= 5 {
				return errors.New("it leads elsewhere without TLS, or in circles")
			}
			return nil
		},
	}
	return &issuer{authenticator: a, log: log, now: now, client: client, keys: newKeySet(client, changed), ready: make(chan struct{})}
}

// limited bounds what is read of answers.
type limited struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxAnswerBytes), res.Body}
	}
	return res, err //nolint:wrapcheck // a pass-through
}

// run asks the issuer of itself until ctx ends. What was learnt before stays while it does not answer.
func (i *issuer) run(ctx context.Context) {
	wait := minRetry
	for {
		err := i.learn(ctx)
		next := refreshEvery
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			i.log.WarnContext(ctx, "auth: an OpenID Connect issuer does not tell of itself; trying again", "issuer", i.url, "error", err, "after", wait)
			next, wait = wait, min(2*wait, maxRetry)
		default:
			wait = minRetry
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// learn asks the issuer where its keys are, and which.
func (i *issuer) learn(ctx context.Context) error {
	client := i.client
	if i.discovery != "" {
		copied := *client
		copied.Transport = &redirected{client.Transport, i.discovery}
		client = &copied
	}
	ctx, cancel := context.WithTimeout(ctx, 2*keysTimeout)
	defer cancel()
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), i.url)
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	var told struct {
		KeysURL string `json:"jwks_uri"`
	}
	if err := provider.Claims(&told); err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	if u, err := url.Parse(told.KeysURL); err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("discovery: jwks_uri %q is no https URL", told.KeysURL)
	}
	i.keys.from(told.KeysURL)
	_, round := i.keys.known()
	if err := i.keys.refresh(ctx, round); err != nil {
		return err
	}
	i.once.Do(func() {
		close(i.ready)
		i.log.InfoContext(ctx, "auth: an OpenID Connect issuer is known", "issuer", i.url)
	})
	return nil
}

// redirected asks for the discovery document where it is.
type redirected struct {
	next http.RoundTripper
	url  string
}

// RoundTrip implements http.RoundTripper.
func (d *redirected) RoundTrip(r *http.Request) (*http.Response, error) {
	u, err := url.Parse(d.url)
	if err != nil {
		return nil, err //nolint:wrapcheck // names the URL
	}
	r = r.Clone(r.Context())
	r.URL, r.Host = u, u.Host
	return d.next.RoundTrip(r) //nolint:wrapcheck // a pass-through
}

// away remembers why a signature could not be checked, which go-oidc's errors do not tell.
type away struct {
	*keySet

	is bool
}

// VerifySignature implements oidc.KeySet.
func (a *away) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := a.keySet.VerifySignature(ctx, token)
	a.is = errors.Is(err, errAway)
	return payload, err
}

// authenticate returns whom a token stands for. The signature is checked before anything else is said about the token.
func (i *issuer) authenticate(ctx context.Context, token string) (*rpc.Identity, error) {
	select {
	case <-i.ready:
	default:
		return nil, i.unreachable()
	}
	algs := algorithms()
	names := make([]string, len(algs))
	for n, alg := range algs {
		names[n] = string(alg)
	}
	keys := &away{keySet: i.keys}
	verifier := oidc.NewVerifier(i.url, keys, &oidc.Config{SupportedSigningAlgs: names, SkipClientIDCheck: true, SkipExpiryCheck: true})
	checked, err := verifier.Verify(ctx, token)
	switch {
	case keys.is:
		return nil, i.unreachable()
	case err != nil:
		return nil, apierror.Unauthorized("the token is not one that its issuer has signed; %s", howToRenew)
	}
	var payload rawClaims
	var times jwt.RegisteredClaims
	if err := errors.Join(checked.Claims(&payload), checked.Claims(&times)); err != nil {
		return nil, apierror.Unauthorized("the token is not valid: its claims have not the form of a token's; %s", howToRenew)
	}
	now := i.now()
	switch {
	case times.ExpiresAt == nil:
		return nil, apierror.Unauthorized("the token is not valid: it does not say when it expires; %s", howToRenew)
	case !now.Before(times.ExpiresAt.Time):
		return nil, apierror.Unauthorized("the token has expired; %s", howToRenew)
	case times.NotBefore != nil && now.Add(notBeforeLeeway).Before(times.NotBefore.Time):
		return nil, apierror.Unauthorized("the token is not valid yet; compare the clocks of its issuer and of this server")
	case !slices.ContainsFunc(checked.Audience, func(audience string) bool { return slices.Contains(i.audiences, audience) }):
		return nil, apierror.Unauthorized("the token is for another audience; %s", howToRenew)
	}
	id, err := i.identity(ctx, payload)
	if err != nil {
		if refused, ok := errors.AsType[*refusal](err); ok {
			return nil, apierror.Unauthorized("the token is signed by its issuer, but not taken: %s; sign in again, or ask whoever runs the server what it takes", refused.text)
		}
		return nil, err
	}
	id.Expires = times.ExpiresAt.Time
	return id, nil
}

// rawClaims are claims as they came.
type rawClaims []byte

// UnmarshalJSON implements json.Unmarshaler.
func (r *rawClaims) UnmarshalJSON(data []byte) error {
	*r = slices.Clone(data)
	return nil
}

func (i *issuer) unreachable() error {
	return apierror.Unavailable(time.Second, "the issuer of the token cannot be asked for its keys; try again in a moment")
}
