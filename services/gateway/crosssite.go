// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"net/http"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// pages knows which web pages act for the owners of browsers. A browser shows its owner's certificate to whatever page has it
// send a request; tokens it does not send by itself, and front proxies know their own pages.
type pages struct{ protection *http.CrossOriginProtection }

// newPages takes pages of our own, and of origins.
func newPages(origins []string) (*pages, error) {
	p := http.NewCrossOriginProtection()
	for _, origin := range origins {
		if err := p.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("gateway: WebOrigins: %w", err)
		}
	}
	return &pages{p}, nil
}

// check refuses what changes something, or opens a websocket, by a certificate that a page of somebody else's made a browser show.
func (p *pages) check(r *http.Request, c credentials) error {
	if c.remote == nil || c.remote.Source == rpc.SourceFrontProxy {
		return nil
	}
	if upgrades(r) {
		r = r.WithContext(r.Context()) // a copy
		r.Method = http.MethodPost     // answers to it can be read by any page, unlike those to GET
	}
	if err := p.protection.Check(r); err != nil {
		return apierror.Forbidden(apierror.Resource{}, "", "a web page of another site sent the request with your client certificate; "+
			"pages whose origins --web-origin names may, and others may with a token")
	}
	return nil
}
