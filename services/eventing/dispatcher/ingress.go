// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"fairlead.dev/services/eventing/cloudevent"
	"fairlead.dev/services/eventing/engine"
)

// publisher keeps events.
type publisher interface {
	// Publish adds all messages to the broker's stream, or none; they are kept for good when it returns nil.
	Publish(ctx context.Context, broker string, messages ...engine.Message) error
}

// directory finds brokers.
type directory interface {
	// find returns the UID of a broker. The error is errUnknown, errNotYet or why the broker takes no events.
	find(namespace, name string) (uid string, err error)
	// lost has a broker's stream looked after, which seems to be gone.
	lost(uid string)
}

var (
	errUnknown = errors.New("no such broker")
	errNotYet  = errors.New("the brokers are not known yet")
)

// ingress takes events over HTTP: POST /NAMESPACE/BROKER.
type ingress struct {
	cfg     Config
	brokers directory
	engine  publisher
	metrics *metrics
	log     *slog.Logger
}

// refusal is an answer other than 202.
type refusal struct {
	code    int
	message string
	// retryAfter, in seconds, is sent where it is above 0.
	retryAfter int
}

func refuse(code int, format string, args ...any) *refusal {
	return &refusal{code: code, message: fmt.Sprintf(format, args...)}
}

func (in *ingress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	code := http.StatusAccepted
	if r.Method == http.MethodOptions {
		code = in.handshake(w, r)
	} else if no := in.accept(w, r); no != nil {
		code = no.code
		if no.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(no.retryAfter))
		}
		http.Error(w, no.message, code)
	} else {
		w.WriteHeader(code)
	}
	in.metrics.request(code, time.Since(start))
}

// handshake answers the question of webhook senders whether they may send.
func (in *ingress) handshake(w http.ResponseWriter, r *http.Request) int {
	w.Header().Set("Allow", "POST, OPTIONS")
	if origin := r.Header.Get("Webhook-Request-Origin"); origin != "" {
		w.Header().Set("Webhook-Allowed-Origin", origin)
		w.Header().Set("Webhook-Allowed-Rate", "*")
	}
	w.WriteHeader(http.StatusOK)
	return http.StatusOK
}

func (in *ingress) accept(w http.ResponseWriter, r *http.Request) *refusal {
	namespace, name, ok := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return refuse(http.StatusNotFound, "post events to /NAMESPACE/BROKER; %q names no broker", r.URL.Path)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, OPTIONS")
		return refuse(http.StatusMethodNotAllowed, "events are sent by POST")
	}
	uid, no := in.find(namespace, name)
	if no != nil {
		return no
	}
	messages, no := in.read(w, r)
	if no != nil || len(messages) == 0 {
		return no
	}
	ctx, cancel := context.WithTimeout(r.Context(), in.cfg.PublishTimeout)
	defer cancel()
	if err := in.engine.Publish(ctx, uid, messages...); err != nil {
		if errors.Is(err, engine.ErrNoStream) {
			in.brokers.lost(uid)
		}
		return in.refused(namespace, name, err)
	}
	in.metrics.accepted.WithLabelValues(namespace, name).Add(float64(len(messages)))
	return nil
}

func (in *ingress) find(namespace, name string) (string, *refusal) {
	uid, err := in.brokers.find(namespace, name)
	switch {
	case err == nil:
		return uid, nil
	case errors.Is(err, errUnknown):
		return "", refuse(http.StatusNotFound, "there is no broker %q in namespace %q", name, namespace)
	default:
		return "", &refusal{http.StatusServiceUnavailable, fmt.Sprintf("broker %s/%s takes no events yet: %v", namespace, name, err), 1}
	}
}

// read returns the request's events as they are to be kept.
func (in *ingress) read(w http.ResponseWriter, r *http.Request) ([]engine.Message, *refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, in.cfg.MaxBodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refuse(http.StatusRequestEntityTooLarge, "a body may have %d bytes at most; send large data elsewhere, and its address as the event", tooLarge.Limit)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body cannot be read: %v", err)
	}
	events, err := cloudevent.Read(r.Header, body)
	switch {
	case errors.Is(err, cloudevent.ErrFormat):
		return nil, refuse(http.StatusUnsupportedMediaType, "%v", err)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	messages := make([]engine.Message, 0, len(events))
	for i, e := range events {
		v, err := envelopeOf(r.Header, e)
		if err != nil && len(events) > 1 {
			return nil, refuse(http.StatusBadRequest, "event %d: %v", i, err)
		}
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "%v", err)
		}
		messages = append(messages, v.message(e))
	}
	return messages, nil
}

// refused turns an error of the engine into an answer.
func (in *ingress) refused(namespace, name string, err error) *refusal {
	if errors.Is(err, engine.ErrTooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, "%v", err)
	}
	if errors.Is(err, context.Canceled) {
		return refuse(http.StatusServiceUnavailable, "the sender gave up")
	}
	in.log.Warn("events refused", "namespace", namespace, "broker", name, "error", err)
	if errors.Is(err, engine.ErrFull) {
		return &refusal{http.StatusServiceUnavailable, fmt.Sprintf("broker %s/%s: %v", namespace, name, err), 10}
	}
	return &refusal{http.StatusServiceUnavailable, fmt.Sprintf("broker %s/%s could not keep the event, which may have been kept all the same: %v", namespace, name, err), 2}
}
