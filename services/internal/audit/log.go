// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit writes who did what, and with what result: JSON lines in the form of audit.k8s.io/v1, as far as a policy
// wants them.
//
// Calls never wait for the log. What comes faster than the disk takes it is kept in a bounded buffer, and what does not
// fit is dropped: a disk that hangs must not take the service with it. That is not silent: a metric counts what was
// dropped, and the next line that is written says how many before it are missing.
package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of Config.
const (
	DefaultMaxFileBytes   = 100 << 20
	DefaultMaxFiles       = 10
	DefaultMaxBufferBytes = 32 << 20
	DefaultMaxBuffered    = 10_000
)

// Stdout is the file that stands for the standard output.
const Stdout = "-"

// AnnotationDropped is on the first event after some were dropped: how many.
const AnnotationDropped = "audit.fairlead.dev/dropped-before"

// Config says what is kept, and where. Zero values mean the defaults.
type Config struct {
	// File is where lines are written; `-` is the standard output. Needed.
	File string
	// PolicyFile holds a Policy of audit.k8s.io/v1; empty means DefaultPolicy.
	PolicyFile string
	// MaxFileBytes is the size at which a file is put aside as FILE-TIME.EXT and a new one begun.
	MaxFileBytes int64
	// MaxFiles is how many files that were put aside are kept.
	MaxFiles int
	// MaxBuffered and MaxBufferBytes are how many lines, and of what size together, wait to be written.
	MaxBuffered, MaxBufferBytes int
	// Log gets what goes wrong; nil means that nothing is logged.
	Log *slog.Logger
	// Metrics gets counters; nil means that none are kept.
	Metrics prometheus.Registerer
}

func (c Config) withDefaults() Config {
	c.MaxFileBytes = cmp.Or(c.MaxFileBytes, DefaultMaxFileBytes)
	c.MaxFiles = cmp.Or(c.MaxFiles, DefaultMaxFiles)
	c.MaxBuffered = cmp.Or(c.MaxBuffered, DefaultMaxBuffered)
	c.MaxBufferBytes = cmp.Or(c.MaxBufferBytes, DefaultMaxBufferBytes)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate tells every fault of the configuration.
func (c Config) Validate() error {
	var faults []error
	if c.File == "" {
		faults = append(faults, errors.New("file: needed; - is the standard output"))
	}
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"maxFileBytes", c.MaxFileBytes},
		{"maxFiles", int64(c.MaxFiles)},
		{"maxBuffered", int64(c.MaxBuffered)},
		{"maxBufferBytes", int64(c.MaxBufferBytes)},
	} {
		if limit.value < 0 {
			faults = append(faults, fmt.Errorf("%s: %d must not be negative", limit.name, limit.value))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// Log is an audit log.
type Log struct {
	cfg    Config
	policy *Policy
	out    io.WriteCloser

	lines    chan []byte
	buffered atomic.Int64 // bytes that wait
	// lost is how many events were dropped since the last one that was kept.
	lost atomic.Int64

	mu    sync.RWMutex
	ended bool

	written, dropped, failed prometheus.Counter
}

// Open opens the log. Nothing is written until Run.
func Open(cfg Config) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	l := &Log{cfg: cfg, policy: DefaultPolicy(), lines: make(chan []byte, cfg.MaxBuffered)}
	var err error
	if cfg.PolicyFile != "" {
		if l.policy, err = LoadPolicy(cfg.PolicyFile); err != nil {
			return nil, err
		}
	}
	if l.written, l.dropped, l.failed, err = counters(cfg.Metrics); err != nil {
		return nil, err
	}
	if cfg.File == Stdout {
		l.out = keptOpen{os.Stdout}
		return l, nil
	}
	if l.out, err = openRotating(cfg.File, cfg.MaxFileBytes, cfg.MaxFiles); err != nil {
		return nil, err
	}
	return l, nil
}

// keptOpen is not closed with the log.
type keptOpen struct{ io.Writer }

func (keptOpen) Close() error { return nil }

func counters(registry prometheus.Registerer) (written, dropped, failed prometheus.Counter, err error) {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "fairlead", Subsystem: "audit", Name: name, Help: help})
		if registry == nil || err != nil {
			return c
		}
		if e := registry.Register(c); e != nil {
			err = fmt.Errorf("audit: register metrics: %w", e)
		}
		return c
	}
	written = counter("events_total", "Events written to the audit log.")
	dropped = counter("dropped_events_total", "Events that were dropped since the audit log was written too slowly.")
	failed = counter("failed_events_total", "Events that could not be written to the audit log.")
	return written, dropped, failed, err
}

// Level returns how much of a stage of a call is kept.
func (l *Log) Level(c *Call, stage Stage) Level { return l.policy.level(c, stage) }

// Write has an event written, and does not wait for it.
func (l *Log) Write(e *Event) {
	e.Kind, e.APIVersion = "Event", apiVersion
	lost := l.lost.Swap(0)
	if lost > 0 {
		e.Annotations = map[string]string{AnnotationDropped: strconv.FormatInt(lost, 10)}
	}
	line, err := json.Marshal(e)
	if err != nil {
		l.cfg.Log.Error("audit: an event cannot be written", "error", err, "auditID", e.AuditID)
		l.failed.Inc()
		l.lost.Add(lost)
		return
	}
	if !l.enqueue(append(line, '\n')) {
		l.dropped.Inc()
		l.lost.Add(lost + 1)
	}
}

func (l *Log) enqueue(line []byte) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	size := int64(len(line))
	if l.ended || l.buffered.Add(size) > int64(l.cfg.MaxBufferBytes) {
		if !l.ended {
			l.buffered.Add(-size)
		}
		return false
	}
	select {
	case l.lines <- line:
		return true
	default:
		l.buffered.Add(-size)
		return false
	}
}

// Run writes until ctx ends, and then what is left.
func (l *Log) Run(ctx context.Context) error {
	for {
		select {
		case line := <-l.lines:
			l.put(line)
		case <-ctx.Done():
			return l.end()
		}
	}
}

func (l *Log) end() error {
	l.mu.Lock()
	l.ended = true
	close(l.lines) // nobody sends any more
	l.mu.Unlock()
	for line := range l.lines {
		l.put(line)
	}
	if err := l.out.Close(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

func (l *Log) put(line []byte) {
	l.buffered.Add(-int64(len(line)))
	if _, err := l.out.Write(line); err != nil {
		l.failed.Inc()
		l.lost.Add(1)
		l.cfg.Log.Error("audit: an event could not be written; make room, or see to the file's rights", "error", err)
		return
	}
	l.written.Inc()
}
