// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuertest is an OpenID Connect issuer for tests, on this machine and with TLS: discovery, keys that rotate,
// the authorization code flow with PKCE, device codes and refresh tokens. Everyone who asks is signed in as one user.
package issuertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ClientID is the client that the issuer knows.
const ClientID = "fairlead-cli"

// Issuer is one that runs until its test ends.
type Issuer struct {
	t      testing.TB
	server *httptest.Server
	// URL is the `iss` of its tokens.
	URL string
	// CA is the PEM of its certificate.
	CA string

	mu sync.Mutex
	// what follows is changed by Set.
	settings Settings
	keys     []key
	asked    int // how often for keys
	made     int // codes and refresh tokens
	grants   map[string]grant
}

// Settings are how an issuer behaves.
type Settings struct {
	// Claims are added to tokens that are asked for by a flow.
	Claims map[string]any
	// Lifetime is how long these hold; an hour where it is 0.
	Lifetime time.Duration
	// Away has it answer nothing but errors.
	Away bool
	// Pending is how many times a device is told to wait.
	Pending int
	// NoDevices leaves device codes out.
	NoDevices bool
	// DiscoveryPath is where the discovery document is; where it has to be if it is empty.
	DiscoveryPath string
	// Denies has everyone turned away who wants to sign in.
	Denies bool
}

type key struct {
	id      string
	private *ecdsa.PrivateKey
}

// grant is a code that can be exchanged once, or a refresh token.
type grant struct {
	redirect, challenge, nonce string
}

// Start starts an issuer.
func Start(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t, grants: map[string]grant{}}
	i.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{path...}", i.discovery)
	mux.HandleFunc("GET /keys", i.jwks)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /device", i.device)
	mux.HandleFunc("POST /token", i.token)
	i.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i.get().Away {
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	i.server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that tests break
	i.server.StartTLS()
	t.Cleanup(i.server.Close)
	i.URL = i.server.URL
	i.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.server.Certificate().Raw}))
	return i
}

// Client trusts the issuer.
func (i *Issuer) Client() *http.Client { return i.server.Client() }

// Set changes how the issuer behaves.
func (i *Issuer) Set(change func(*Settings)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(&i.settings)
}

func (i *Issuer) get() Settings {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.settings
}

// Rotate makes a new key, which signs from then on. Those before are told of no longer.
func (i *Issuer) Rotate() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.made++
	i.keys = []key{{fmt.Sprintf("key-%d", i.made), private}}
}

// Asked tells how often somebody asked for the keys.
func (i *Issuer) Asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// Claims are those of a good token, for a test to change.
func (i *Issuer) Claims(subject string) map[string]any {
	now := time.Now()
	return map[string]any{"iss": i.URL, "sub": subject, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
}

// Sign signs claims with the key of the moment.
func (i *Issuer) Sign(claims map[string]any) string {
	i.mu.Lock()
	k := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	return Sign(i.t, jose.ES256, k.private, k.id, claims)
}

// Sign signs claims with any key.
func Sign(t testing.TB, alg jose.SignatureAlgorithm, with any, id string, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	if id != "" {
		options.WithHeader(jose.HeaderKey("kid"), id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: with}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// JWKS returns the keys as they are told.
func (i *Issuer) JWKS() jose.JSONWebKeySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range i.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: string(jose.ES256), Use: "sig"})
	}
	return set
}

func (i *Issuer) discovery(w http.ResponseWriter, r *http.Request) {
	s := i.get()
	want := "/.well-known/openid-configuration"
	if s.DiscoveryPath != "" {
		want = s.DiscoveryPath
	}
	if r.URL.Path != want {
		http.NotFound(w, r)
		return
	}
	document := map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{string(jose.ES256)}, "code_challenge_methods_supported": []string{"S256"},
	}
	if !s.NoDevices {
		document["device_authorization_endpoint"] = i.URL + "/device"
	}
	answer(w, http.StatusOK, document)
}

func (i *Issuer) jwks(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	i.asked++
	i.mu.Unlock()
	answer(w, http.StatusOK, i.JWKS())
}

// authorize signs everyone in at once, as if they had clicked.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || back.Hostname() != "127.0.0.1" {
		http.Error(w, "a request that no client of ours makes", http.StatusBadRequest)
		return
	}
	out := url.Values{"state": {q.Get("state")}}
	if i.get().Denies {
		out.Set("error", "access_denied")
	} else {
		out.Set("code", i.grant("code", grant{q.Get("redirect_uri"), q.Get("code_challenge"), q.Get("nonce")}))
	}
	back.RawQuery = out.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (i *Issuer) grant(kind string, g grant) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.made++
	name := fmt.Sprintf("%s-%d", kind, i.made)
	i.grants[name] = g
	return name
}

func (i *Issuer) device(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"device_code": i.grant("device", grant{}), "user_code": "ABCD-EFGH", "verification_uri": i.URL + "/activate", "expires_in": 60, "interval": 1,
	})
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	refused := func(code string) { answer(w, http.StatusBadRequest, map[string]any{"error": code}) }
	if err := r.ParseForm(); err != nil {
		refused("invalid_request")
		return
	}
	var name string
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		name = r.PostForm.Get("code")
	case "refresh_token":
		name = r.PostForm.Get("refresh_token")
	case "urn:ietf:params:oauth:grant-type:device_code":
		name = r.PostForm.Get("device_code")
		if pending := i.wait(); pending {
			refused("authorization_pending")
			return
		}
	}
	i.mu.Lock()
	g, ok := i.grants[name]
	delete(i.grants, name) // each can be used once: refresh tokens rotate
	s := i.settings
	i.mu.Unlock()
	verifier := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || g.challenge != "" && (base64.RawURLEncoding.EncodeToString(verifier[:]) != g.challenge || r.PostForm.Get("redirect_uri") != g.redirect) {
		refused("invalid_grant")
		return
	}
	claims := i.Claims("ada")
	if s.Lifetime != 0 {
		claims["exp"] = time.Now().Add(s.Lifetime).Unix()
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	maps.Copy(claims, s.Claims)
	answer(w, http.StatusOK, map[string]any{
		"access_token": "opaque", "token_type": "Bearer", "expires_in": 3600, "id_token": i.Sign(claims), "refresh_token": i.grant("refresh", grant{}),
	})
}

func (i *Issuer) wait() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.settings.Pending > 0 {
		i.settings.Pending--
		return true
	}
	return false
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) //nolint:errchkjson // whoever hung up needs no answer
}
