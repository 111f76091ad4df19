// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package component holds the entry points of the programs that are compiled
// into the devcluster binary.
package component

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // the JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // metrics of client-go
	_ "k8s.io/component-base/metrics/prometheus/version"  // the version metric
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	_ "time/tzdata" // time zones of CronJobs

	"fairlead.dev/deploy/devcluster/internal/localpath"
	"fairlead.dev/deploy/devcluster/internal/render"
)

// Kubectl is the client that comes with the cluster.
const Kubectl = "kubectl"

// Lookup returns the program that this binary plays when it is called by name,
// or nil. The program does not return before its process is to end, and
// returns the exit code.
func Lookup(name string) func() int {
	if name == Kubectl {
		return kube(kubectl.NewDefaultKubectlCommand)
	}
	switch render.Component(name) {
	case render.APIServer:
		return kube(apiserver.NewAPIServerCommand)
	case render.ControllerManager:
		return kube(controllermanager.NewControllerManagerCommand)
	case render.Scheduler:
		return kube(func() *cobra.Command { return scheduler.NewSchedulerCommand() })
	case render.Proxy:
		return kube(proxy.NewProxyCommand)
	case render.Kubelet:
		return kube(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) })
	case render.Etcd:
		return withArgs(runEtcd)
	case render.Registry:
		return withArgs(runRegistry)
	case render.DNS:
		return withArgs(runDNS)
	case render.Storage:
		return withArgs(localpath.Run)
	case render.Containerd:
	}
	return nil
}

func kube(command func() *cobra.Command) func() int {
	return func() int { return cli.Run(command()) }
}

func withArgs(run func(args []string) error) func() int {
	return func() int {
		if err := run(os.Args[1:]); err != nil {
			os.Stderr.WriteString(os.Args[0] + ": " + err.Error() + "\n")
			return 1
		}
		return 0
	}
}
