// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/clientauth"
	"fairlead.dev/services/internal/rpc"
)

// caller is who sent a request: whom it acts as, where it acts as somebody else.
type caller struct {
	user   string
	groups []string
	uid    string
	extra  map[string][]string
	// cluster tells that the caller is one of the cluster's own, which knows it by the same names.
	cluster bool
	// aggregated tells that the cluster's kube-apiserver hands on what it was asked: it wants to know of our groups alone,
	// and asking it in turn would have no end.
	aggregated bool
	// metadata says to services for whom they are called: by the caller's own token, or by what else it is known by.
	metadata metadata.MD
	// real is who really calls, where the caller acts as somebody else; nil otherwise.
	real *caller
}

// by returns the caller as one as whom another acts.
func (c *caller) by(other *caller) *caller {
	out := *c
	out.real = other
	return &out
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
	md := program(r.Context(), r)
	if _, ok := md[rpc.AuthorizationKey]; !ok {
		if header := r.Header.Get(headerAuthorization); header != "" {
			md.Set(rpc.AuthorizationKey, header)
		}
	}
	md.Set(rpc.RequestIDKey, r.Header.Get(headerRequestID))
	if sent, ok := metadata.FromOutgoingContext(r.Context()); ok {
		md = metadata.Join(sent, md)
	}
	return metadata.NewOutgoingContext(r.Context(), md)
}

const headerAuthorization = "Authorization"

// program says for whom the caller of r is called for, but for its token, which has a way of its own, and which program the
// caller is, as far as gRPC can carry it. gRPC's own user agent is the gateway's.
func program(_ context.Context, r *http.Request) metadata.MD {
	md := metadata.MD{}
	if c := callerFrom(r.Context()); c != nil {
		for key, values := range c.metadata {
			md.Set(key, values...)
		}
	}
	agent := r.UserAgent()
	if agent != "" && !strings.ContainsFunc(agent, func(c rune) bool { return c < ' ' || c > '~' }) {
		md.Set(rpc.UserAgentKey, agent)
	}
	return md
}

// identities tells who callers are: by client certificates and front proxies it knows itself, and asks auth whom tokens
// stand for, and whom callers may act as. It remembers the answers for a moment.
type identities struct {
	client  authv1.TokenServiceClient
	clients *clientauth.Trust
	ttl     time.Duration

	mu    sync.Mutex
	known map[string]knownCaller
}

type knownCaller struct {
	caller *caller
	until  time.Time
}

// maxKnown bounds what is remembered.
const maxKnown = 10_000

func newIdentities(conn *grpc.ClientConn, clients *clientauth.Trust, ttl time.Duration) *identities {
	if clients == nil {
		clients = clientauth.New()
	}
	return &identities{client: authv1.NewTokenServiceClient(conn), clients: clients, ttl: ttl, known: map[string]knownCaller{}}
}

// credentials are what a request says of its caller. They are taken from its headers, so that nothing behind comes to
// believe what was not looked at, but for the token.
type credentials struct {
	// remote is who calls, by a client certificate or a front proxy; nil where that is for the token to tell.
	remote     *rpc.Identity
	aggregated bool
	// again finds out anew what remote is, once changed is closed. Both are nil without remote.
	again   func() (*rpc.Identity, error)
	changed <-chan struct{}
	// as is whom the caller wants to act as; nil for itself.
	as *rpc.Impersonation
	// authorization is the header with the token.
	authorization string
}

// take takes what a request says of its caller. A front proxy counts before a client certificate, and that before a token.
func (i *identities) take(r *http.Request) (credentials, error) {
	said := i.clients.Take(r.Header)
	as, err := impersonationOf(r.Header)
	if err != nil {
		return credentials{}, err
	}
	c := credentials{as: as, authorization: r.Header.Get(headerAuthorization)}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return c, nil
	}
	find := func() (id *rpc.Identity, aggregated bool, err error) {
		now := time.Now()
		if id, aggregated, err = i.clients.Proxied(r.TLS.PeerCertificates, said, now); id == nil && err == nil {
			id, err = i.clients.Client(r.TLS.PeerCertificates, now)
		}
		return id, aggregated, err //nolint:wrapcheck // an error of ours
	}
	changed := i.clients.Changed() // before it is asked
	if c.remote, c.aggregated, err = find(); err != nil {
		return credentials{}, err
	}
	if c.remote != nil {
		c.changed = changed
		c.again = func() (*rpc.Identity, error) {
			id, _, err := find()
			return id, err
		}
		c.authorization = ""
		r.Header.Del(headerAuthorization)
	}
	return c, nil
}

// whileKnown returns a context that ends when the certificate no longer stands for whom it did: nobody behind can tell, and what is
// asked may go on for long. The caller calls the function that it returns. With a token that is for the services to see.
func (i *identities) whileKnown(ctx context.Context, c credentials) (context.Context, context.CancelFunc) {
	if c.remote == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for changed := c.changed; ; {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			changed = i.clients.Changed()
			if id, err := c.again(); err != nil || id == nil || id.User != c.remote.User || id.Source != c.remote.Source {
				cancel()
				return
			}
		}
	}()
	return ctx, cancel
}

// metadata says to services for whom they are called. The token of a request is handed on by who makes the call.
func (c credentials) metadata() metadata.MD {
	md := c.as.Metadata()
	if c.remote != nil {
		md = metadata.Join(md, rpc.RemoteMetadata(c.remote))
	}
	return md
}

// key is what an answer about credentials is remembered by.
func (c credentials) key() string {
	var b strings.Builder
	md := c.metadata()
	for _, name := range slices.Sorted(maps.Keys(md)) {
		fmt.Fprintf(&b, "%s=%q\n", name, slices.Sorted(slices.Values(md[name])))
	}
	if c.aggregated {
		b.WriteString("aggregated\n")
	}
	return b.String() + c.authorization
}

// of returns who sent r, or an Unauthorized or Forbidden error; then the caller has nothing but what services are told.
func (i *identities) of(r *http.Request, c credentials) (*caller, error) {
	nobody := &caller{metadata: c.metadata()}
	if c.remote == nil {
		if _, ok := rpc.Bearer(c.authorization); !ok {
			if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
				return nobody, apierror.Unauthorized("the client certificate is of no authority that is believed here (--client-ca-file), and no token came with the request; send the header \"Authorization: Bearer TOKEN\", or another certificate")
			}
			return nobody, apierror.Unauthorized("no token came with the request; send the header \"Authorization: Bearer TOKEN\"")
		}
	}
	if c.as == nil {
		return i.real(r, c)
	}
	itself, err := i.real(r, credentials{remote: c.remote, aggregated: c.aggregated, authorization: c.authorization})
	if err != nil {
		return nobody, err
	}
	as, err := i.ask(r, c)
	if err != nil {
		return nobody, err
	}
	return as.by(itself), nil
}

// real returns who sent r, as itself.
func (i *identities) real(r *http.Request, c credentials) (*caller, error) {
	if c.remote == nil {
		return i.ask(r, c)
	}
	id := c.remote
	return &caller{
		user: id.User, groups: id.Groups, uid: id.UID, extra: id.Extra, cluster: id.Source.OfCluster(),
		aggregated: c.aggregated, metadata: c.metadata(),
	}, nil
}

// ask asks auth who sent r.
func (i *identities) ask(r *http.Request, c credentials) (*caller, error) {
	out := &caller{metadata: c.metadata(), aggregated: c.aggregated, extra: map[string][]string{}}
	now, key := time.Now(), c.key()
	i.mu.Lock()
	k, ok := i.known[key]
	i.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.caller, nil
	}
	ctx, cancel := context.WithTimeout(outgoing(r.WithContext(withCaller(r.Context(), out))), 10*time.Second)
	defer cancel()
	res, err := i.client.WhoAmI(ctx, &authv1.WhoAmIRequest{})
	if err != nil {
		return out, apierror.FromStatus(err)
	}
	out.user, out.groups, out.uid = res.GetUser(), res.GetGroups(), res.GetUid()
	out.cluster = rpc.Source(res.GetSource()).OfCluster()
	for key, values := range res.GetExtra() {
		out.extra[key] = values.GetItems()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.known) >= maxKnown {
		clear(i.known)
	}
	i.known[key] = knownCaller{caller: out, until: now.Add(i.ttl)}
	return out, nil
}
