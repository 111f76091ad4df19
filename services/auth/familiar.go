// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import "sync"

// familiar remembers questions, up to a number: the older half is forgotten when there are more.
type familiar struct {
	most int

	mu         sync.Mutex
	young, old map[question]struct{}
}

func newFamiliar(most int) *familiar { return &familiar{most: most, young: map[question]struct{}{}} }

func (f *familiar) add(q question) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.young) >= f.most/2 {
		f.old, f.young = f.young, map[question]struct{}{}
	}
	f.young[q] = struct{}{}
}

func (f *familiar) has(q question) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, young := f.young[q]
	_, old := f.old[q]
	return young || old
}
