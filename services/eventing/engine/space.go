// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// space guards the disk of an embedded engine: JetStream switches itself off for good once a write fails for want of
// space, so events are refused before that.
type space struct {
	dir string
	min int64
}

// check returns ErrFull, with the reason, when too little is free. A nil space is content.
func (s *space) check() error {
	if s == nil || s.min == 0 {
		return nil
	}
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return unavailable(fmt.Errorf("free space of %s: %w", s.dir, err))
	}
	if free := int64(st.Bavail) * st.Bsize; free < s.min {
		return fmt.Errorf("%w: %d MiB are free on the disk of %s and %d are to stay so; free some", ErrFull, free>>20, s.dir, s.min>>20)
	}
	return nil
}
