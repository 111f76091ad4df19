// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package server puts all parts into one process, over an etcd and a JetStream of its own or those it is told of.
package server

import (
	"github.com/spf13/cobra"
	"google.golang.org/grpc/credentials"

	"fairlead.dev/services/fairlead/part/auth"
	"fairlead.dev/services/fairlead/part/build"
	"fairlead.dev/services/fairlead/part/dispatcher"
	"fairlead.dev/services/fairlead/part/eventing"
	"fairlead.dev/services/fairlead/part/gateway"
	"fairlead.dev/services/fairlead/part/router"
	"fairlead.dev/services/fairlead/part/serving"
	"fairlead.dev/services/fairlead/platform"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/fairlead/upstream"
)

// Command is `fairlead server`.
func Command() *cobra.Command {
	p := process.New(process.Options{
		Name: process.AllInOne, Short: "Run all services in one process", DataDir: ".fairlead/server",
		Long: "Run auth, build, serving, eventing and gateway in one process, with an etcd and a JetStream of its own unless told of others.",
	})
	base := platform.New(p, platform.Options{AllInOne: true})
	memory := func() upstream.Memory { return base.Memory() }
	as := func(name string) func() credentials.PerRPCCredentials {
		return func() credentials.PerRPCCredentials { return base.Verifier().ServiceCredentials(name) }
	}
	build.New(p, base)
	serving.New(p, base)
	eventing.New(p, base)
	door := gateway.New(p, upstream.Inside(p, memory, nil), base.Trust())
	auth.New(p, base, door)
	router.New(p, upstream.Inside(p, memory, as("router")))
	dispatcher.New(p, upstream.Inside(p, memory, as("dispatcher")), true)
	return p.Command()
}
