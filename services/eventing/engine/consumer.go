// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullExpiry is how long a pull waits for events.
	pullExpiry = 5 * time.Minute
	// pullHeartbeat is how often the server tells a waiting pull that it is there.
	pullHeartbeat = 30 * time.Second
)

// Newest has a new consumer begin with the events that are published after it.
const Newest uint64 = 0

// EnsureConsumer makes the trigger's consumer on the broker's stream. A new one begins with the event of that number, or is
// for the Newest. It returns up to which event the trigger has had all.
func (e *Engine) EnsureConsumer(ctx context.Context, broker string, trigger Owner, from uint64) (uint64, error) {
	c, err := e.ensureConsumer(ctx, broker, trigger, from)
	if err != nil {
		return 0, fmt.Errorf("engine: consumer of trigger %s/%s: %w", trigger.Namespace, trigger.Name, missing(err))
	}
	return c.CachedInfo().AckFloor.Stream, nil
}

func (e *Engine) ensureConsumer(ctx context.Context, broker string, trigger Owner, from uint64) (jetstream.Consumer, error) {
	cfg := jetstream.ConsumerConfig{
		Durable:       trigger.UID,
		Description:   "Trigger " + trigger.Namespace + "/" + trigger.Name,
		DeliverPolicy: jetstream.DeliverNewPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       e.cfg.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: e.cfg.MaxWaiting,
		Metadata:      e.metadata(trigger),
	}
	c, err := e.js.Consumer(ctx, streamName(broker), trigger.UID)
	switch {
	case err == nil: // where it began cannot be changed
		is := c.CachedInfo().Config
		cfg.DeliverPolicy, cfg.OptStartSeq = is.DeliverPolicy, is.OptStartSeq
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, err //nolint:wrapcheck // EnsureConsumer does
	case from != Newest:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, from
	}
	return e.js.CreateOrUpdateConsumer(ctx, streamName(broker), cfg) //nolint:wrapcheck // EnsureConsumer does
}

// DeleteConsumer deletes the consumer of the trigger with that UID, and is content if there is none.
func (e *Engine) DeleteConsumer(ctx context.Context, broker, trigger string) error {
	err := e.js.DeleteConsumer(ctx, streamName(broker), trigger)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("engine: delete the consumer of trigger %s: %w", trigger, err)
	}
	return nil
}

// Consumers returns the consumers of a broker's stream: the UIDs of their triggers.
func (e *Engine) Consumers(ctx context.Context, broker string) ([]string, error) {
	stream, err := e.js.Stream(ctx, streamName(broker))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("engine: stream of broker %s: %w", broker, err)
	}
	var uids []string
	list := stream.ConsumerNames(ctx)
	for name := range list.Name() {
		uids = append(uids, name)
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("engine: consumers of broker %s: %w", broker, err)
	}
	return uids, nil
}

// Pending returns how many events a trigger has not had: those never handed out, and those without acknowledgement.
func (e *Engine) Pending(ctx context.Context, broker, trigger string) (int64, error) {
	c, err := e.js.Consumer(ctx, streamName(broker), trigger)
	if err != nil {
		return 0, fmt.Errorf("engine: consumer of trigger %s: %w", trigger, err)
	}
	info := c.CachedInfo()
	return int64(info.NumPending) + int64(info.NumAckPending), nil
}

// Delivery is an event in the hands of the one who pulled it, until Ack, Retry, or AckWait without Working.
type Delivery struct {
	// Header holds the event's attributes and whatever was published with it.
	Header map[string][]string
	// Data is the event's data.
	Data []byte
	// Sequence is the event's number in the broker's stream.
	Sequence uint64
	// Attempt tells how often the event was handed out, this time included. It counts hand-outs that a restart cut short.
	Attempt int
	// Behind is how many events the trigger has not been handed yet.
	Behind uint64

	msg jetstream.Msg
}

// Ack takes the event off the trigger's list.
func (d *Delivery) Ack() error {
	if err := d.msg.Ack(); err != nil {
		return fmt.Errorf("engine: acknowledge event %d: %w", d.Sequence, err)
	}
	return nil
}

// Retry has the event handed out again after a while.
func (d *Delivery) Retry(after time.Duration) error {
	if err := d.msg.NakWithDelay(after); err != nil {
		return fmt.Errorf("engine: put event %d back: %w", d.Sequence, err)
	}
	return nil
}

// Working keeps the event in hand for another AckWait.
func (d *Delivery) Working() error {
	if err := d.msg.InProgress(); err != nil {
		return fmt.Errorf("engine: keep event %d: %w", d.Sequence, err)
	}
	return nil
}

// AckWait is how long a Delivery stays in hand without Working.
func (e *Engine) AckWait() time.Duration { return e.cfg.AckWait }

// Puller hands out the events of one trigger.
type Puller struct {
	consumer jetstream.Consumer
}

// Puller returns the puller of a trigger whose consumer exists.
func (e *Engine) Puller(ctx context.Context, broker, trigger string) (*Puller, error) {
	c, err := e.js.Consumer(ctx, streamName(broker), trigger)
	if err != nil {
		return nil, fmt.Errorf("engine: consumer of trigger %s: %w", trigger, missing(err))
	}
	return &Puller{consumer: c}, nil
}

// Pull waits for events and calls each with at most that many, one after another. It returns when it has handed out as
// many, after a few minutes with none, when ctx ends, or on an error. What came too late for ctx is put back.
func (p *Puller) Pull(ctx context.Context, most int, each func(*Delivery)) error {
	// The library derives the pull's expiry from the context's deadline, and wants it long for the heartbeat's sake.
	pull, cancel := context.WithTimeout(context.WithoutCancel(ctx), pullExpiry)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	batch, err := p.consumer.Fetch(most, jetstream.FetchContext(pull), jetstream.FetchHeartbeat(pullHeartbeat))
	if err != nil {
		return fmt.Errorf("engine: pull: %w", err)
	}
	for msg := range batch.Messages() {
		d := &Delivery{Header: msg.Headers(), Data: msg.Data(), msg: msg}
		if ctx.Err() != nil {
			_ = d.Retry(0) // AckWait does the same, later
			continue
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("engine: pull: %w", err)
		}
		d.Sequence, d.Behind = meta.Sequence.Stream, meta.NumPending
		d.Attempt = int(meta.NumDelivered)
		each(d)
	}
	if err := batch.Error(); err != nil && !quiet(err) {
		return fmt.Errorf("engine: pull: %w", missing(err))
	}
	return nil
}

// quiet tells whether err only says that a pull brought nothing.
func quiet(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages)
}
