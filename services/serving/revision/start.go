// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"log/slog"
	"sync"
	"time"

	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/autoscaler"
)

// starts follows revisions on their way from no pod to a ready one, and logs where the time went. The router logs the part
// from a pod's address to the first byte of an answer.
type starts struct {
	log *slog.Logger

	mu    sync.Mutex
	going map[store.Key]*start
}

// start holds when each part was over.
type start struct {
	reason                                                         string
	decided, applying, applied, created, scheduled, address, ready time.Time
}

func newStarts(log *slog.Logger) *starts {
	return &starts{log: log, going: map[store.Key]*start{}}
}

// applied says that the cluster has been told how many pods there are to be.
func (t *starts) applied(key store.Key, target autoscaler.Target, began, ended time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if target.Replicas == 0 {
		delete(t.going, key)
		return
	}
	if t.going[key] == nil {
		t.going[key] = &start{reason: target.Reason, decided: target.Decided, applying: began, applied: ended}
	}
}

// see takes in what the cluster shows, and logs when the first pod is ready.
func (t *starts) see(key store.Key, v view, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.going[key]
	if s == nil || !s.ready.IsZero() {
		return
	}
	note := func(at *time.Time, when bool) {
		if when && at.IsZero() {
			*at = now
		}
	}
	for _, p := range v.pods {
		note(&s.created, true)
		note(&s.scheduled, p.Spec.NodeName != "")
		note(&s.address, p.Status.PodIP != "")
	}
	note(&s.ready, len(v.ready) > 0)
	if s.ready.IsZero() {
		return
	}
	t.log.Info("revision started", "revision", key.String(), "reason", s.reason,
		"untilApply", s.applying.Sub(s.decided), "apply", s.applied.Sub(s.applying), "untilPod", s.created.Sub(s.applied),
		"untilScheduled", s.scheduled.Sub(s.created), "untilAddress", s.address.Sub(s.scheduled), "untilReady", s.ready.Sub(s.address),
		"total", s.ready.Sub(s.decided))
}

func (t *starts) forget(key store.Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.going, key)
}
