// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/wire"
)

// ServiceCredentials returns credentials of one of Fairlead's own services: user `system:fairlead:NAME` in the group
// `system:fairlead:services`. They make a new token when two thirds of the last one's lifetime have passed.
func (v *Verifier) ServiceCredentials(name string) credentials.PerRPCCredentials {
	return &serviceCredentials{tokens: v.tokens, spec: tokenSpec{
		user: wire.ServiceUserPrefix + name, groups: []string{wire.GroupServices}, lifetime: v.cfg.ServiceTokenLifetime,
	}}
}

type serviceCredentials struct {
	tokens *tokens
	spec   tokenSpec

	mu    sync.Mutex
	last  *issued
	renew time.Time
}

// GetRequestMetadata returns the authorization of a call.
func (c *serviceCredentials) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.tokens.now(); c.last == nil || now.After(c.renew) {
		made, err := c.tokens.mint(ctx, c.spec)
		if err != nil {
			return nil, err
		}
		c.last, c.renew = made, now.Add(c.spec.lifetime*2/3)
	}
	return map[string]string{rpc.AuthorizationKey: "Bearer " + c.last.token}, nil
}

// RequireTransportSecurity is false: services of one installation call each other within a process or over loopback.
func (c *serviceCredentials) RequireTransportSecurity() bool { return false }
