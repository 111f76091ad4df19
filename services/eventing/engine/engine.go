// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine keeps events durably, in NATS JetStream: one stream a broker, one durable consumer a trigger. An event
// is published once the file that holds it has been synced. Delivery is at least once: nothing is left out because its
// source and id were seen before.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// headerRoom is what NATS may add to an event: names of headers, line ends, and its own headers.
const headerRoom = 64 << 10

// startTimeout bounds how long the embedded server may take to read its files.
const startTimeout = 2 * time.Minute

// Engine is a running JetStream.
type Engine struct {
	cfg    Config
	log    *slog.Logger
	server *server.Server // nil with a URL
	nc     *nats.Conn
	js     jetstream.JetStream
	space  *space
	// batches bounds atomic batches under way; the server refuses more than 50 a stream.
	batches chan struct{}
}

// Open starts the embedded engine, or connects to the one at the URL. An embedded engine has read all of its files when
// Open returns; a URL that does not answer yet is tried again in the background.
func Open(cfg Config, log *slog.Logger) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, log: log, batches: make(chan struct{}, 32)}
	opts := []nats.Option{
		nats.Name("fairlead"),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1), // what cannot be sent now fails now, and does not go out behind its sender's back
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("event engine", "error", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("event engine: connection lost; trying again", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("event engine: connected again") }),
	}
	url := cfg.URL
	if url == "" {
		if err := e.startServer(); err != nil {
			return nil, err
		}
		url = e.server.ClientURL()
		opts = append(opts, nats.InProcessServer(e.server))
	} else {
		opts = append(opts, nats.RetryOnFailedConnect(true))
		if cfg.CredentialsFile != "" {
			opts = append(opts, nats.UserCredentials(cfg.CredentialsFile))
		}
	}
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("engine: connect to %s: %w", url, err)
	}
	e.nc = nc
	if e.js, err = jetstream.New(nc); err != nil {
		e.Close()
		return nil, fmt.Errorf("engine: JetStream at %s: %w", url, err)
	}
	return e, nil
}

func (e *Engine) startServer() error {
	if err := os.MkdirAll(e.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "fairlead",
		DontListen: true,
		JetStream:  true,
		StoreDir:   e.cfg.Dir,
		// Without it JetStream acknowledges before the disk has the event.
		SyncAlways: true,
		// Streams have limits of their own, and space guards the disk; a server limit would only count what streams
		// might use, and refuse the next broker on an empty disk.
		JetStreamMaxStore:      1 << 60,
		JetStreamMaxMemory:     64 << 20,
		MaxPayload:             int32(e.cfg.MaxEventBytes + headerRoom),
		NoSigs:                 true,
		NoLog:                  true,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	srv.SetLoggerV2(serverLog{e.log}, false, false, false)
	e.server = srv
	e.space = &space{dir: e.cfg.Dir, min: e.cfg.MinFreeBytes}
	srv.Start()
	if !srv.ReadyForConnections(startTimeout) || !srv.JetStreamEnabled() {
		e.Close()
		return fmt.Errorf("engine: JetStream did not start in %s; the log has the reason", e.cfg.Dir)
	}
	return nil
}

// Close ends the engine. What was published is on disk already; an embedded engine's files are free when Close returns.
func (e *Engine) Close() {
	if e.nc != nil {
		e.nc.Close()
	}
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
}

// Ready tells why the engine would not take events, if it would not.
func (e *Engine) Ready(ctx context.Context) error {
	if err := e.space.check(); err != nil {
		return err
	}
	if _, err := e.js.AccountInfo(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}

// Errors of the engine.
var (
	// ErrNoStream means that the broker has no stream, or none that answers.
	ErrNoStream = errors.New("the broker's stream does not exist")
	// ErrNoConsumer means that the trigger has no consumer.
	ErrNoConsumer = errors.New("the trigger's consumer does not exist")
	// ErrFull means that there is no room for the event until older ones have been delivered or space was made.
	ErrFull = errors.New("no room for more events")
	// ErrTooLarge means that the engine does not take events of that size, or as many at once.
	ErrTooLarge = errors.New("too large")
	// ErrUnavailable means that the engine does not answer for now.
	ErrUnavailable = errors.New("event storage does not answer")
)

// missing says in the engine's words that a stream or a consumer is not there.
func missing(err error) error {
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return ErrNoStream
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrConsumerDeleted):
		return ErrNoConsumer
	}
	return err
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// serverLog passes on what the embedded server says at warning and above.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Noticef(string, ...any) {}

func (l serverLog) Debugf(string, ...any) {}

func (l serverLog) Tracef(string, ...any) {}

func (l serverLog) Warnf(format string, v ...any) {
	l.log.Warn("jetstream: " + fmt.Sprintf(format, v...))
}

func (l serverLog) Errorf(format string, v ...any) {
	l.log.Error("jetstream: " + fmt.Sprintf(format, v...))
}

func (l serverLog) Fatalf(format string, v ...any) {
	l.log.Error("jetstream: " + fmt.Sprintf(format, v...))
}
