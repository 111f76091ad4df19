// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
)

const (
	// logPiece is how much of a log is sent at once, unless a line is longer.
	logPiece = 32 << 10
	// logRetry is how long to wait before a log is asked for again whose stream broke.
	logRetry = time.Second
)

// containerLog reads the log of one container, and takes up where it was when a connection to the cluster breaks: lines
// come with their times, which are taken off again.
type containerLog struct {
	pods           typed.PodInterface
	pod, container string
	follow         bool

	// last is the time of the last line read, and repeats how many of that very time have been read.
	last    time.Time
	repeats int
}

// copy hands over the container's log, in pieces of whole lines, until the container ends.
func (c *containerLog) copy(ctx context.Context, w *buildWatch, send func([]byte) error) error {
	for {
		err := c.once(ctx, send)
		var sending *sendError
		switch {
		case errors.As(err, &sending):
			return sending.error
		case err == nil, ctx.Err() != nil:
			return ctx.Err() //nolint:wrapcheck // the caller's own
		case notYet(err), !c.follow && w.current() == nil:
			return nil
		case !c.follow:
			return fmt.Errorf("log of %s in pod %s: %w", c.container, c.pod, err)
		}
		if p := w.current(); p == nil || p.DeletionTimestamp != nil {
			return nil
		}
		timer := time.NewTimer(logRetry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err() //nolint:wrapcheck // the caller's own
		}
	}
}

// sendError tells that it is the reader of the log that is gone.
type sendError struct{ error }

// once reads the log over one connection. Without an error the log has come to its end.
func (c *containerLog) once(ctx context.Context, send func([]byte) error) error {
	opts := &corev1.PodLogOptions{Container: c.container, Follow: c.follow, Timestamps: true}
	seen := 0
	if !c.last.IsZero() {
		opts.SinceTime = &kmetav1.Time{Time: c.last}
		seen = c.repeats
	}
	since := c.last
	stream, err := c.pods.GetLogs(c.pod, opts).Stream(ctx)
	if err != nil {
		return err //nolint:wrapcheck // read by copy
	}
	defer func() { _ = stream.Close() }()
	in := bufio.NewReaderSize(stream, logPiece)
	var out bytes.Buffer
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			if text, at := splitTime(line); at.After(since) {
				out.Write(text)
				c.saw(at)
			} else if seen > 0 && at.Equal(since) {
				seen--
			} else if at.IsZero() || at.Equal(since) {
				out.Write(text)
				c.saw(at)
			}
		}
		if out.Len() > 0 && (err != nil || out.Len() >= logPiece || in.Buffered() == 0) {
			if err := send(bytes.Clone(out.Bytes())); err != nil {
				return &sendError{err}
			}
			out.Reset()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err //nolint:wrapcheck // read by copy
		}
	}
}

func (c *containerLog) saw(at time.Time) {
	switch {
	case at.Equal(c.last):
		c.repeats++
	case at.After(c.last):
		c.last, c.repeats = at, 1
	}
}

// splitTime takes off the time that Kubernetes puts before a line; one without it has the zero time.
func splitTime(line []byte) ([]byte, time.Time) {
	before, after, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return line, time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, string(before))
	if err != nil {
		return line, time.Time{}
	}
	return after, at
}
