// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import "time"

// meter measures the requests of one revision between two reports. It is guarded by its backend.
type meter struct {
	inFlight int
	requests int64

	area  float64 // request-seconds since the last reading
	since time.Time
	moved time.Time
	told  bool // whether the last reading was not all zero
}

// reading is what a meter says at a report.
type reading struct {
	average  float64
	requests int64
	inFlight int
}

// idle tells whether nothing has been in flight since the last reading.
func (m *meter) idle() bool { return m.inFlight == 0 && m.requests == 0 && m.area == 0 }

func (m *meter) begin(now time.Time) {
	if m.idle() {
		// What was before the first request is no part of the average, or a long silence would hide it.
		m.area, m.since = 0, now
	} else {
		m.settle(now)
	}
	m.moved = now
	m.inFlight++
	m.requests++
}

func (m *meter) end(now time.Time) {
	m.settle(now)
	m.moved = now
	m.inFlight--
}

func (m *meter) settle(now time.Time) { m.area += float64(m.inFlight) * now.Sub(m.moved).Seconds() }

// read returns what was measured since the last reading. It is worth telling when anything was, and once more after.
func (m *meter) read(now time.Time) (r reading, worth bool) {
	active := !m.idle()
	r = reading{average: float64(m.inFlight), requests: m.requests, inFlight: m.inFlight}
	if active {
		m.settle(now)
		if span := now.Sub(m.since).Seconds(); span > 0 {
			r.average = m.area / span
		}
	}
	worth = active || m.told
	m.area, m.requests, m.since, m.moved, m.told = 0, 0, now, now, active
	return r, worth
}
