// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"fairlead.dev/deploy/devcluster/internal/cleanup"
	"fairlead.dev/deploy/devcluster/internal/hostsfile"
	"fairlead.dev/deploy/devcluster/internal/network"
	"fairlead.dev/deploy/devcluster/internal/render"
	"fairlead.dev/deploy/devcluster/internal/topology"
)

const (
	stopGrace = 5 * time.Second
	podGrace  = 3 * time.Second
)

// Down stops the cluster and removes all that is outside of its state folder.
func (c *Cluster) Down(ctx context.Context) error {
	release, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	return c.down(ctx)
}

func (c *Cluster) down(ctx context.Context) error {
	have, err := owner()
	if err != nil {
		return err
	}
	if have != "" && have != c.paths.State && c.running() == 0 {
		fmt.Fprintf(c.out, "the devcluster of %s does not run; the one of %s does, and is left alone\n", c.paths.State, have)
		return nil
	}
	if err := c.step(ctx, "stop the components", c.stopComponents); err != nil {
		return err
	}
	return c.step(ctx, "remove what they left", func(ctx context.Context) error {
		return c.removeLeftovers(ctx, podGrace)
	})
}

// Clean stops the cluster and deletes its state folder.
func (c *Cluster) Clean(ctx context.Context) error {
	release, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := c.down(ctx); err != nil {
		return err
	}
	return c.step(ctx, "delete "+c.paths.State, func(context.Context) error {
		return os.RemoveAll(c.paths.State)
	})
}

// stopComponents goes backwards: the kubelet ends before containerd, and what
// writes before etcd.
func (c *Cluster) stopComponents(ctx context.Context) error {
	components := render.Components()
	slices.Reverse(components)
	for _, component := range components {
		if err := c.store.Stop(ctx, string(component), stopGrace); err != nil {
			return err
		}
	}
	return nil
}

// removeLeftovers ends every process in the cluster's cgroup and takes away
// what the kernel and the file system hold. It may run when nothing is left.
func (c *Cluster) removeLeftovers(ctx context.Context, grace time.Duration) error {
	if err := c.cgroup.Kill(ctx, grace); err != nil {
		return err
	}
	errs := []error{
		cleanup.Files(ctx, c.paths),
		hostsfile.Unset(hostsfile.Path, topology.Marker),
		c.cgroup.Remove(ctx),
	}
	errs = append(errs, network.Teardown(ctx))
	for _, component := range render.Components() {
		errs = append(errs, c.store.Delete(string(component)))
	}
	return errors.Join(errs...)
}
