// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"fairlead.dev/deploy/devcluster/internal/debian"
	"fairlead.dev/deploy/devcluster/internal/hostsfile"
	"fairlead.dev/deploy/devcluster/internal/image"
	"fairlead.dev/deploy/devcluster/internal/network"
	"fairlead.dev/deploy/devcluster/internal/pki"
	"fairlead.dev/deploy/devcluster/internal/process"
	"fairlead.dev/deploy/devcluster/internal/render"
	"fairlead.dev/deploy/devcluster/internal/topology"
)

const (
	readyLimit   = 2 * time.Minute
	installLimit = 10 * time.Minute
)

// Up starts what does not run and waits until the cluster is ready to use. A
// cluster that is up is only looked at.
func (c *Cluster) Up(ctx context.Context) error {
	release, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	start := time.Now()
	if status := c.Status(ctx); status.Healthy {
		fmt.Fprintf(c.out, "devcluster is up (checked in %.2fs)\n", time.Since(start).Seconds())
		return status.WriteText(c.out)
	}
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if err := c.startAll(ctx); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "devcluster is up after %.2fs\n", time.Since(start).Seconds())
	return c.Status(ctx).WriteText(c.out)
}

func (c *Cluster) prepare(ctx context.Context) error {
	if missing := debian.Missing(); len(missing) > 0 {
		if err := c.step(ctx, "install packages", func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, installLimit)
			defer cancel()
			return debian.Install(ctx, missing)
		}); err != nil {
			return err
		}
	}
	steps := []struct {
		title string
		do    func(context.Context) error
	}{
		{"claim the machine, remove leftovers", c.claim},
		{"keys and kubeconfigs", func(context.Context) error { return pki.Ensure(c.paths) }},
		{"configuration", func(context.Context) error { return c.configure() }},
		{"bridge, routes, packet filter", network.Setup},
		{"cgroups", func(context.Context) error { return c.cgroup.Create() }},
		{"registry's name in " + hostsfile.Path, func(context.Context) error {
			return hostsfile.Set(hostsfile.Path, topology.Marker, topology.BridgeIP, topology.RegistryHost)
		}},
	}
	for _, s := range steps {
		if err := c.step(ctx, s.title, s.do); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) configure() error {
	may, err := mayLowerOOMScore()
	if err != nil {
		return err
	}
	return render.Write(c.paths, render.Machine{
		RestrictOOMScore: !may,
		Upstream:         render.Upstream("/etc/resolv.conf"),
	})
}

// mayLowerOOMScore reports whether this process has CAP_SYS_RESOURCE.
func mayLowerOOMScore() (bool, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false, fmt.Errorf("read this process's capabilities: %w", err)
	}
	return data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0, nil
}

// startAll starts the components in groups, each when what it needs is ready.
func (c *Cluster) startAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	groups := []struct {
		title string
		start []render.Component
		ready func(context.Context) error
	}{
		{"etcd", []render.Component{render.Containerd, render.Etcd, render.Registry}, tcpReady(topology.OnLoopback(topology.EtcdClientPort))},
		{"API server", []render.Component{render.APIServer}, c.apiReady},
		{"containerd, pause image", nil, c.importPause},
		{"roles, DNS Service, storage class", []render.Component{render.ControllerManager, render.Scheduler}, c.applyManifests},
		{"node", []render.Component{render.Kubelet, render.Storage, render.DNS}, c.nodeReady},
		{"service proxy", []render.Component{render.Proxy}, tcpReady(topology.APIServiceIP + ":443")},
		{"cluster DNS", nil, c.dnsReady},
		{"storage", nil, tcpReady(topology.OnLoopback(topology.StorageMetricsPort))},
		{"registry", nil, registryReady},
		{"default service account", nil, c.serviceAccountReady},
	}
	for _, group := range groups {
		if err := c.step(ctx, group.title, func(ctx context.Context) error {
			return c.startGroup(ctx, group.start, group.ready)
		}); err != nil {
			return err
		}
	}
	return nil
}

// startGroup fails as soon as one of the group's processes ends.
func (c *Cluster) startGroup(ctx context.Context, components []render.Component, ready func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, component := range components {
		if c.store.Get(string(component)).Alive() {
			continue
		}
		running, err := c.start(component)
		if err != nil {
			return err
		}
		go func() {
			select {
			case <-running.Exited:
				cancel(fmt.Errorf("%s ended: see %s", component, c.paths.Log(string(component))))
			case <-ctx.Done():
			}
		}()
	}
	err := ready(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = errors.Join(cause, err)
	}
	return err
}

func (c *Cluster) start(component render.Component) (*process.Running, error) {
	name := string(component)
	spec := process.Spec{
		Name:    name,
		Path:    c.self,
		Args:    append([]string{name}, render.Args(c.paths, component)...),
		LogFile: c.paths.Log(name),
	}
	switch component {
	case render.Containerd:
		spec.Path = "/usr/bin/containerd"
		// The plugins' folder of Debian's iptables is not in every user's PATH.
		spec.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	case render.Registry:
		// It would send traces to a collector on this machine otherwise.
		spec.Env = []string{"OTEL_TRACES_EXPORTER=none"}
	default:
	}
	return c.store.Start(spec, c.cgroup.Add)
}

func (c *Cluster) importPause(ctx context.Context) error {
	if err := unixReady(topology.ContainerdSocket)(ctx); err != nil {
		return err
	}
	if has, err := image.Has(ctx, topology.ContainerdSocket, topology.PauseImage); has || err != nil {
		return err
	}
	archive, err := image.EnsurePause(ctx, c.paths.Images(), topology.PauseImage, c.pause)
	if err != nil {
		return err
	}
	_, err = image.Import(ctx, topology.ContainerdSocket, archive)
	if err != nil && errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("the package containerd brings ctr, which is missing: %w", err)
	}
	return err
}
