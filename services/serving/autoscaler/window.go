// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package autoscaler

import "time"

// window sums values a second, over the newest seconds.
type window struct {
	span  time.Duration
	sums  []float64 // a ring: those of the window, and of the second that runs; made with the first value
	at    int64     // the newest second that has a sum
	first int64     // the second of the first value; no average goes further back
}

func newWindow(span time.Duration) *window {
	return &window{span: span}
}

// move goes on to a second, leaving those between empty.
func (w *window) move(second int64) {
	if second <= w.at {
		return
	}
	for s := max(w.at+1, second-int64(len(w.sums))+1); s <= second; s++ {
		w.sums[s%int64(len(w.sums))] = 0
	}
	w.at = second
}

// add adds to the sum of the second that now is in.
func (w *window) add(now time.Time, v float64) {
	second := now.Unix()
	if w.sums == nil {
		w.sums = make([]float64, max(1, int(w.span/time.Second))+1)
		w.at, w.first = second, second
	}
	w.move(second)
	if second > w.at-int64(len(w.sums)) {
		w.sums[second%int64(len(w.sums))] += v
	}
}

// average is the mean of the newest span of the window, the second that runs left out when there are others; what was
// before the first value does not count.
func (w *window) average(now time.Time, span time.Duration) float64 {
	if w.sums == nil {
		return 0
	}
	second := now.Unix()
	w.move(second)
	last := second
	if w.first < second {
		last-- // the second that runs is not over: its sum is not yet what it will be
	}
	from := max(last-int64(max(1, span/time.Second))+1, second-int64(len(w.sums))+1, w.first)
	sum := 0.0
	for s := from; s <= last; s++ {
		sum += w.sums[s%int64(len(w.sums))]
	}
	return sum / float64(last-from+1)
}

// highest keeps the highest of the values that came within a span.
type highest struct {
	span   time.Duration
	values []timed // ever lower, from the oldest to the newest
}

type timed struct {
	at time.Time
	v  int32
}

func (h *highest) record(now time.Time, v int32) int32 {
	for len(h.values) > 0 && h.values[len(h.values)-1].v <= v {
		h.values = h.values[:len(h.values)-1]
	}
	h.values = append(h.values, timed{now, v})
	for now.Sub(h.values[0].at) > h.span {
		h.values = h.values[1:]
	}
	return h.values[0].v
}
