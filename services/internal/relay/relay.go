// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package relay brings streams to the process that leads: whoever takes one in without leading passes it on, both ways, so
// that clients may connect to any replica.
package relay

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/lease"
)

const (
	// marker is the metadata of a stream that has been passed on: it is not passed on again.
	marker = "fairlead-relayed"
	// retryAfter is when a client should try again.
	retryAfter = time.Second
	// maxMessageBytes bounds a message that is passed on: tables and configurations are large.
	maxMessageBytes = 64 << 20
)

// Dial returns a connection to the process at an address that it has told others. It is kept by who gives it.
type Dial func(address string) (grpc.ClientConnInterface, error)

// Leader tells where the one that leads is: here, or in another process. P is what a leader works with.
type Leader[P any] struct {
	what  string
	group *lease.Group
	dial  Dial

	mu sync.Mutex
	// here is set while this process leads.
	here    *Term[P]
	stopped bool
	// changed is closed, and replaced, when here or stopped changes.
	changed chan struct{}
}

// Term is a time for which this process leads.
type Term[P any] struct {
	// Program is what the leader works with.
	Program P
	// Over is closed at the end of the term.
	Over <-chan struct{}
}

// New makes a Leader of what, such as "serving", whose place is the one shard of the group; a nil group is always led
// here. dial may be nil where there are no other processes.
func New[P any](what string, g *lease.Group, dial Dial) *Leader[P] {
	return &Leader[P]{what: what, group: g, dial: dial, changed: make(chan struct{})}
}

// Begin says that this process leads, with p, until the function that is returned is called.
func (l *Leader[P]) Begin(p P) (end func()) {
	over := make(chan struct{})
	l.set(func() { l.here = &Term[P]{p, over} })
	return func() {
		l.set(func() { l.here = nil })
		close(over)
	}
}

// Stop ends the streams that are passed on, and those that wait: the process ends.
func (l *Leader[P]) Stop() { l.set(func() { l.stopped = true }) }

func (l *Leader[P]) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
}

// Away is the error with which streams end when this process leads no more.
func (l *Leader[P]) Away() error {
	return apierror.Unavailable(retryAfter, "%s is not led by this process any more; connect again", l.what)
}

// place is where the leader is at the moment.
type place[P any] struct {
	here    *Term[P]
	address string // of another process
	known   bool
	stopped bool
	// changed is closed when this is out of date; elsewhere too.
	changed, elsewhere <-chan struct{}
}

func (l *Leader[P]) look() place[P] {
	elsewhere := l.group.Changed()
	l.mu.Lock()
	defer l.mu.Unlock()
	p := place[P]{here: l.here, stopped: l.stopped, changed: l.changed, elsewhere: elsewhere}
	address, self, ok := l.group.Holder(0)
	if ok && !self {
		p.address, p.known = address, true
	}
	return p
}

// Find waits for somebody to lead, and returns the term of this process if it is the one, and nil if it is another.
func (l *Leader[P]) Find(ctx context.Context) (*Term[P], error) {
	relayed := len(metadata.ValueFromIncomingContext(ctx, marker)) > 0
	for {
		p := l.look()
		switch {
		case p.stopped:
			return nil, apierror.Unavailable(retryAfter, "%s shuts down", l.what)
		case p.here != nil:
			return p.here, nil
		case p.known && relayed:
			return nil, l.Away()
		case p.known:
			return nil, nil //nolint:nilnil // documented
		}
		select {
		case <-p.changed:
		case <-p.elsewhere:
		case <-ctx.Done():
			return nil, ctx.Err() //nolint:wrapcheck // the caller is gone
		}
	}
}

// connect leads to the process that leads, and returns a context that ends when it does no more.
func (l *Leader[P]) connect(ctx context.Context) (context.Context, context.CancelFunc, grpc.ClientConnInterface, error) {
	p := l.look()
	switch {
	case p.stopped || !p.known:
		return nil, nil, nil, l.Away()
	case p.address == "" || l.dial == nil:
		return nil, nil, nil, apierror.Unavailable(retryAfter, "%s is led by another process, which tells no address at which it is reached", l.what)
	}
	conn, err := l.dial(p.address)
	if err != nil {
		return nil, nil, nil, apierror.Unavailable(retryAfter, "the process that leads %s cannot be reached at %s: %v", l.what, p.address, err)
	}
	ctx, cancel := context.WithCancelCause(metadata.NewOutgoingContext(ctx, metadata.Pairs(marker, "true")))
	address := p.address
	go func() {
		for p.known && p.address == address && !p.stopped {
			select {
			case <-p.changed:
			case <-p.elsewhere:
			case <-ctx.Done():
				return
			}
			p = l.look()
		}
		cancel(l.Away())
	}()
	return ctx, func() { cancel(nil) }, conn, nil
}

// Pass passes a stream on to the process that leads, by what open makes of the connection to it, until either side ends
// or another process leads.
func Pass[P, Req, Res any](l *Leader[P], from grpc.BidiStreamingServer[Req, Res],
	open func(ctx context.Context, conn grpc.ClientConnInterface, opts ...grpc.CallOption) (grpc.BidiStreamingClient[Req, Res], error),
) error {
	ctx, cancel, conn, err := l.connect(from.Context())
	if err != nil {
		return err
	}
	defer cancel()
	to, err := open(ctx, conn, grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes))
	if err != nil {
		return passed(ctx, err)
	}
	go func() {
		for {
			m, err := from.Recv()
			if err != nil {
				_ = to.CloseSend() // the other end answers, or has ended
				return
			}
			if to.Send(m) != nil {
				return // receiving tells why
			}
		}
	}()
	for {
		m, err := to.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return passed(ctx, err)
		}
		if err := from.Send(m); err != nil {
			return err //nolint:wrapcheck // gRPC's own
		}
	}
}

// passed is the error of a stream that was passed on, or why it was not to go on.
func passed(ctx context.Context, err error) error {
	if away, ok := errors.AsType[*apierror.Error](context.Cause(ctx)); ok {
		return away
	}
	return err
}
