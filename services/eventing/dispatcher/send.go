// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"fairlead.dev/services/eventing/cloudevent"
)

const (
	// maxErrorData is how much of a failure's body goes into knativeerrordata.
	maxErrorData = 1024
	// maxDrain is how much of an answer is read away so that its connection can be used again.
	maxDrain = 64 << 10
)

// sender posts events.
type sender struct {
	client   *http.Client
	maxReply int64
}

func newSender(cfg Config) *sender {
	return &sender{
		client: &http.Client{
			Transport: newTransport(cfg),
			// An event is for the one to whom it is addressed; a redirect counts as a refusal.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		maxReply: cfg.MaxBodyBytes,
	}
}

func (s *sender) close() { s.client.CloseIdleConnections() }

// failure tells why an event was not taken.
type failure struct {
	// reason is a sentence for people. The same failure has the same one.
	reason string
	// code is the answer's HTTP status; 0 when there was no answer.
	code int
	// data is the beginning of the answer's body.
	data string
	// retry tells whether another try may succeed.
	retry bool
	// after is how long the subscriber asks to wait; 0 when it does not.
	after time.Duration
}

// answer is what came of sending an event.
type answer struct {
	// failure is nil when the event was taken.
	failure *failure
	// reply holds the events that came back.
	reply []*cloudevent.Event
	// badReply tells what is wrong with what came back, where it is no event. The event counts as taken all the same.
	badReply error
}

// send posts an event in binary mode.
func (s *sender) send(ctx context.Context, uri string, e *cloudevent.Event, meta envelope, timeout time.Duration) answer {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, bytes.NewReader(e.Data))
	if err != nil {
		return answer{failure: &failure{reason: err.Error()}}
	}
	e.WriteHeader(req.Header)
	meta.writeHeader(e, req.Header)
	req.Header.Set("Prefer", "reply")
	req.Header.Set("User-Agent", "fairlead-eventing")
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{failure: &failure{reason: uri + ": " + reasonOf(ctx, err), retry: true}}
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
		_ = resp.Body.Close()
	}()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorData))
		return answer{failure: &failure{
			reason: fmt.Sprintf("%s answered %d %s", uri, resp.StatusCode, http.StatusText(resp.StatusCode)),
			code:   resp.StatusCode,
			data:   string(body),
			retry:  retryable(resp.StatusCode),
			after:  retryAfter(resp.Header, time.Now()),
		}}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, s.maxReply+1))
	if err != nil {
		return answer{failure: &failure{reason: uri + ": " + reasonOf(ctx, err), code: resp.StatusCode, retry: true}}
	}
	reply, err := readReply(resp.Header, body, s.maxReply)
	if err != nil {
		return answer{badReply: fmt.Errorf("%s replied with what is no event: %w", uri, err)}
	}
	return answer{reply: reply}
}

func readReply(header http.Header, body []byte, most int64) ([]*cloudevent.Event, error) {
	if int64(len(body)) > most {
		return nil, fmt.Errorf("more than %d bytes", most)
	}
	events, err := cloudevent.Read(header, body)
	if errors.Is(err, cloudevent.ErrNoEvent) {
		return nil, nil
	}
	return events, err
}

// retryable tells whether an answer may be another one next time, as Knative's delivery says, and 408 as HTTP does.
func retryable(code int) bool {
	switch code {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return true
	}
	return code >= 500
}

func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// reasonOf words a failed request without what differs from one try to the next, such as local ports.
func reasonOf(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return context.Cause(ctx).Error()
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		c := *op
		c.Source = nil
		if c.Op != "dial" {
			c.Addr = nil
		}
		return c.Error()
	}
	return err.Error()
}
