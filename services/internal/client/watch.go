// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

const (
	// firstPause and maxPause bound the time between tries to begin a watch again.
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second
	// steady is how long a watch must have lasted to count as one that worked.
	steady = 10 * time.Second
)

// Watch is a running watch.
type Watch struct {
	kind   kinds.Kind
	stream grpc.ClientStream
	cancel context.CancelFunc
}

// Watch begins a watch and returns when it stands, so that no later change escapes it. It lasts until Stop, or until ctx
// ends.
func (c *Client) Watch(ctx context.Context, k kinds.Kind, req *metav1.WatchRequest) (*Watch, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &Watch{kind: k, cancel: cancel}
	if err := w.begin(ctx, c.conn, req); err != nil {
		cancel()
		return nil, apierror.FromStatus(err)
	}
	return w, nil
}

func (w *Watch) begin(ctx context.Context, conn grpc.ClientConnInterface, req *metav1.WatchRequest) error {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{StreamName: "Watch", ServerStreams: true}, methodOf(w.kind, "Watch"))
	if err != nil {
		return err //nolint:wrapcheck // a status
	}
	if err := stream.SendMsg(req); err != nil && !errors.Is(err, io.EOF) { // after io.EOF the header tells what happened
		return err //nolint:wrapcheck // a status
	}
	if err := stream.CloseSend(); err != nil {
		return err //nolint:wrapcheck // a status
	}
	header, err := stream.Header()
	if err != nil {
		return err //nolint:wrapcheck // a status
	}
	w.stream = stream
	if header != nil {
		return nil
	}
	_, err = w.receive() // a call that failed without a header tells its status here
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Next returns the next event, waiting for it. It is io.EOF when the server has ended the watch, as it does now and then;
// another may begin where this one ended.
func (w *Watch) Next() (store.Event, error) {
	answer, err := w.receive()
	if errors.Is(err, io.EOF) {
		return store.Event{}, io.EOF
	}
	if err != nil {
		return store.Event{}, apierror.FromStatus(err)
	}
	fields := answer.Descriptor().Fields()
	obj, ok := answer.Get(fields.ByName("object")).Message().Interface().(store.Object)
	if !ok {
		return store.Event{}, notAnObject(w.kind)
	}
	return store.Event{Type: store.EventType(answer.Get(fields.ByName("type")).String()), Object: obj}, nil
}

func (w *Watch) receive() (protoreflect.Message, error) {
	answer, err := newAnswer(w.kind, "Watch")
	if err != nil {
		return nil, err
	}
	return answer, w.stream.RecvMsg(answer.Interface())
}

// Stop ends the watch and frees what it holds. It may be called more than once.
func (w *Watch) Stop() { w.cancel() }

// Following says what Follow watches.
type Following struct {
	// Request chooses the objects. With SendInitialEvents, each watch that is begun again sends them again.
	Request *metav1.WatchRequest
	// Event is told of every event, bookmarks included, until it says that it is done or fails.
	Event func(store.Event) (done bool, err error)
	// Began, if given, is told when a watch stands, before its first event.
	Began func()
	// Broken, if given, is told when the server went away. Follow goes on trying.
	Broken func(err error)
}

// Follow watches until Event is done or ctx ends, which gives ctx's error. A watch that the server ends, or loses, is
// begun again after the last version that was seen; where that is no longer kept, every object is told of once more. The
// first watch must come to stand, though: its error is returned.
func (c *Client) Follow(ctx context.Context, k kinds.Kind, f Following) error {
	req := proto.CloneOf(f.Request)
	req.AllowWatchBookmarks = true
	pause := firstPause
	for first := true; ; first = false {
		start := time.Now()
		began, done, err := c.followOnce(ctx, k, req, f)
		switch {
		case done:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("watch of %s: %w", k.Plural, ctx.Err())
		case apierror.Is(err, apierror.ReasonExpired) && req.GetResourceVersion() != "":
			req.ResourceVersion = ""
		case err != nil && (first && !began || !lost(err)):
			return err
		case err != nil && f.Broken != nil:
			f.Broken(err)
		}
		if time.Since(start) > steady {
			pause = firstPause
			continue
		}
		if err := sleep(ctx, pause); err != nil {
			return fmt.Errorf("watch of %s: %w", k.Plural, err)
		}
		pause = min(2*pause, maxPause)
	}
}

// followOnce runs one watch, and notes in req how far it came. began tells that the watch came to stand; it is not done
// when the watch ended.
func (c *Client) followOnce(ctx context.Context, k kinds.Kind, req *metav1.WatchRequest, f Following) (began, done bool, err error) {
	w, err := c.Watch(ctx, k, req)
	if err != nil {
		return false, false, err
	}
	defer w.Stop()
	if f.Began != nil {
		f.Began()
	}
	for {
		event, err := w.Next()
		if errors.Is(err, io.EOF) {
			return true, false, nil
		}
		if err != nil {
			return true, false, err
		}
		if version := event.Object.GetMetadata().GetResourceVersion(); version != "" && req.SendInitialEvents == nil {
			req.ResourceVersion = version
		}
		if done, err := f.Event(event); done || err != nil {
			return true, true, err
		}
	}
}

// lost tells whether err says that the server went away, and may come back.
func lost(err error) bool {
	return apierror.Is(err, apierror.ReasonServiceUnavailable) || apierror.Is(err, apierror.ReasonExpired)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // the caller wraps it
	}
}
