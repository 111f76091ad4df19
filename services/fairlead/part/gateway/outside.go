// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/internal/apierror"
)

// owners are the services that own kinds, by the proto package of what they serve.
var owners = []struct{ pkg, service string }{
	{"fairlead.auth.", "auth"},
	{"fairlead.build.", "build"},
	{"fairlead.serving.", "serving"},
	{"fairlead.eventing.", "eventing"},
	{"fairlead.meta.", "auth"}, // what is about several kinds; any service asks the owners
}

// Outside is Services in processes of their own, at the addresses of --auth-address and the like.
func Outside(p *process.Process) Services {
	o := &outside{process: p, addresses: map[string]*[]string{}, conns: map[string]*grpc.ClientConn{}}
	for _, owner := range owners {
		o.addresses[owner.service] = p.Flags().Strings(owner.service+"-address", "host:port of the "+owner.service+" service, for each replica; needed")
	}
	return o
}

type outside struct {
	process   *process.Process
	addresses map[string]*[]string
	conns     map[string]*grpc.ClientConn
}

// Validate implements Services.
func (o *outside) Validate(f *process.Faults) {
	for service, addresses := range o.addresses {
		process.CheckAddresses(f, service+"-address", *addresses)
	}
}

// Connect implements Services: the connection that it returns has each call go to the service that owns it.
func (o *outside) Connect() (*grpc.ClientConn, error) {
	p := o.process
	for service, addresses := range o.addresses {
		conn, err := p.Dial(*addresses, p.CallersTLS())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", service, err)
		}
		p.OnClose(conn.Close)
		o.conns[service] = conn
	}
	p.SetAccess(process.AskAuth(o.conns["auth"]))
	// grpc-gateway wants one connection: this one hands every call to another before it would dial.
	conn, err := grpc.NewClient("passthrough:///services",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(o.unary), grpc.WithStreamInterceptor(o.stream))
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	return conn, nil
}

func (o *outside) unary(ctx context.Context, method string, req, reply any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	conn, service, err := o.owner(method)
	if err != nil {
		return err
	}
	return away(service, conn.Invoke(ctx, method, req, reply, opts...))
}

func (o *outside) stream(ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, _ grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	conn, service, err := o.owner(method)
	if err != nil {
		return nil, err
	}
	stream, err := conn.NewStream(ctx, desc, method, opts...)
	return stream, away(service, err)
}

// away says in the words of users that a service does not answer. What services say themselves has details, and stays.
func away(service string, err error) error {
	if st := status.Convert(err); err != nil && st.Code() == codes.Unavailable && len(st.Details()) == 0 {
		return apierror.ToStatus(apierror.Unavailable(time.Second, "the %s service does not answer; try again", service)).Err() //nolint:wrapcheck // a status, as connections answer
	}
	return err
}

// owner returns the connection to the service that answers a method, and its name.
func (o *outside) owner(method string) (*grpc.ClientConn, string, error) {
	name := strings.TrimPrefix(method, "/")
	for _, owner := range owners {
		if strings.HasPrefix(name, owner.pkg) {
			return o.conns[owner.service], owner.service, nil
		}
	}
	return nil, "", apierror.ToStatus(apierror.New(apierror.ReasonNotFound, "no service answers %s", name)).Err() //nolint:wrapcheck // a status, as connections answer
}

// Checks implements Services. Without auth nobody is known; without one of the others its kinds are not served, and that is
// said.
func (o *outside) Checks() []process.Check {
	checks := make([]process.Check, 0, len(o.conns))
	for _, owner := range owners[:len(owners)-1] {
		conn := o.conns[owner.service]
		checks = append(checks, process.Check{
			Name: owner.service, Degrades: owner.service != "auth",
			Probe: func(ctx context.Context) error { return process.ProbeConn(ctx, conn) },
		})
	}
	return checks
}
