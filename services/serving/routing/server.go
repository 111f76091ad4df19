// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/serving/autoscaler"
)

const retryAfter = time.Second

// Server programs routers over streams, and hands what they report to the autoscaler.
type Server struct {
	servingv1.UnimplementedRouterServiceServer

	builder *Builder
	scaler  *autoscaler.Scaler
	log     *slog.Logger
	stopped <-chan struct{}
}

// NewServer makes a Server. Streams end when stopped is closed.
func NewServer(b *Builder, scaler *autoscaler.Scaler, stopped <-chan struct{}, log *slog.Logger) *Server {
	return &Server{builder: b, scaler: scaler, log: log, stopped: stopped}
}

type stream = grpc.BidiStreamingServer[servingv1.RouterServiceSyncRequest, servingv1.RouterServiceSyncResponse]

// Sync programs one router for as long as its stream is up.
func (s *Server) Sync(router stream) error {
	ctx, cancel := context.WithCancel(router.Context())
	defer cancel()
	select {
	case <-s.builder.Ready():
	case <-s.stopped:
		return stopping()
	case <-ctx.Done():
		return nil
	}
	session := s.scaler.Connect()
	defer session.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.hear(router, session)
	}()
	for {
		table, changed := s.builder.table.current()
		if err := router.Send(table); err != nil {
			return err //nolint:wrapcheck // a status already
		}
		select {
		case <-changed:
		case <-gone:
			return nil
		case <-s.stopped:
			return stopping()
		}
	}
}

func stopping() error { return apierror.Unavailable(retryAfter, "serving shuts down") }

// hear takes reports in until the stream ends.
func (s *Server) hear(router stream, session *autoscaler.Session) {
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
		session.Report(report.GetTableVersion(), report.GetLoads())
	}
}
