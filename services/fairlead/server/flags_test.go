// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"fairlead.dev/services/fairlead/part/auth"
	"fairlead.dev/services/fairlead/part/build"
	"fairlead.dev/services/fairlead/part/dispatcher"
	"fairlead.dev/services/fairlead/part/eventing"
	"fairlead.dev/services/fairlead/part/gateway"
	"fairlead.dev/services/fairlead/part/router"
	"fairlead.dev/services/fairlead/part/serving"
	"fairlead.dev/services/fairlead/platform"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/fairlead/server"
	"fairlead.dev/services/fairlead/trust"
	"fairlead.dev/services/fairlead/upstream"
)

// separate are the services as processes of their own, as the mains in services/fairlead/cmd make them.
func separate() map[string]*process.Process {
	api := func(name string, add func(*process.Process, *platform.Platform)) *process.Process {
		p := process.New(process.Options{Name: name})
		add(p, platform.New(p, platform.Options{}))
		return p
	}
	gw := process.New(process.Options{Name: "gateway"})
	gateway.New(gw, upstream.Services(gw), trust.New(gw))
	rt := process.New(process.Options{Name: "router"})
	router.New(rt, upstream.Outside(rt, "serving-address"))
	ds := process.New(process.Options{Name: "dispatcher"})
	dispatcher.New(ds, upstream.Outside(ds, "eventing-address"), false)
	return map[string]*process.Process{
		"auth":  api("auth", func(p *process.Process, b *platform.Platform) { auth.New(p, b, nil) }),
		"build": api("build", build.New), "serving": api("serving", serving.New), "eventing": api("eventing", eventing.New),
		"gateway": gw, "router": rt, "dispatcher": ds,
	}
}

// TestFlagsHaveTheSameNamesEverywhere compares the flags of each service with those of all in one: only where the other
// services are is added.
func TestFlagsHaveTheSameNamesEverywhere(t *testing.T) {
	all := server.Command().Flags()
	seen := map[string]bool{}
	for name, p := range separate() {
		p.Command().Flags().VisitAll(func(f *pflag.Flag) {
			seen[f.Name] = true
			if strings.HasSuffix(f.Name, "-address") && f.Name != "advertise-address" {
				return
			}
			same := all.Lookup(f.Name)
			if same == nil {
				t.Errorf("%s has --%s, all in one has not", name, f.Name)
				return
			}
			if f.Name != "data-dir" && (f.DefValue != same.DefValue || f.Value.Type() != same.Value.Type()) {
				t.Errorf("%s: --%s is a %s of default %q, in all in one a %s of %q", name, f.Name, f.Value.Type(), f.DefValue, same.Value.Type(), same.DefValue)
			}
		})
	}
	all.VisitAll(func(f *pflag.Flag) {
		if !seen[f.Name] && f.Name != "etcd-listen" {
			t.Errorf("no service has --%s", f.Name)
		}
	})
}

// TestWhatAServiceNeedsIsSaid starts services without what they cannot do without.
func TestWhatAServiceNeedsIsSaid(t *testing.T) {
	state := "--etcd-endpoints is empty; an etcd inside a process is for one process"
	wants := map[string][]string{
		"auth":       {state},
		"build":      {state, "--step-image"},
		"serving":    {state},
		"eventing":   {state},
		"gateway":    {"--auth-address", "--build-address", "--serving-address", "--eventing-address"},
		"router":     {"--serving-address"},
		"dispatcher": {"--eventing-address", "--nats-url is empty; a JetStream inside a process is for one process"},
	}
	for name, p := range separate() {
		t.Run(name, func(t *testing.T) {
			cmd := p.Command()
			cmd.SetArgs([]string{"--data-dir", t.TempDir()})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			err := cmd.ExecuteContext(t.Context())
			if err == nil {
				t.Fatal("it ran")
			}
			for _, want := range wants[name] {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("nothing is said of %q: %v", want, err)
				}
			}
			if got := strings.Count(err.Error(), "\n") + 1; got != len(wants[name]) {
				t.Errorf("%d faults, want %d: %v", got, len(wants[name]), err)
			}
		})
	}
}

// TestAProcessThatListensEverywhereTellsWhereItIs has others not be told an address that leads each of them to itself.
func TestAProcessThatListensEverywhereTellsWhereItIs(t *testing.T) {
	cmd := separate()["serving"].Command()
	cmd.SetArgs([]string{"--data-dir", t.TempDir(), "--etcd-endpoints", "http://127.0.0.1:1", "--grpc-listen", ":0", "--domain", "x", "--router-listen", "y"})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "--advertise-address is empty") {
		t.Errorf("got %v, want --advertise-address to be asked for", err)
	}
}
