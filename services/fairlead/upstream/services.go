// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/internal/apierror"
)

// owners are the services that own kinds, by the proto packages of what they serve. A service with an API group of its own
// is added here: by that it has a flag for its addresses, calls go to it, and it is told when it is away. A group of a service
// that is here is one more of its packages.
var owners = []struct {
	service  string
	packages []string
}{
	{"auth", []string{"fairlead.auth.", "fairlead.meta."}}, // meta is about several kinds: auth asks their owners
	{"build", []string{"fairlead.build."}},
	{"serving", []string{"fairlead.serving."}},
	{"eventing", []string{"fairlead.eventing."}},
}

// Owners are the names of the services that own kinds.
func Owners() []string {
	names := make([]string, len(owners))
	for i, o := range owners {
		names[i] = o.service
	}
	return names
}

// Services is a Source in processes of every service that owns kinds, at the addresses of --auth-address and the like. Each
// call goes to the service that owns it, whose own authentication it passes: it brings its caller's token, or says by what
// else the caller is known, which is believed by the certificate of this process, the gateway's.
func Services(p *process.Process) Source {
	s := &services{process: p, addresses: map[string]*[]string{}, conns: map[string]*grpc.ClientConn{}}
	for _, o := range owners {
		s.addresses[o.service] = p.Flags().Strings(o.service+"-address", "host:port of the "+o.service+" service, for each replica; needed")
	}
	return s
}

type services struct {
	process   *process.Process
	addresses map[string]*[]string
	conns     map[string]*grpc.ClientConn
}

// Validate implements Source.
func (s *services) Validate(f *process.Faults) {
	for _, o := range owners {
		process.CheckAddresses(f, o.service+"-address", *s.addresses[o.service])
	}
}

// Connect implements Source: the connection that it returns has each call go to the service that owns it.
func (s *services) Connect() (*grpc.ClientConn, error) {
	p := s.process
	for service, addresses := range s.addresses {
		conn, err := p.Dial(*addresses, p.ClientTLS(service)) // by our certificate they believe for whom we call
		if err != nil {
			return nil, fmt.Errorf("%s: %w", service, err)
		}
		p.OnClose(conn.Close)
		s.conns[service] = conn
	}
	p.SetAccess(process.AskAuth(s.conns["auth"]))
	// grpc-gateway wants one connection: this one hands every call to another before it would dial.
	conn, err := grpc.NewClient("passthrough:///services",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(s.unary), grpc.WithStreamInterceptor(s.stream))
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	return conn, nil
}

func (s *services) unary(ctx context.Context, method string, req, reply any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	conn, service, err := s.owner(method)
	if err != nil {
		return err
	}
	return away(service, conn.Invoke(ctx, method, req, reply, opts...))
}

func (s *services) stream(ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, _ grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	conn, service, err := s.owner(method)
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
func (s *services) owner(method string) (*grpc.ClientConn, string, error) {
	name := strings.TrimPrefix(method, "/")
	for _, o := range owners {
		if slices.ContainsFunc(o.packages, func(pkg string) bool { return strings.HasPrefix(name, pkg) }) {
			return s.conns[o.service], o.service, nil
		}
	}
	return nil, "", apierror.ToStatus(apierror.New(apierror.ReasonNotFound, "no service answers %s", name)).Err() //nolint:wrapcheck // a status, as connections answer
}

// Checks implements Source. Without auth nobody is known; without one of the others its kinds are not served, and that is
// said.
func (s *services) Checks(*grpc.ClientConn) []process.Check {
	checks := make([]process.Check, 0, len(owners))
	for _, o := range owners {
		conn := s.conns[o.service]
		checks = append(checks, process.Check{
			Name: o.service, Degrades: o.service != "auth",
			Probe: func(ctx context.Context) error { return process.ProbeConn(ctx, conn) },
		})
	}
	return checks
}
