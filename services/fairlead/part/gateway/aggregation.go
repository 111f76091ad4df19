// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/fairlead/aggregate"
	"fairlead.dev/services/fairlead/process"
)

// aggregation has the cluster's kube-apiserver serve our groups, where that is wanted.
type aggregation struct {
	process          *process.Process
	listen           *process.Address
	service, systems *string
	registration     *aggregate.Registration
}

func newAggregation(p *process.Process) *aggregation {
	f := p.Flags()
	a := &aggregation{
		process: p,
		listen: f.Address("aggregate-listen", "", "IP:port at which the cluster's kube-apiserver reaches this gateway; "+
			"with it, our API groups are served at the cluster's own endpoint too, to the cluster's users; empty for not").Listen(),
		service: f.String("aggregate-service", "", "NAMESPACE/NAME of a Service in the cluster that leads to --aggregate-listen of every gateway; "+
			"none means that one is made in --system-namespace, for a gateway outside of the cluster"),
		systems: f.String("system-namespace", "fairlead-system", "Kubernetes namespace of the installation's own Secrets, and of the Service of --aggregate-listen; made if absent"),
	}
	p.Certify(func() []string {
		if !a.wanted() {
			return nil
		}
		return []string{a.target().Host()}
	})
	return a
}

func (a *aggregation) wanted() bool { return !a.listen.Empty() }

// target is the Service by which kube-apiserver comes.
func (a *aggregation) target() aggregate.Service {
	if namespace, name, ok := strings.Cut(*a.service, "/"); ok {
		return aggregate.Service{Namespace: namespace, Name: name}
	}
	return aggregate.Service{Namespace: *a.systems, Name: "fairlead-" + a.process.Installation()}
}

func (a *aggregation) validate(f *process.Faults) {
	if *a.service != "" {
		namespace, name, ok := strings.Cut(*a.service, "/")
		if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
			f.Addf("aggregate-service", "is %q; write NAMESPACE/NAME", *a.service)
		}
		if !a.wanted() {
			f.Addf("aggregate-service", "is of no use without --aggregate-listen")
		}
		return
	}
	if !a.wanted() {
		return
	}
	if ip, err := netip.ParseAddr(a.listen.Host()); err != nil || ip.IsUnspecified() || ip.IsLoopback() {
		f.Addf("aggregate-listen", "is %q; write an IP address of this machine that kube-apiserver reaches, which is not loopback, or name the Service that leads here by --aggregate-service",
			a.listen)
	}
}

// open refuses where the cluster has kinds of our groups already.
func (a *aggregation) open(ctx context.Context, config *rest.Config) error {
	var at netip.AddrPort
	if a.wanted() && *a.service == "" {
		var err error
		if at, err = netip.ParseAddrPort(a.listen.String()); err != nil {
			return err //nolint:wrapcheck // says it all
		}
	}
	var err error
	a.registration, err = aggregate.New(aggregate.Config{
		Installation: a.process.Installation(), Service: a.target(), At: at, CA: a.process.CA, Kinds: kinds.Versions(),
		Cluster: config, Log: a.process.Log(),
	})
	if err != nil || !a.wanted() {
		return err //nolint:wrapcheck // says it all
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	refused, err := a.registration.Refused(ctx)
	if err != nil {
		a.process.Log().WarnContext(ctx, "the cluster does not say whether it has kinds of our groups; it is asked again", "error", err)
	}
	return refused //nolint:wrapcheck // says it all
}

func (a *aggregation) start(t *process.Tiers) {
	if a.wanted() {
		a.process.Checks().Add(process.Check{Name: "aggregation", Probe: a.registration.Probe, Degrades: true})
		t.Front.Run("aggregation", a.registration.Run)
		return
	}
	t.Work.Run("aggregation", func(ctx context.Context) error {
		// What this installation registered when it was told to would lead nowhere.
		if err := a.registration.Remove(ctx); err != nil && !errors.Is(err, context.Canceled) {
			a.process.Log().DebugContext(ctx, "what was registered with the cluster may still be", "error", err)
		}
		<-ctx.Done()
		return nil
	})
}
