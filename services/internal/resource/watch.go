// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/rpc/encoded"
	"fairlead.dev/services/internal/store"
)

const (
	// minWatch is how long a watch lasts at least whose caller does not say; at most it lasts twice as long. Clients begin
	// again, and are authenticated and authorised anew.
	minWatch = 30 * time.Minute
	// maxWatch bounds what callers ask for.
	maxWatch = 24 * time.Hour
)

func (s *server) serveWatch(in proto.Message, out protoreflect.MessageType, stream grpc.ServerStream) error {
	r, ok := in.(*metav1.WatchRequest)
	if !ok {
		return wrongRequest(in)
	}
	options, err := s.watchOptions(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stream.Context(), watchTimeout(r.GetTimeoutSeconds()))
	defer cancel()
	watcher, err := s.deps.Store.WatchItems(ctx, s.stored, options)
	if err != nil {
		return err
	}
	defer watcher.Stop()
	if err := stream.SendHeader(metadata.Pairs(StreamKey, "open")); err != nil { // callers see that the watch stands before anything happens
		return fmt.Errorf("resource: begin watch of %s: %w", s.resource, err)
	}
	if err := s.sendEvents(stream, newWatchResponses(out), watcher); err != nil {
		return err
	}
	if err := watcher.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// sendEvents sends what happens until the watch ends. It returns then even while the caller does not take what is being sent:
// that send ends with the call.
func (s *server) sendEvents(stream grpc.ServerStream, responses watchResponses, watcher *store.ItemWatcher) error {
	messages, sent := make(chan proto.Message), make(chan error, 1)
	defer close(messages)
	go func() {
		for msg := range messages {
			if err := stream.SendMsg(msg); err != nil {
				sent <- err
				return
			}
		}
	}()
	for event := range watcher.Events() {
		msg, err := s.watchResponse(responses, event)
		if err != nil {
			return err
		}
		select {
		case messages <- msg:
		case err := <-sent:
			return err
		case <-watcher.Done():
			return nil
		}
	}
	return nil
}

func (s *server) watchOptions(r *metav1.WatchRequest) (store.WatchOptions, error) {
	o := store.WatchOptions{
		Namespace: r.GetNamespace(), ResourceVersion: r.GetResourceVersion(),
		SendInitialEvents: r.SendInitialEvents, Bookmarks: r.GetAllowWatchBookmarks(),
	}
	if err := s.noNamespace(r.GetNamespace()); err != nil {
		return o, err
	}
	chosen, err := readSelectors(r.GetLabelSelector(), r.GetFieldSelector())
	if err != nil {
		return o, err
	}
	o.LabelSelector, o.FieldSelector = chosen.labels, chosen.fields
	return o, checkWatch(r)
}

func watchTimeout(seconds int64) time.Duration {
	if seconds <= 0 {
		return minWatch + rand.N(minWatch) //nolint:gosec // spreads load, keeps no secret
	}
	return min(time.Duration(min(seconds, int64(maxWatch/time.Second)))*time.Second, maxWatch)
}

// watchResponses makes the messages of a watch, whose type is the kind's own.
type watchResponses struct {
	typ          protoreflect.MessageType
	kind, object protoreflect.FieldDescriptor
}

func newWatchResponses(out protoreflect.MessageType) watchResponses {
	fields := out.Descriptor().Fields()
	return watchResponses{out, fields.ByName("type"), fields.ByName("object")}
}

// watchResponse is what callers get of an event. Where they get what the store has, all watchers share its bytes.
func (s *server) watchResponse(r watchResponses, e store.ItemEvent) (proto.Message, error) {
	if s.older == nil {
		data := e.Item.Encoded()
		head := make([]byte, 0, len(e.Type)+2*maxOpening)
		head = encoded.AppendField(head, r.kind.Number(), len(e.Type))
		head = append(head, e.Type...)
		return encoded.New(r.typ, encoded.AppendField(head, r.object.Number(), len(data)), data), nil
	}
	obj, err := s.servedEvent(e.Type, e.Item.Object())
	if err != nil {
		return nil, err
	}
	m := r.typ.New()
	m.Set(r.kind, protoreflect.ValueOfString(string(e.Type)))
	m.Set(r.object, protoreflect.ValueOfMessage(obj.ProtoReflect()))
	return m.Interface(), nil
}
