// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package upstream is how a part of a process reaches the services that it lives by, in the same process or in others: router
// and dispatcher the one that programs them, the gateway all that it answers for.
package upstream

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/internal/tracing"
)

// Source leads to the services that a part lives by.
type Source interface {
	// Validate says what is wrong with the flags.
	Validate(f *process.Faults)
	// Connect returns the connection. Whoever asks closes it at the end of the process.
	Connect() (*grpc.ClientConn, error)
	// Checks tell whether the other end of the connection is there.
	Checks(conn *grpc.ClientConn) []process.Check
}

// Memory is a gRPC server in the same process.
type Memory interface {
	Dial(creds credentials.PerRPCCredentials, extra ...grpc.DialOption) (*grpc.ClientConn, error)
}

// Inside is a Source in the same process. The functions are asked once everything before is open. Without as, calls carry
// only what each brings.
func Inside(p *process.Process, memory func() Memory, as func() credentials.PerRPCCredentials) Source {
	return &inside{process: p, memory: memory, as: as}
}

type inside struct {
	process *process.Process
	memory  func() Memory
	as      func() credentials.PerRPCCredentials
}

func (*inside) Validate(*process.Faults) {}

func (i *inside) Connect() (*grpc.ClientConn, error) {
	if i.as == nil {
		return DialMemory(i.process, i.memory(), nil)
	}
	return DialMemory(i.process, i.memory(), i.as())
}

func (*inside) Checks(*grpc.ClientConn) []process.Check { return nil }

// DialMemory returns a connection that does not leave the process, whose calls carry creds, or each its own token.
func DialMemory(p *process.Process, m Memory, creds credentials.PerRPCCredentials) (*grpc.ClientConn, error) {
	return m.Dial(creds, tracing.DialOptions(p.Tracer())...) //nolint:wrapcheck // says it all
}

// Outside is a Source in processes of one service, at the addresses of a flag such as --serving-address. Calls are made as the
// service that this process is, by its certificate. --auth-address, which may be left out, is who is asked for the right
// to profiles.
func Outside(p *process.Process, flag string) Source {
	service := strings.TrimSuffix(flag, "-address")
	o := &outside{process: p, flag: flag}
	o.addresses = p.Flags().Strings(flag, "host:port of the "+service+" service, for each replica; needed")
	o.auth = p.Flags().Strings("auth-address", "host:port of the auth service, for each replica; without it there are no profiles")
	return o
}

type outside struct {
	process         *process.Process
	flag            string
	addresses, auth *[]string
}

func (o *outside) Validate(f *process.Faults) {
	process.CheckAddresses(f, o.flag, *o.addresses)
	if len(*o.auth) > 0 {
		process.CheckAddresses(f, "auth-address", *o.auth)
	}
}

func (o *outside) Connect() (*grpc.ClientConn, error) {
	p := o.process
	if len(*o.auth) > 0 {
		conn, err := p.Dial(*o.auth, p.CallersTLS("auth"))
		if err != nil {
			return nil, err //nolint:wrapcheck // says it all
		}
		p.OnClose(conn.Close)
		p.SetAccess(process.AskAuth(conn))
	}
	return p.Dial(*o.addresses, p.ClientTLS(strings.TrimSuffix(o.flag, "-address"))) //nolint:wrapcheck // says it all
}

// Checks implements Source. Its user goes on by what it was told last; that nobody tells it more is said.
func (o *outside) Checks(conn *grpc.ClientConn) []process.Check {
	return []process.Check{{
		Name: strings.TrimSuffix(o.flag, "-address"), Degrades: true,
		Probe: func(ctx context.Context) error { return process.ProbeConn(ctx, conn) },
	}}
}
