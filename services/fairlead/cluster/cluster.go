// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster is how the processes of Fairlead are told of their Kubernetes.
package cluster

import (
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"fairlead.dev/services/fairlead/process"
)

// Access is how the Kubernetes is reached.
type Access struct{ kubeconfig *string }

// NewAccess binds the flags.
func NewAccess(f *process.Flags) Access {
	return Access{f.String("kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig of the Kubernetes to drive; none means the one this runs in")}
}

// Config is the configuration of clients.
func (a Access) Config() (*rest.Config, error) {
	var c *rest.Config
	var err error
	if *a.kubeconfig == "" {
		c, err = rest.InClusterConfig()
	} else {
		c, err = clientcmd.BuildConfigFromFlags("", *a.kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("Kubernetes: %w; give --kubeconfig", err) //nolint:staticcheck // a name
	}
	return c, nil
}
