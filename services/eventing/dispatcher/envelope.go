// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"fmt"
	"net/http"
	"strconv"

	"fairlead.dev/services/eventing/cloudevent"
	"fairlead.dev/services/eventing/engine"
)

const (
	// headerHops says over how many more brokers and replies an event may go. It travels beside the event, so that
	// subscribers see no attribute that its sender did not set.
	headerHops = "Fairlead-Hops"
	// extensionHops is how Knative's brokers say it.
	extensionHops = "knativebrokerttl"
	maxHops       = 255

	headerTraceParent = "Traceparent"
	headerTraceState  = "Tracestate"

	keyHops        = "fairlead-hops"
	keyTraceParent = "traceparent"
	keyTraceState  = "tracestate"
)

// envelope is what travels with an event without being part of it.
type envelope struct {
	hops                    int
	traceParent, traceState string
}

// envelopeOf reads the envelope from an HTTP message, and takes the hops off its event.
func envelopeOf(header http.Header, e *cloudevent.Event) (envelope, error) {
	v := envelope{hops: maxHops, traceParent: header.Get(headerTraceParent), traceState: header.Get(headerTraceState)}
	for _, s := range []string{header.Get(headerHops), first(e.Get(extensionHops))} {
		if s == "" {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			return v, fmt.Errorf("%s: %q is no number", extensionHops, s)
		}
		v.hops = min(v.hops, n)
	}
	e.Remove(extensionHops)
	if v.hops <= 0 {
		return v, fmt.Errorf("the event has gone from broker to broker, or from reply to reply, %d times: look for a loop", maxHops)
	}
	return v, nil
}

func first(s string, _ bool) string { return s }

// message is the event as it is kept.
func (v envelope) message(e *cloudevent.Event) engine.Message {
	h := e.Encode()
	h[keyHops] = []string{strconv.Itoa(v.hops)}
	if v.traceParent != "" {
		h[keyTraceParent] = []string{v.traceParent}
	}
	if v.traceState != "" {
		h[keyTraceState] = []string{v.traceState}
	}
	return engine.Message{Header: h, Data: e.Data}
}

// opened is the reverse of message.
func opened(d *engine.Delivery) (*cloudevent.Event, envelope) {
	get := func(key string) string {
		if values := d.Header[key]; len(values) > 0 {
			return values[0]
		}
		return ""
	}
	v := envelope{hops: maxHops, traceParent: get(keyTraceParent), traceState: get(keyTraceState)}
	if n, err := strconv.Atoi(get(keyHops)); err == nil {
		v.hops = n
	}
	return cloudevent.Decode(d.Header, d.Data), v
}

// writeHeader adds the envelope to a request that carries the event. The event's own trace goes first.
func (v envelope) writeHeader(e *cloudevent.Event, h http.Header) {
	h.Set(headerHops, strconv.Itoa(v.hops-1))
	parent, state := v.traceParent, v.traceState
	if own, ok := e.Get(keyTraceParent); ok {
		parent, state = own, first(e.Get(keyTraceState))
	}
	if parent != "" {
		h.Set(headerTraceParent, parent)
		if state != "" {
			h.Set(headerTraceState, state)
		}
	}
}
