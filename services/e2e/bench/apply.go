// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
)

// applyManager is the field manager that applies.
const applyManager = "bench"

// applier applies documents by server-side apply.
type applier interface {
	apply(ctx context.Context, client int, namespace, name string, sent int64) error
}

// applies measures server-side apply: of objects that are not there yet, with a changed field, and with nothing changed. Each
// client has an object of its own.
func (r *run) applies(ctx context.Context, f *field) error {
	entrants := []struct {
		column Column
		system applier
	}{{KubeAPIServer, f.kube}, {GRPC, f.grpc}, {REST, f.front}}
	works := []struct {
		name string
		do   func(ctx context.Context, s applier, client int) error
	}{
		{"create by apply", func(ctx context.Context, s applier, client int) error {
			return s.apply(ctx, client, namespaceApply, newName(), now())
		}},
		{"change by apply", func(ctx context.Context, s applier, client int) error {
			return s.apply(ctx, client, namespaceApply, fmt.Sprintf("c-%03d", client), now())
		}},
		{"apply of what is there", func(ctx context.Context, s applier, client int) error {
			return s.apply(ctx, client, namespaceApply, fmt.Sprintf("s-%03d", client), 0)
		}},
	}
	for _, work := range works {
		for _, clients := range []int{1, r.Clients} {
			var lanes []lane
			for _, e := range entrants {
				lanes = append(lanes, lane{e.column, func(ctx context.Context, client int) error { return work.do(ctx, e.system, client) }})
			}
			rates, err := r.race(ctx, clients, lanes)
			if err != nil {
				return fmt.Errorf("%s: %w", work.name, err)
			}
			r.table.addRates(work.name+", "+clientsText(clients), rates, aim{"REST ≥ 3 × kube-apiserver", rates[REST] / rates[KubeAPIServer], 3})
		}
	}
	return nil
}
