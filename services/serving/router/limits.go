// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"errors"
	"io"
	"sync"
	"time"
)

// limits ends a request that a pod has had for too long: as a whole, until its answer begins, or without a byte that
// flows. A nil limits has none.
type limits struct {
	idleFor time.Duration
	expire  func(error)

	mu    sync.Mutex
	over  bool // nothing expires any more
	whole *time.Timer
	start *time.Timer
	idle  *time.Timer
}

// newLimits begins to count. expire is called once at most, and not after end.
func newLimits(s settings, expire func(error)) *limits {
	l := &limits{idleFor: s.idle, expire: expire}
	l.mu.Lock() // timers may fire before all are set
	defer l.mu.Unlock()
	l.whole, l.start, l.idle = l.after(s.timeout, errTimeout), l.after(s.responseStart, errStart), l.after(s.idle, errIdle)
	return l
}

func (l *limits) after(d time.Duration, err error) *time.Timer {
	if d <= 0 {
		return nil
	}
	return time.AfterFunc(d, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.over {
			l.over = true
			l.expire(err)
		}
	})
}

// answered says that the answer has begun.
func (l *limits) answered() {
	stop(l.start)
	l.flowed(1)
}

// upgraded says that the request has become a connection, which may take as long as it likes, but not be idle.
func (l *limits) upgraded() { stop(l.whole) }

// flowed says that so many bytes went one way or the other.
func (l *limits) flowed(bytes int) {
	if l == nil || bytes <= 0 || l.idle == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.idle.Reset(l.idleFor)
	}
}

// end stops counting.
func (l *limits) end() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	stop(l.whole)
	stop(l.start)
	stop(l.idle)
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

// watch returns body with its bytes counted as flowing; what can be written to stays so.
func (l *limits) watch(body io.ReadCloser) io.ReadCloser {
	if l.idle == nil {
		return body
	}
	watched := watchedBody{body, l}
	if conn, ok := body.(io.ReadWriteCloser); ok {
		return &watchedConn{watchedBody: watched, conn: conn}
	}
	return &watched
}

// watchedBody is the body of an answer.
type watchedBody struct {
	io.ReadCloser

	limits *limits
}

// Read reads on.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.limits.flowed(n)
	return n, err //nolint:wrapcheck // a reader hands errors on as they are
}

// watchedConn is the connection to a pod after an upgrade.
type watchedConn struct {
	watchedBody

	conn io.ReadWriteCloser
}

// Write writes on.
func (c *watchedConn) Write(p []byte) (int, error) {
	n, err := c.conn.Write(p)
	c.limits.flowed(n)
	return n, err //nolint:wrapcheck // a writer hands errors on as they are
}

// CloseWrite ends one direction.
func (c *watchedConn) CloseWrite() error {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // as the connection itself
	}
	return errors.ErrUnsupported
}
