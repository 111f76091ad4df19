// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// callback is where the issuer sends the browser back to.
const callback = "/callback"

// Browser signs somebody in by a browser: an authorization code with PKCE, which comes to a port of this machine, any one if
// port is 0. show is told the page to open.
func (c *Client) Browser(ctx context.Context, port int, show func(page string)) (*Grant, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("wait for the browser: %w", err)
	}
	config := c.config
	config.RedirectURL = "http://" + listener.Addr().String() + callback
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	answers := make(chan answer, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one, ok := read(r, state)
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if one.err == nil {
			_, _ = w.Write([]byte("You are signed in at your issuer. Go back to the command line; this page can be closed.\n"))
		} else {
			_, _ = w.Write([]byte("You are not signed in. The command line tells more.\n"))
		}
		select {
		case answers <- one:
		default: // only the first counts
		}
	}), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends by Shutdown; a browser that is not served tells by itself
	}()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second) // so that the page arrives
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-served
	}()
	show(config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)))
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("nobody signed in: %w", context.Cause(ctx))
	case one := <-answers:
		if one.err != nil {
			return nil, one.err
		}
		token, err := config.Exchange(c.context(ctx), one.code, oauth2.VerifierOption(verifier))
		if err != nil {
			return nil, fmt.Errorf("the issuer gave no token: %w", err)
		}
		return c.take(ctx, token, nonce)
	}
}

// answer is what a browser brings from the issuer.
type answer struct {
	code string
	err  error
}

// read reads what a browser brings; false for what is no answer to the request of that state.
func read(r *http.Request, state string) (answer, bool) {
	q := r.URL.Query()
	switch {
	case r.Method != http.MethodGet, r.URL.Path != callback, subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1:
		return answer{}, false
	case q.Get("error") != "":
		return answer{err: fmt.Errorf("the issuer says %q: %s", q.Get("error"), q.Get("error_description"))}, true
	case q.Get("code") == "":
		return answer{}, false
	}
	return answer{code: q.Get("code")}, true
}

// Device signs somebody in who has a browser elsewhere. show is told the page to open there, and the code to enter.
func (c *Client) Device(ctx context.Context, show func(page, code string)) (*Grant, error) {
	if c.config.Endpoint.DeviceAuthURL == "" {
		return nil, errors.New("the issuer has no device flow; sign in without --device")
	}
	begun, err := c.config.DeviceAuth(c.context(ctx))
	if err != nil {
		return nil, fmt.Errorf("the issuer gave no device code: %w", err)
	}
	page, code := begun.VerificationURIComplete, ""
	if page == "" {
		page, code = begun.VerificationURI, begun.UserCode
	}
	show(page, code)
	token, err := c.config.DeviceAccessToken(c.context(ctx), begun)
	if err != nil {
		return nil, fmt.Errorf("the issuer gave no token: %w", err)
	}
	return c.take(ctx, token, "")
}
