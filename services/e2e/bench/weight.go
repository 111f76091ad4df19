// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// weighed is what a process costs that holds many objects and has nothing to do.
type weighed struct {
	// memory is what the process holds after a garbage collection, without mapped files; heap is what of it objects use.
	memory, heap int64
	// idle is the part of a processor that it takes.
	idle float64
	// restart is how long it takes from its start until it answers for its objects.
	restart time.Duration
	// etcdMemory and etcdIdle are those of its etcd.
	etcdMemory int64
	etcdIdle   float64
}

// weight measures memory, idle processor time and restarts, with the same number of objects in both.
func (r *run) weight(ctx context.Context) (err error) {
	r.sayf("memory")
	f, err := r.startField(ctx, "memory", false, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	group, gctx := errgroup.WithContext(ctx)
	for _, s := range []system{f.kube, f.grpc} {
		group.Go(func() error {
			return repeat(gctx, r.Clients, r.Objects, func(ctx context.Context, client, i int) error {
				return s.create(ctx, client, namespaceMass, listedName(i), now())
			})
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("make %d objects: %w", r.Objects, err)
	}
	r.sayf("%d objects are there", r.Objects)
	kube, err := r.weigh(ctx, f.kubeProcess, f.kubeEtcd, f.kube, f.kube)
	if err != nil {
		return err
	}
	// Its Kubernetes stays, as that has to be there; its share is not counted.
	fairlead, err := r.weigh(ctx, f.fairleadProcess, f.fairleadEtcd, f.grpc, f.front)
	if err != nil {
		return err
	}
	r.table.addWeights(r.Objects, kube, fairlead)
	return nil
}

// weigh starts a process again, and looks at it when it answers.
func (r *run) weigh(ctx context.Context, p, etcd *process, s system, admin *rest) (w weighed, err error) {
	if err := p.stop(); err != nil {
		return w, err
	}
	began := time.Now()
	if _, err := p.start(ctx); err != nil {
		return w, err
	}
	for {
		// A cached read is answered once the objects are in memory.
		if err = s.get(ctx, 0, namespaceMass, listedName(r.Objects-1), true); err == nil {
			break
		}
		if time.Since(began) > startTimeout {
			return w, fmt.Errorf("%s does not answer for its objects: %w", p.name, err)
		}
		time.Sleep(readyEvery)
	}
	w.restart = time.Since(began)
	r.sayf("%s restarted in %s", p.name, w.restart.Round(time.Millisecond))
	if w.heap, err = r.collect(ctx, admin); err != nil {
		r.sayf("%s: no garbage collection on demand: %s", p.name, err)
	}
	if w.idle, w.etcdIdle, err = r.idle(ctx, p, etcd); err != nil {
		return w, err
	}
	if w.memory, err = p.anonymous(); err != nil {
		return w, err
	}
	w.etcdMemory, err = etcd.anonymous()
	return w, err
}

// idle returns the parts of a processor that processes take when nothing is asked of them.
func (r *run) idle(ctx context.Context, p, etcd *process) (own, theirs float64, err error) {
	select { // what the start has left to do
	case <-time.After(r.Idle):
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	before, err := p.cpu()
	etcdBefore, etcdErr := etcd.cpu()
	if err = errors.Join(err, etcdErr); err != nil {
		return 0, 0, err
	}
	select {
	case <-time.After(r.Idle):
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	after, err := p.cpu()
	etcdAfter, etcdErr := etcd.cpu()
	if err = errors.Join(err, etcdErr); err != nil {
		return 0, 0, err
	}
	return float64(after-before) / float64(r.Idle), float64(etcdAfter-etcdBefore) / float64(r.Idle), nil
}

// collect has a process collect its garbage, and returns what is in use.
func (r *run) collect(ctx context.Context, admin *rest) (int64, error) {
	var heap int64
	for range 2 { // what the first one finalizes, the second one frees
		res, err := admin.do(ctx, 0, http.MethodGet, "/debug/pprof/heap?gc=1&debug=1", nil)
		if err != nil {
			return 0, err
		}
		text, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "# HeapInuse = "); ok {
				if heap, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
					return 0, fmt.Errorf("heap profile: %w", err)
				}
			}
		}
	}
	return heap, nil
}
