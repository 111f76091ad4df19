// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mainjob is the main job of Fairlead on real input, as quickstart shows it and tests repeat it: a git
// repository becomes an image, the image a running service, the service idles to zero and wakes again, a second commit
// takes a share of its traffic, and an event reaches it through a broker. It uses the clients that users have: curl,
// kubectl, grpcurl and fairlead.
package mainjob

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Env tells where everything is.
type Env struct {
	// Namespace is where the objects are made; it is made too.
	Namespace string
	// Kubeconfig is that of the front door.
	Kubeconfig string
	// Token is a file with a token, CA one with the front door's authority.
	Token, CA string
	// REST, GRPC, Router and Broker are the addresses: https://host:port, host:port, host:port, http://host:port.
	REST, GRPC, Router, Broker string
	// Registry is the registry's host:port, as pods and this machine reach it.
	Registry string
	// HostAddress is an address of this machine that pods reach, on which the git repository is served.
	HostAddress string
	// Sample is the folder of the sample app.
	Sample string
	// Bin is the folder of fairlead and grpcurl, Kubectl the kubectl to use.
	Bin, Kubectl string
	// Out gets a line for each step.
	Out io.Writer
	// Verbose gets what the steps print; nil drops it.
	Verbose io.Writer
	// At, if set, is called at the named points inside steps, for tests that break something there.
	At func(ctx context.Context, point string) error
}

// The points at which Env.At is called.
const (
	// PointBuilding is while a build runs.
	PointBuilding = "building"
	// PointDeploying is right after the service was applied.
	PointDeploying = "deploying"
	// PointAccepted is right after an event was accepted.
	PointAccepted = "event accepted"
)

// step is one part of the job.
type step struct {
	name string
	run  func(j *job, ctx context.Context) error // a method of job
}

func steps() []step {
	return []step{
		{"namespace; objects of an earlier run deleted", (*job).namespace},
		{"git repository with a first commit, served over HTTP", (*job).repository},
		{"build 1: clone, compile and push, submitted with curl", (*job).firstBuild},
		{"service, applied with kubectl, answers with the first commit", (*job).service},
		{"idle: zero pods, then it answers again", (*job).idle},
		{"build 2, submitted with grpcurl, at a second commit", (*job).secondBuild},
		{"traffic 80/20 over both commits", (*job).split},
		{"event to the broker reaches the service", (*job).event},
	}
}

// Run does the whole job. An error names the step that failed.
func Run(ctx context.Context, env Env) error {
	j, err := newJob(env)
	if err != nil {
		return err
	}
	defer j.close()
	start := time.Now()
	for _, s := range steps() {
		began := time.Now()
		fmt.Fprintf(env.Out, "  %-62s ", s.name)
		if err := s.run(j, j.context(ctx)); err != nil {
			fmt.Fprintln(env.Out, "FAILED")
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(env.Out, "%6.1f s%s\n", time.Since(began).Seconds(), j.takeNote())
	}
	fmt.Fprintf(env.Out, "  %-62s %6.1f s\n", "main job, all of it", time.Since(start).Seconds())
	return nil
}
