// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package nettest

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo starts a server that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// say sends a word, and returns what comes back within a while.
func say(c net.Conn, within time.Duration) (string, error) {
	_ = c.SetDeadline(time.Now().Add(within))
	if _, err := c.Write([]byte("word")); err != nil {
		return "", err
	}
	answer := make([]byte, 4)
	_, err := io.ReadFull(c, answer)
	return string(answer), err
}

func TestCutEndsAndRefuses(t *testing.T) {
	p := New(t, "tcp", echo(t))
	c := dial(t, p)
	if got, err := say(c, time.Minute); got != "word" || err != nil {
		t.Fatalf("before: %q %v", got, err)
	}
	p.Cut()
	if got, err := say(c, time.Minute); err == nil {
		t.Errorf("a connection that was cut answered %q", got)
	}
	if got, err := say(dial(t, p), time.Minute); err == nil {
		t.Errorf("a connection through a cut line answered %q", got)
	}
	p.Restore()
	if got, err := say(dial(t, p), time.Minute); got != "word" || err != nil {
		t.Errorf("after: %q %v", got, err)
	}
}

func TestHoldDropsNothing(t *testing.T) {
	p := New(t, "tcp", echo(t))
	c := dial(t, p)
	p.Hold()
	if got, err := say(c, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("while held: %q %v", got, err)
	}
	p.Restore()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	answer := make([]byte, 4)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "word" {
		t.Errorf("after: %q %v", answer, err)
	}
}

func TestSlowDelays(t *testing.T) {
	p := New(t, "tcp", echo(t))
	c := dial(t, p)
	p.Slow(time.Hour)
	if got, err := say(c, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("slow: %q %v", got, err)
	}
}
