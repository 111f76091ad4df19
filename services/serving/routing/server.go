// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"context"
	"log/slog"

	"google.golang.org/grpc"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/relay"
	"fairlead.dev/services/serving/autoscaler"
)

// Program is what one term of the leader programs routers by.
type Program struct {
	// Builder keeps the table.
	Builder *Builder
	// Scaler gets what routers report.
	Scaler *autoscaler.Scaler
}

// Server programs routers over streams, and hands what they report to the autoscaler. Where another process leads, streams
// are passed on to it.
type Server struct {
	servingv1.UnimplementedRouterServiceServer

	leader *relay.Leader[Program]
	log    *slog.Logger
}

// NewServer makes a Server.
func NewServer(leader *relay.Leader[Program], log *slog.Logger) *Server {
	return &Server{leader: leader, log: log}
}

// Lead has routers programmed by p until the function that is returned is called.
func (s *Server) Lead(p Program) (end func()) { return s.leader.Begin(p) }

// Stop ends all streams: the process ends.
func (s *Server) Stop() { s.leader.Stop() }

type stream = grpc.BidiStreamingServer[servingv1.RouterServiceSyncRequest, servingv1.RouterServiceSyncResponse]

// Sync programs one router for as long as its stream is up.
func (s *Server) Sync(router stream) error {
	term, err := s.leader.Find(router.Context())
	switch {
	case err != nil:
		return err //nolint:wrapcheck // apierror, or the caller's end
	case term == nil:
		return relay.Pass(s.leader, router, func(ctx context.Context, conn grpc.ClientConnInterface, opts ...grpc.CallOption) (grpc.BidiStreamingClient[servingv1.RouterServiceSyncRequest, servingv1.RouterServiceSyncResponse], error) {
			return servingv1.NewRouterServiceClient(conn).Sync(ctx, opts...)
		}) //nolint:wrapcheck // gRPC's own
	default:
		return s.program(router, term)
	}
}

// program programs a router while this process leads.
func (s *Server) program(router stream, term *relay.Term[Program]) error {
	ctx, cancel := context.WithCancel(router.Context())
	defer cancel()
	builder := term.Program.Builder
	select {
	case <-builder.Ready():
	case <-term.Over:
		return s.leader.Away() //nolint:wrapcheck // apierror
	case <-ctx.Done():
		return nil
	}
	session := term.Program.Scaler.Connect()
	defer session.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.hear(router, session, builder)
	}()
	for {
		table, changed := builder.table.current()
		if err := router.Send(table); err != nil {
			return err //nolint:wrapcheck // a status already
		}
		select {
		case <-changed:
		case <-gone:
			return nil
		case <-term.Over:
			return s.leader.Away() //nolint:wrapcheck // apierror
		}
	}
}

// hear takes reports in until the stream ends.
func (s *Server) hear(router stream, session *autoscaler.Session, b *Builder) {
	name := ""
	for {
		report, err := router.Recv()
		if err != nil {
			if name != "" {
				s.log.Info("router disconnected", "router", name)
			}
			return
		}
		if name == "" {
			name = report.GetRouter()
			s.log.Info("router connected", "router", name)
		}
		version := report.GetTableVersion()
		if version > b.table.newest() {
			version = 0 // it goes by the table of an earlier leader, whose clock was ahead
		}
		session.Report(version, report.GetLoads())
	}
}
