// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// MaxBatch is how many events can be published at once.
const MaxBatch = 1000

// The server's codes for what jetstream has no errors for.
const (
	codeStreamStoreFailed jetstream.ErrorCode = 10077 // maximum bytes, or a failed write
	codeNoResources       jetstream.ErrorCode = 10023
	codeStorageExceeded   jetstream.ErrorCode = 10047
	codeBatchTooLarge     jetstream.ErrorCode = 10199
	codeBatchDuplicate    jetstream.ErrorCode = 10201
)

// Message is an event as the engine keeps it.
type Message struct {
	// Header holds the event's attributes and whatever goes with it.
	Header map[string][]string
	// Data is the event's data.
	Data []byte
	// ID, where it is not empty, makes a second publication within two minutes do nothing. Messages published together
	// have all IDs of their own, or none.
	ID string
}

func (m Message) size() int {
	n := len(m.Data)
	for k, vs := range m.Header {
		for _, v := range vs {
			n += len(k) + len(v)
		}
	}
	return n
}

// Publish adds messages to a broker's stream, all of them or, on an error, none. They are on disk when it returns nil. An
// error that wraps a context's may leave open whether they were added. See the Err variables for what can go wrong.
func (e *Engine) Publish(ctx context.Context, broker string, messages ...Message) error {
	if len(messages) > MaxBatch {
		return fmt.Errorf("%w: %d events at once, and %d is the most", ErrTooLarge, len(messages), MaxBatch)
	}
	for i, m := range messages {
		if n := m.size(); n > e.cfg.MaxEventBytes {
			return fmt.Errorf("%w: event %d has %d bytes, and %d is the most", ErrTooLarge, i, n, e.cfg.MaxEventBytes)
		}
	}
	if err := e.space.check(); err != nil {
		return err
	}
	for {
		err := e.publish(ctx, broker, messages)
		if !errors.Is(err, ErrFull) {
			return err
		}
		if more, roomErr := e.makeRoom(ctx, broker); roomErr != nil || !more {
			return errors.Join(err, roomErr)
		}
	}
}

func (e *Engine) publish(ctx context.Context, broker string, messages []Message) error {
	switch len(messages) {
	case 0:
		return nil
	case 1:
		msg := toNATS(broker, messages[0])
		_, err := e.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(streamName(broker)), jetstream.WithRetryAttempts(e.retries()))
		return publishError(err)
	default:
		return publishError(e.publishBatch(ctx, broker, messages))
	}
}

// retries is how often a publication to which nobody listens is tried again: a cluster may be choosing a leader.
func (e *Engine) retries() int {
	if e.server != nil {
		return 0
	}
	return 2
}

// toNATS copies the header, to which NATS adds its own.
func toNATS(broker string, m Message) *nats.Msg {
	header := make(nats.Header, len(m.Header)+4)
	maps.Copy(header, m.Header)
	if m.ID != "" {
		header.Set(jetstream.MsgIDHeader, m.ID)
	}
	return &nats.Msg{Subject: subject(broker), Header: header, Data: m.Data}
}

// publishBatch uses JetStream's atomic batches, which the client library has no call for: numbered messages under one id,
// of which the last one commits and is acknowledged.
func (e *Engine) publishBatch(ctx context.Context, broker string, messages []Message) error {
	select {
	case e.batches <- struct{}{}:
		defer func() { <-e.batches }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	id := nuid.Next()
	var last *nats.Msg
	for i, m := range messages {
		msg := toNATS(broker, m)
		msg.Header.Set("Nats-Batch-Id", id)
		msg.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		msg.Header.Set(jetstream.ExpectedStreamHeader, streamName(broker))
		if i == len(messages)-1 {
			msg.Header.Set("Nats-Batch-Commit", "1")
			last = msg
			break
		}
		if err := e.nc.PublishMsg(msg); err != nil {
			return err //nolint:wrapcheck // publishError does
		}
	}
	answer, err := e.nc.RequestMsgWithContext(ctx, last)
	if err != nil {
		return err //nolint:wrapcheck // publishError does
	}
	var ack struct {
		Error  *jetstream.APIError `json:"error"`
		Stream string              `json:"stream"`
		Count  int                 `json:"count"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return fmt.Errorf("acknowledgement of a batch: %w", err)
	}
	if ack.Error != nil {
		return ack.Error
	}
	if ack.Count != len(messages) {
		return fmt.Errorf("of a batch of %d events %d were acknowledged", len(messages), ack.Count)
	}
	return nil
}

func publishError(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api):
		switch api.ErrorCode {
		case codeBatchDuplicate: // a batch is there as a whole, or not at all
			return nil
		case codeStreamStoreFailed, codeNoResources, codeStorageExceeded:
			return fmt.Errorf("%w: %s", ErrFull, api.Description)
		case jetstream.JSErrCodeStreamMessageExceedsMaximum, codeBatchTooLarge:
			return fmt.Errorf("%w: %s", ErrTooLarge, api.Description)
		case jetstream.JSErrCodeStreamNotFound:
			return ErrNoStream
		}
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Errorf("%w: %w", ErrUnavailable, ErrNoStream) // or a cluster is choosing a leader
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return unavailable(err)
}
