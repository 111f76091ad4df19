// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"context"
	"fmt"

	"fairlead.dev/services/internal/reconcile"
)

// template ends a build whose steps are those of a template: there are none yet.
func (r *reconciler) template(ctx context.Context, s *round) (reconcile.Outcome, error) {
	t := s.build.GetSpec().GetTemplate()
	if t == nil {
		return reconcile.Go, nil
	}
	return r.end(ctx, s, reasonTemplateNotServed, fmt.Sprintf(
		"%s %q cannot be used: templates are not served yet; write its steps into spec.steps", cmp.Or(t.GetKind(), "BuildTemplate"), t.GetName()))
}
