// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// caller is who sent a request.
type caller struct {
	user   string
	groups []string
	uid    string
	extra  map[string][]string
	// cluster tells that the caller is one of the cluster's own, which knows it by the same names.
	cluster bool
	// authorization is the caller's own header, handed on to gRPC.
	authorization string
}

type callerKey struct{}

func withCaller(ctx context.Context, c *caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerFrom(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	return c
}

// outgoing returns the context of a gRPC call on behalf of the caller of r.
func outgoing(r *http.Request) context.Context {
	pairs := []string{"authorization", r.Header.Get("Authorization"), "x-request-id", r.Header.Get(headerRequestID)}
	for _, agent := range program(r.Context(), r).Get(rpc.UserAgentKey) {
		pairs = append(pairs, rpc.UserAgentKey, agent)
	}
	return metadata.AppendToOutgoingContext(r.Context(), pairs...)
}

// program says which program the caller of r is, as far as gRPC can carry it. gRPC's own user agent is the gateway's.
func program(_ context.Context, r *http.Request) metadata.MD {
	agent := r.UserAgent()
	if agent == "" || strings.ContainsFunc(agent, func(c rune) bool { return c < ' ' || c > '~' }) {
		return nil
	}
	return metadata.Pairs(rpc.UserAgentKey, agent)
}

// identities asks auth whom tokens stand for, and remembers it for a moment.
type identities struct {
	client authv1.TokenServiceClient
	ttl    time.Duration

	mu    sync.Mutex
	known map[string]knownCaller
}

type knownCaller struct {
	caller *caller
	until  time.Time
}

// maxKnown bounds what is remembered.
const maxKnown = 10_000

func newIdentities(conn *grpc.ClientConn, ttl time.Duration) *identities {
	return &identities{client: authv1.NewTokenServiceClient(conn), ttl: ttl, known: map[string]knownCaller{}}
}

// of returns who sent r, or an Unauthorized error.
func (i *identities) of(r *http.Request) (*caller, error) {
	header := r.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(header, " ")
	if header == "" || !strings.EqualFold(scheme, "bearer") || strings.TrimSpace(token) == "" {
		return nil, apierror.Unauthorized("no token came with the request; send the header \"Authorization: Bearer TOKEN\"")
	}
	now := time.Now()
	i.mu.Lock()
	k, ok := i.known[header]
	i.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.caller, nil
	}
	ctx, cancel := context.WithTimeout(outgoing(r), 10*time.Second)
	defer cancel()
	res, err := i.client.WhoAmI(ctx, &authv1.WhoAmIRequest{})
	if err != nil {
		return nil, apierror.FromStatus(err)
	}
	c := &caller{
		user: res.GetUser(), groups: res.GetGroups(), uid: res.GetUid(), extra: map[string][]string{},
		cluster: res.GetSource() == string(rpc.SourceCluster), authorization: header,
	}
	for key, values := range res.GetExtra() {
		c.extra[key] = values.GetItems()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.known) >= maxKnown {
		clear(i.known)
	}
	i.known[header] = knownCaller{caller: c, until: now.Add(i.ttl)}
	return c, nil
}
