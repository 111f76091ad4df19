// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster brings a devcluster up and down.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"fairlead.dev/deploy/devcluster/internal/cgroup"
	"fairlead.dev/deploy/devcluster/internal/process"
	"fairlead.dev/deploy/devcluster/internal/render"
	"fairlead.dev/deploy/devcluster/internal/topology"
)

// ownerFile names, in the run folder, the state folder that it belongs to.
const ownerFile = topology.RunDir + "/owner"

// Cluster is the devcluster of one state folder.
type Cluster struct {
	paths  topology.Paths
	self   string
	pause  []byte
	out    io.Writer
	store  process.Store
	cgroup cgroup.Group
}

// New opens the cluster of a state folder, which need not exist. PauseSource
// is the Go program of the pods' sandbox image; steps are printed to out.
func New(paths topology.Paths, pauseSource []byte, out io.Writer) (*Cluster, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &Cluster{
		paths:  paths,
		self:   self,
		pause:  pauseSource,
		out:    out,
		store:  process.NewStore(paths.Pids()),
		cgroup: cgroup.New(cgroup.DefaultRoot, topology.Marker),
	}, nil
}

// step runs one named part of a command and prints how long it took.
func (c *Cluster) step(ctx context.Context, title string, do func(context.Context) error) error {
	start := time.Now()
	if err := ctx.Err(); err != nil {
		return err
	}
	err := do(ctx)
	mark := "ok"
	if err != nil {
		mark = "failed"
	}
	fmt.Fprintf(c.out, "  %-44s %6s %7.2fs\n", title, mark, time.Since(start).Seconds())
	if err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	return nil
}

// lock keeps other commands out until release is called, those on other state
// folders too: they share the machine. The folder /run is what they lock, since
// it is there before any of ours and leaves nothing behind.
func (c *Cluster) lock(ctx context.Context) (release func(), err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("a devcluster makes mounts, links and cgroups: run as root")
	}
	file, err := os.Open(filepath.Dir(topology.RunDir))
	if err != nil {
		return nil, err
	}
	waits := false
	err = wait.PollUntilContextCancel(ctx, pollInterval, true, func(context.Context) (bool, error) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err == nil, err
		}
		if !waits {
			fmt.Fprintln(c.out, "another devcluster command is at work: waiting for it")
		}
		waits = true
		return false, nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// running counts the components whose process lives.
func (c *Cluster) running() int {
	count := 0
	for _, component := range render.Components() {
		if c.store.Get(string(component)).Alive() {
			count++
		}
	}
	return count
}

// owner is the state folder of the cluster that this machine holds, or "".
func owner() (string, error) {
	raw, err := os.ReadFile(ownerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(raw)), err
}

// claim takes the machine for this state folder. Another folder's cluster must
// not run; what it left, if it was killed, is removed.
func (c *Cluster) claim(ctx context.Context) error {
	have, err := owner()
	if err != nil {
		return err
	}
	if have != "" && have != c.paths.State {
		other, err := New(topology.Paths{State: have}, nil, c.out)
		if err != nil {
			return err
		}
		if other.running() > 0 {
			return fmt.Errorf("this machine runs the devcluster of %s: run `devcluster down --state %s` first", have, have)
		}
		if err := other.removeLeftovers(ctx, 0); err != nil {
			return fmt.Errorf("remove what the devcluster of %s left: %w", have, err)
		}
	}
	if c.running() == 0 {
		if err := c.removeLeftovers(ctx, 0); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(ownerFile), 0o750); err != nil {
		return err
	}
	return os.WriteFile(ownerFile, []byte(c.paths.State+"\n"), 0o600)
}
