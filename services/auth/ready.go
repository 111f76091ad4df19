// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"time"

	"fairlead.dev/services/internal/apierror"
)

// Ready tells why callers cannot be told apart yet: the signing keys are not known, or revocations have not been read.
func (v *Verifier) Ready(ctx context.Context) error {
	if _, err := v.keys.get(ctx); err != nil {
		return apierror.Unavailable(time.Second, "the signing keys cannot be read from the Kubernetes").Wrap(err)
	}
	select {
	case <-v.revocations.loaded:
		return nil
	default:
		return apierror.Unavailable(time.Second, "revocations have not been read from etcd yet")
	}
}
