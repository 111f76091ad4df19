// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.uber.org/zap/zapcore"
)

// phase is what the server does while it logs.
type phase = int32

const (
	starting phase = iota
	running
	closing
	// calling is that of a client: what it warns of are calls that fail, which their callers are told.
	calling
)

// core hands what etcd logs to slog. etcd tells at info what only its developers want, warns of every slow disk access,
// and calls an ordinary stop an error; so its levels become lower, by phase.
type core struct {
	handler slog.Handler
	phase   *atomic.Int32
}

func (c *core) level(l zapcore.Level) slog.Level {
	now := c.phase.Load()
	switch {
	case now == closing, l < zapcore.WarnLevel, now == calling && l < zapcore.ErrorLevel:
		return slog.LevelDebug
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case now == running:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}

// Enabled implements zapcore.LevelEnabler.
func (c *core) Enabled(l zapcore.Level) bool {
	return c.handler.Enabled(context.Background(), c.level(l))
}

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{handler: c.handler.WithAttrs(attrs(fields)), phase: c.phase}
}

// Check implements zapcore.Core.
func (c *core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	r := slog.NewRecord(e.Time, c.level(e.Level), e.Message, 0)
	r.AddAttrs(attrs(fields)...)
	return c.handler.Handle(context.Background(), r)
}

// Sync implements zapcore.Core.
func (c *core) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	out := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		if v, ok := enc.Fields[f.Key]; ok {
			out = append(out, slog.Any(f.Key, v))
		}
	}
	return out
}
