// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/store/encryption"
)

// TestReencryption has two kinds that are encrypted and one that is not, and etcd away at first.
func TestReencryption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		changed := make(chan struct{}, 1)
		var calls []string
		fails := true
		r := &reencryption{
			kinds: []kinds.Kind{{Plural: "secrets", Encrypted: true}, {Plural: "builds"}, {Plural: "keys", Encrypted: true}},
			rewrite: func(_ context.Context, k kinds.Kind) (int, error) {
				calls = append(calls, k.Plural)
				if k.Plural == "secrets" && fails {
					return 1, errors.New("etcd is away")
				}
				return 2, nil
			},
			changed: changed, log: slog.New(slog.DiscardHandler),
		}
		ended := make(chan error, 1)
		go func() { ended <- r.run(ctx) }()
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			if d := cmp.Diff(want, calls); d != "" {
				t.Errorf("%s (-want +got):\n%s", when, d)
			}
			calls = nil
		}
		expect("at the start", "secrets", "keys")
		fails = false
		time.Sleep(reencryptAgain)
		expect("after a failure", "secrets", "keys")
		time.Sleep(10 * reencryptAgain)
		expect("when all is done")
		changed <- struct{}{}
		expect("after the keys have changed", "secrets", "keys")
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("at the end: %v", err)
		}
	})
}

// TestReplaceKeys has the same keys again, broken ones, and others.
func TestReplaceKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	line := func(id, letter string) string {
		return id + " " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32))) + "\n"
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(line("a", "a"))
	keys, err := encryption.Load(encryption.File(file))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		reason, text string
		others       bool
	}{
		{"the same", line("a", "a"), false},
		{"broken", "b\n", false},
		{"a key more", line("a", "a") + line("b", "b"), true},
		{"the other is current", line("b", "b") + line("a", "a"), true},
	} {
		write(step.text)
		if got := replaceKeys(t.Context(), keys, encryption.File(file), slog.New(slog.DiscardHandler)); got != step.others {
			t.Errorf("%s: others %t, want %t", step.reason, got, step.others)
		}
	}
}
