// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/wire"
)

// Metadata by which a gateway says for whom it calls, where that is known otherwise than by a token. It is believed of
// services that call for others, and of the same process; from anybody else it is refused. Values are percent-encoded.
// What else is known of a caller is KEY=VALUE, both encoded: keys of metadata cannot hold all that such keys do.
const (
	remotePrefix = "x-remote-"
	remoteUser   = remotePrefix + "user"
	remoteUID    = remotePrefix + "uid"
	remoteGroup  = remotePrefix + "group"
	remoteExtra  = remotePrefix + "extra"
	// remoteSource is the Source, and remoteExpires the Unix time at which what the caller was known by ceases to hold.
	remoteSource  = remotePrefix + "source"
	remoteExpires = remotePrefix + "expires"
)

// forwarders are the services that call for others than themselves: the gateway, and auth, which commits what callers
// apply. A gateway never calls for itself.
func forwarders() []string { return []string{wire.ServiceGateway, wire.ServiceAuth} }

// RemoteMetadata says for whom a call is made: who really calls, and whom they act as if that is another.
func RemoteMetadata(id *Identity) metadata.MD {
	md := metadata.MD{}
	id = id.Real()
	md.Set(remoteUser, url.PathEscape(id.User))
	md.Set(remoteSource, url.PathEscape(string(id.Source)))
	if id.UID != "" {
		md.Set(remoteUID, url.PathEscape(id.UID))
	}
	for _, g := range id.Groups {
		md.Append(remoteGroup, url.PathEscape(g))
	}
	appendExtra(md, remoteExtra, id.Extra)
	if !id.Expires.IsZero() {
		md.Set(remoteExpires, strconv.FormatInt(id.Expires.Unix(), 10))
	}
	return md
}

// OnBehalf returns the metadata of calls that are made for the caller of ctx: as the caller is known, and impersonating
// whom it impersonates. It is nil where there is none: nothing must be called in the name of a service by mistake.
func OnBehalf(ctx context.Context) metadata.MD {
	in, _ := metadata.FromIncomingContext(ctx)
	out := metadata.MD{}
	id, known := IdentityFrom(ctx)
	switch {
	case known && callFrom(ctx).remote:
		out = RemoteMetadata(id)
	case len(in.Get(AuthorizationKey)) > 0:
		out.Set(AuthorizationKey, in.Get(AuthorizationKey)...)
	default:
		return nil
	}
	for key, values := range in {
		if strings.HasPrefix(key, impersonatePrefix) {
			out.Set(key, values...)
		}
	}
	return out
}

// hasRemote tells whether a call says for whom it is made.
func hasRemote(md metadata.MD) bool {
	for key := range md {
		if strings.HasPrefix(key, remotePrefix) {
			return true
		}
	}
	return false
}

// mayForward tells whether the call comes from whom it is believed for whom it is made: a service that calls for others, by
// its certificate, or this process.
func mayForward(ctx context.Context, service string) bool {
	if slices.Contains(forwarders(), service) {
		return true
	}
	p, ok := peer.FromContext(ctx)
	return ok && p.Addr != nil && p.Addr.Network() == inMemoryNetwork
}

// remoteIdentity reads for whom a call is made.
func remoteIdentity(md metadata.MD) (*Identity, error) {
	id := &Identity{}
	one := func(key string, to *string) error {
		switch values, err := unescaped(md.Get(key)); {
		case err != nil:
			return err
		case len(values) > 1:
			return apierror.Unauthorized("%d values of %s came with the call, send one", len(values), key)
		case len(values) == 1:
			*to = values[0]
		}
		return nil
	}
	var source, expires string
	for key, to := range map[string]*string{remoteUser: &id.User, remoteUID: &id.UID, remoteSource: &source, remoteExpires: &expires} {
		if err := one(key, to); err != nil {
			return nil, err
		}
	}
	if id.User == "" {
		return nil, apierror.Unauthorized("%s is missing: the call says of its caller all but the name", remoteUser)
	}
	switch id.Source = Source(source); id.Source {
	case SourceUserCertificate, SourceClusterCertificate, SourceFrontProxy:
	default:
		return nil, apierror.Unauthorized("%s is %q, which is nothing that a caller is known by without a token", remoteSource, source)
	}
	if expires != "" {
		seconds, err := strconv.ParseInt(expires, 10, 64)
		if err != nil {
			return nil, apierror.Unauthorized("%s is no Unix time", remoteExpires)
		}
		id.Expires = time.Unix(seconds, 0)
	}
	var err error
	if id.Groups, err = unescaped(md.Get(remoteGroup)); err != nil {
		return nil, err
	}
	id.Extra, err = extraOf(md, remoteExtra)
	return id, err
}

// appendExtra says what else is known of a caller.
func appendExtra(md metadata.MD, key string, extra map[string][]string) {
	for name, values := range extra {
		for _, v := range values {
			md.Append(key, url.QueryEscape(name)+"="+url.PathEscape(v))
		}
	}
}

// extraOf reads what else is said of a caller: values of key, as NAME=VALUE, and those of keys that begin with it, as
// impersonate-extra-NAME.
func extraOf(md metadata.MD, key string) (map[string][]string, error) {
	out := map[string][]string{}
	for _, pair := range md.Get(key) {
		name, value, ok := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if !ok || err != nil || plain == "" {
			return nil, apierror.Unauthorized("a value of %s is no NAME=VALUE, both percent-encoded", key)
		}
		values, err := unescaped([]string{value})
		if err != nil {
			return nil, err
		}
		out[plain] = append(out[plain], values...)
	}
	for one := range md {
		name, ok := strings.CutPrefix(one, key+"-")
		if !ok || name == "" {
			continue
		}
		values, err := unescaped(md.Get(one))
		if err != nil {
			return nil, err
		}
		out[name] = append(out[name], values...)
	}
	if len(out) == 0 {
		return nil, nil //nolint:nilnil // nothing, as most callers say
	}
	return out, nil
}

func unescaped(values []string) ([]string, error) {
	var out []string
	for _, v := range values {
		plain, err := url.PathUnescape(v)
		if err != nil {
			return nil, apierror.Unauthorized("a value of the call's metadata is not percent-encoded as in URLs")
		}
		out = append(out, plain)
	}
	return out, nil
}
