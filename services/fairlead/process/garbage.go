// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// heapFloor is about how much is allocated between two garbage collections at least. A process with few objects would
	// else spend a sixth of its time under load on collecting its few megabytes over and over.
	heapFloor = 64 << 20
	// usualPercent is Go's own: the heap doubles between two collections.
	usualPercent = 100
	liveHeap     = "/gc/heap/live:bytes"
)

// keepHeapFloor has the garbage collector wait for heapFloor from now on, unless GOGC says what it is to do.
func keepHeapFloor() {
	if os.Getenv("GOGC") == "" {
		tuneCollector(0)
	}
}

// tuneCollector sets the collector's pace for the heap that is live now, and again after the next collection. was is the
// percentage so far.
func tuneCollector(was int) {
	sample := []metrics.Sample{{Name: liveHeap}}
	metrics.Read(sample)
	percent := collectorPercent(sample[0].Value.Uint64())
	if percent != was {
		debug.SetGCPercent(percent)
	}
	token := new([16]*byte) // pointers keep it from being allocated together with others, which might live on
	runtime.AddCleanup(token, tuneCollector, percent)
}

// collectorPercent is how far a heap is to grow over what lives in it, in steps, so that it is seldom set.
func collectorPercent(live uint64) int {
	const step = 50
	live = max(live, 1<<20)
	return max(usualPercent, int(heapFloor*usualPercent/live)/step*step)
}
