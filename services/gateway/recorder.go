// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// recorder remembers the code of an answer, and lets streams and upgrades through.
type recorder struct {
	http.ResponseWriter

	control *http.ResponseController
	// timeout is how long the client may take to send a body, and to take each part of the answer.
	timeout time.Duration
	code    int
	long    bool
	// resource is the kind that the request is about, if it is one of ours.
	resource string
}

func (w *recorder) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	w.hurry()
	defer w.pause()
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // a pass-through
}

// hurry has what is written next be taken by the client in time.
func (w *recorder) hurry() {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout)) // not every writer has one
}

// pause takes the limit away while there is nothing to write: over HTTP/2 it would end the answer all the same.
func (w *recorder) pause() { _ = w.control.SetWriteDeadline(time.Time{}) }

// Unwrap lets http.ResponseController find flushing and hijacking.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what is written.
func (w *recorder) Flush() {
	w.hurry()
	defer w.pause()
	_ = w.control.Flush()
}

// timed returns a body that must have been sent whole a while after the first part of it is read.
func (w *recorder) timed(body io.ReadCloser) io.ReadCloser {
	return &timedBody{ReadCloser: body, control: w.control, timeout: w.timeout}
}

// timedBody is a body that a client has limited time to send.
type timedBody struct {
	io.ReadCloser

	control *http.ResponseController
	timeout time.Duration
	begun   bool
}

// Read sets the deadline at first, and takes it away at the end: the server goes on reading, to see whether the client is
// still there.
func (b *timedBody) Read(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		_ = b.control.SetReadDeadline(time.Now().Add(b.timeout)) // not every reader has one
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err //nolint:wrapcheck // a pass-through
}

// lasts tells whether a request to the cluster goes on until the client ends it.
func lasts(r *http.Request) bool {
	q := r.URL.Query()
	watch, _ := strconv.ParseBool(q.Get("watch"))
	follow, _ := strconv.ParseBool(q.Get("follow"))
	return upgrades(r) || r.Method == http.MethodGet && (watch || follow)
}

// upgrades tells whether a client asks for another protocol on the connection, as for a shell.
func upgrades(r *http.Request) bool { return r.Header.Get("Upgrade") != "" }
