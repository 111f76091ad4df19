// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Owner is the Broker or Trigger for which a stream or consumer is.
type Owner struct {
	UID, Namespace, Name string
}

const (
	streamPrefix  = "broker-"
	subjectPrefix = "fairlead.broker."

	metaInstallation = "fairlead.dev/installation"
	metaNamespace    = "fairlead.dev/namespace"
	metaName         = "fairlead.dev/name"
	metaOrphaned     = "fairlead.dev/orphaned"
)

func streamName(broker string) string { return streamPrefix + broker }

func subject(broker string) string { return subjectPrefix + broker }

func (e *Engine) metadata(o Owner) map[string]string {
	return map[string]string{metaInstallation: e.cfg.Installation, metaNamespace: o.Namespace, metaName: o.Name}
}

// EnsureStream makes the broker's stream, or brings it to the engine's settings. It returns when the stream was made: one
// that was lost and made anew has another time, and numbers its events from 1.
//
// Events stay after their delivery, for replay, until age or want of space takes them. A full stream refuses new ones
// rather than dropping old ones, which may not have been delivered.
func (e *Engine) EnsureStream(ctx context.Context, broker Owner) (time.Time, error) {
	stream, err := e.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:               streamName(broker.UID),
		Description:        "Broker " + broker.Namespace + "/" + broker.Name,
		Subjects:           []string{subject(broker.UID)},
		Storage:            jetstream.FileStorage,
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardNew,
		MaxBytes:           e.cfg.MaxBytes,
		MaxAge:             e.cfg.MaxAge,
		MaxMsgSize:         int32(e.cfg.MaxEventBytes + headerRoom),
		Replicas:           e.cfg.Replicas,
		Duplicates:         min(2*time.Minute, e.cfg.MaxAge),
		AllowAtomicPublish: true,
		Metadata:           e.metadata(broker),
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("engine: stream of broker %s/%s: %w", broker.Namespace, broker.Name, err)
	}
	return stream.CachedInfo().Created, nil
}

// DeleteStream deletes the stream of the broker with that UID, its events and its consumers. It is content if there is
// none.
func (e *Engine) DeleteStream(ctx context.Context, broker string) error {
	if err := e.js.DeleteStream(ctx, streamName(broker)); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("engine: delete the stream of broker %s: %w", broker, err)
	}
	return nil
}

// Streams returns this installation's streams: the UIDs of their brokers.
func (e *Engine) Streams(ctx context.Context) ([]string, error) {
	var uids []string
	list := e.js.ListStreams(ctx)
	for info := range list.Info() {
		uid, ours := strings.CutPrefix(info.Config.Name, streamPrefix)
		if ours && info.Config.Metadata[metaInstallation] == e.cfg.Installation {
			uids = append(uids, uid)
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("engine: list streams: %w", err)
	}
	return uids, nil
}

// Orphan notes that a stream's broker is not known, and returns since when. EnsureStream takes the note off.
func (e *Engine) Orphan(ctx context.Context, broker string, now time.Time) (time.Time, error) {
	stream, err := e.js.Stream(ctx, streamName(broker))
	if err != nil {
		return time.Time{}, fmt.Errorf("engine: stream of broker %s: %w", broker, missing(err))
	}
	cfg := stream.CachedInfo().Config
	if since, err := time.Parse(time.RFC3339, cfg.Metadata[metaOrphaned]); err == nil {
		return since, nil
	}
	now = now.UTC().Truncate(time.Second)
	cfg.Metadata[metaOrphaned] = now.Format(time.RFC3339)
	if _, err := e.js.UpdateStream(ctx, cfg); err != nil {
		return time.Time{}, fmt.Errorf("engine: stream of broker %s: %w", broker, missing(err))
	}
	return now, nil
}

// makeRoom takes away the older half of the events that all triggers have got, and tells whether it found any.
func (e *Engine) makeRoom(ctx context.Context, broker string) (bool, error) {
	stream, err := e.js.Stream(ctx, streamName(broker))
	if err != nil {
		return false, fmt.Errorf("engine: stream of broker %s: %w", broker, err)
	}
	state := stream.CachedInfo().State
	delivered := state.LastSeq
	consumers := stream.ListConsumers(ctx)
	for c := range consumers.Info() {
		delivered = min(delivered, c.AckFloor.Stream)
	}
	if err := consumers.Err(); err != nil {
		return false, fmt.Errorf("engine: consumers of broker %s: %w", broker, err)
	}
	if delivered < state.FirstSeq || state.Msgs == 0 {
		return false, nil
	}
	upTo := state.FirstSeq + (delivered-state.FirstSeq)/2
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(upTo+1)); err != nil {
		return false, fmt.Errorf("engine: make room for broker %s: %w", broker, err)
	}
	return true, nil
}
