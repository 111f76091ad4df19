// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
)

const (
	// maxConfigBytes bounds a configuration: some 200,000 triggers.
	maxConfigBytes = 64 << 20
	// reportEvery is how far reports are apart at least.
	reportEvery = 200 * time.Millisecond
)

// session keeps the connection to the service that programs the dispatcher.
type session struct {
	name   string
	client eventingv1.DispatcherServiceClient
	log    *slog.Logger
	// states returns what is to be reported.
	states func() []*eventingv1.DispatchState
	// dirty has an entry when there is something new to report.
	dirty chan struct{}
	// configs gets each configuration; one that nobody took yet is replaced.
	configs chan *eventingv1.DispatcherServiceSyncResponse
	// version is that of the newest configuration. An older one comes from a service that lags behind.
	version int64
	// applied is the version of the configuration that is in place.
	applied atomic.Int64
}

func newSession(name string, conn grpc.ClientConnInterface, log *slog.Logger) *session {
	return &session{
		name: name, client: eventingv1.NewDispatcherServiceClient(conn), log: log,
		dirty:   make(chan struct{}, 1),
		configs: make(chan *eventingv1.DispatcherServiceSyncResponse, 1),
	}
}

// report has the states reported soon.
func (s *session) report() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// run connects, again and again, until ctx ends.
func (s *session) run(ctx context.Context) {
	wait := backoff{least: 100 * time.Millisecond, most: 5 * time.Second}
	lost := false
	for ctx.Err() == nil {
		connected := false
		err := s.sync(ctx, func() {
			connected = true
			wait.reset()
			if lost {
				s.log.Info("configuration arrives again")
			}
			lost = false
		})
		if ctx.Err() != nil {
			return
		}
		switch {
		case connected && status.Code(err) == codes.Unauthenticated:
			// Streams last as long as the token that they were opened with. The next one has another.
			s.log.Debug("the stream from eventing is begun anew", "reason", err)
		case !lost:
			s.log.Warn("eventing does not answer; going on by the last configuration", "error", err)
			lost = true
		}
		wait.sleep(ctx)
	}
}

// sync exchanges configurations and reports until the stream breaks. connected is called with each configuration.
func (s *session) sync(ctx context.Context, connected func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.client.Sync(ctx, grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(maxConfigBytes))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	s.report() // the service learns at once who is there
	sent := make(chan error, 1)
	go func() { sent <- s.send(ctx, stream) }()
	err = s.receive(stream, connected)
	cancel()
	return errors.Join(err, <-sent)
}

func (s *session) receive(stream grpc.BidiStreamingClient[eventingv1.DispatcherServiceSyncRequest, eventingv1.DispatcherServiceSyncResponse], connected func()) error {
	for {
		config, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the service ended the stream")
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		connected()
		if config.GetVersion() < s.version {
			s.log.Warn("configuration left out: it is older than the last one", "version", config.GetVersion(), "last", s.version)
			continue
		}
		s.version = config.GetVersion()
		select {
		case <-s.configs:
		default:
		}
		s.configs <- config
	}
}

// send reports when there is something new, and not too often.
func (s *session) send(ctx context.Context, stream grpc.BidiStreamingClient[eventingv1.DispatcherServiceSyncRequest, eventingv1.DispatcherServiceSyncResponse]) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-s.dirty:
		case <-ctx.Done():
			return nil
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
		err := stream.Send(&eventingv1.DispatcherServiceSyncRequest{
			Dispatcher: s.name, Version: s.applied.Load(), States: s.states(),
		})
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
		pause.Reset(reportEvery)
	}
}
