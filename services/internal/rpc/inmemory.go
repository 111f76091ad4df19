// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"fmt"
	"math"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
)

const (
	inMemoryBuffer  = 256 << 10
	inMemoryNetwork = "bufconn"
)

// InMemory serves a server to callers in the same process, who pass the same interceptors as all others.
type InMemory struct {
	server   *grpc.Server
	listener *bufconn.Listener
	start    sync.Once
	served   chan struct{}
}

// NewInMemory makes an in-memory listener of a server. It serves from the first connection on, so that services can be
// registered until then.
func NewInMemory(server *grpc.Server) *InMemory {
	return &InMemory{server: server, listener: bufconn.Listen(inMemoryBuffer), served: make(chan struct{})}
}

// Dial returns a connection whose calls carry creds; nil means that each call brings its own `authorization` metadata.
// The caller closes it.
func (m *InMemory) Dial(creds credentials.PerRPCCredentials, extra ...grpc.DialOption) (*grpc.ClientConn, error) {
	options := append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), // it does not leave the process
		grpc.WithContextDialer(m.dial),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
	}, extra...)
	if creds != nil {
		options = append(options, grpc.WithPerRPCCredentials(creds))
	}
	conn, err := grpc.NewClient("passthrough:///in-memory", options...)
	if err != nil {
		return nil, fmt.Errorf("rpc: in-memory connection: %w", err)
	}
	return conn, nil
}

func (m *InMemory) dial(ctx context.Context, _ string) (net.Conn, error) {
	m.start.Do(func() {
		go func() {
			defer close(m.served)
			_ = m.server.Serve(m.listener) // ends when the server stops or the listener closes
		}()
	})
	return m.listener.DialContext(ctx)
}

// Close ends serving new in-memory connections. Connections that are there last until they or the server are closed.
func (m *InMemory) Close() error {
	err := m.listener.Close()
	m.start.Do(func() { close(m.served) })
	<-m.served
	if err != nil {
		return fmt.Errorf("rpc: close in-memory listener: %w", err)
	}
	return nil
}
