// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/services/internal/apierror"
)

// TestReadersShareAQuestion has readers come while a question is under way: its answer does not serve them, but one further
// question serves all of them.
func TestReadersShareAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		asked, answers := 0, make(chan int64)
		n := &newest{
			ask:   func() (int64, error) { asked++; return <-answers, nil },
			spawn: func(fn func()) bool { wg.Go(fn); return true },
		}
		got := make(chan int64, 20)
		come := func(readers int) {
			for range readers {
				wg.Go(func() {
					revision, err := n.revision(t.Context())
					if err != nil {
						t.Error(err)
					}
					got <- revision
				})
			}
			synctest.Wait()
		}
		come(1)
		come(10)
		come(1)
		answers <- 5
		synctest.Wait()
		if d := cmp.Diff([]int64{5}, taken(got)); d != "" {
			t.Errorf("those before the question (-want +got):\n%s", d)
		}
		come(2)
		answers <- 7
		synctest.Wait()
		if d := cmp.Diff([]int64{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}, taken(got)); d != "" {
			t.Errorf("those during the first question (-want +got):\n%s", d)
		}
		answers <- 9
		wg.Wait()
		if d := cmp.Diff([]int64{9, 9}, taken(got)); d != "" || asked != 3 {
			t.Errorf("%d questions; those during the second (-want +got):\n%s", asked, d)
		}
	})
}

func taken(ch chan int64) (out []int64) {
	for {
		select {
		case v := <-ch:
			out = append(out, v)
		default:
			return out
		}
	}
}

func TestAReaderLeavesAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		answer := make(chan error)
		n := &newest{
			ask:   func() (int64, error) { return 0, <-answer },
			spawn: func(fn func()) bool { wg.Go(fn); return true },
		}
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if _, err := n.revision(ctx); !apierror.Is(err, apierror.ReasonTimeout) {
				t.Errorf("a reader that leaves gets %v", err)
			}
		})
		failed := errors.New("no answer")
		wg.Go(func() {
			if _, err := n.revision(t.Context()); !errors.Is(err, failed) {
				t.Errorf("a reader that stays gets %v, want %v", err, failed)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		answer <- failed
		synctest.Wait()
		select {
		case answer <- failed: // the one that stays may have come during the first question
		default:
		}
		wg.Wait()
	})
}

// TestAStuckQuestion leaves a question unanswered: those who come later do not wait for it.
func TestAStuckQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		var asked atomic.Int64
		stuck := make(chan struct{})
		n := &newest{
			ask: func() (int64, error) {
				turn := asked.Add(1)
				if turn == 1 {
					<-stuck
				}
				return turn, nil
			},
			spawn: func(fn func()) bool { wg.Go(fn); return true },
		}
		read := func(want int64) {
			if got, err := n.revision(t.Context()); got != want || err != nil {
				t.Errorf("got %d, %v; want the answer to question %d", got, err, want)
			}
		}
		wg.Go(func() { read(1) })
		synctest.Wait()
		read(2) // asked once the first is overdue
		read(3)
		close(stuck)
		wg.Wait()
		read(4)
	})
}
