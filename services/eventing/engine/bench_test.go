// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strconv"
	"testing"

	"fairlead.dev/services/eventing/engine"
)

func BenchmarkBatch(b *testing.B) {
	for _, n := range []int{1, 4, 16, 64} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			e := open(b, b.TempDir(), nil)
			withStream(b, e)
			batch := make([]engine.Message, n)
			for i := range batch {
				batch[i] = message(strconv.Itoa(i))
				batch[i].Data = make([]byte, 1000)
			}
			for b.Loop() {
				if err := e.Publish(b.Context(), broker.UID, batch...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
