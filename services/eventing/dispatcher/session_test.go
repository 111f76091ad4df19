// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher_test

import (
	"errors"
	"testing"

	"fairlead.dev/services/internal/apierror"
)

// TestExpiryOfTheTokenIsNoFault ends streams as their tokens do: new ones begin, and nobody is told. Other ends are told of.
func TestExpiryOfTheTokenIsNoFault(t *testing.T) {
	sub := subscribe(t, nil)
	c := newControl()
	s := start(t, c, t.TempDir(), nil)
	configure := func(uid string) {
		s.set(broker(trigger(uid, sub.URL)))
		s.await(t, uid, ready)
	}
	configure("t-1")
	for _, uid := range []string{"t-2", "t-3"} {
		c.cut <- apierror.ToStatus(apierror.Unauthorized("the stream has ended: its token has expired")).Err()
		configure(uid)
	}
	if n := c.warnings.Load(); n != 0 {
		t.Errorf("%d warnings of streams that have ended with their tokens", n)
	}
	c.cut <- errors.New("broken")
	configure("t-4")
	if n := c.warnings.Load(); n != 1 {
		t.Errorf("%d warnings of a stream that has broken, want one", n)
	}
}
