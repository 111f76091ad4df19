// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package autoscaler

import (
	"time"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/store"
)

// longestSpan bounds the time that a report is taken to be about: a router without requests reports nothing.
const longestSpan = 1500 * time.Millisecond

// Session is one router that is connected.
type Session struct {
	scaler  *Scaler
	version int64
	last    time.Time
	// inFlight and waiting hold what the router last reported of revisions that have any.
	inFlight, waiting map[store.Key]int64
}

// Connect takes a router in. The caller closes the session when the router is no longer heard.
func (s *Scaler) Connect() *Session {
	c := &Session{scaler: s, inFlight: map[store.Key]int64{}, waiting: map[store.Key]int64{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[c] = struct{}{}
	s.disturb()
	return c
}

// Close says that the router is no longer heard. It may still route, by its last table.
func (c *Session) Close() {
	s := c.scaler
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, c)
	s.disturb()
}

// disturb looks at all revisions with pods anew, for which more or less is known now.
func (s *Scaler) disturb() {
	now := time.Now()
	s.disturbed = now
	for _, e := range s.revisions {
		if e.target.Replicas > 0 {
			s.evaluate(e, now)
		}
	}
}

// Report takes in what the router measured, and the version of the table that it goes by.
func (c *Session) Report(version int64, loads []*servingv1.RevisionLoad) {
	s := c.scaler
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	span := min(now.Sub(c.last), longestSpan)
	c.last, c.version = now, version
	clear(c.inFlight)
	clear(c.waiting)
	for _, l := range loads {
		key := store.Key{Namespace: l.GetNamespace(), Name: l.GetRevision()}
		if l.GetInFlight() > 0 {
			c.inFlight[key] = l.GetInFlight()
		}
		if l.GetWaiting() > 0 {
			c.waiting[key] = l.GetWaiting()
		}
		if e := s.revisions[key]; e != nil {
			e.decider.record(now, l.GetAverageConcurrency(), l.GetRequests(), span)
			s.evaluate(e, now)
		}
	}
	for e := range s.drainers {
		s.evaluate(e, now)
	}
}
