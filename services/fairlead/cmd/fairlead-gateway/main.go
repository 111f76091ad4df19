// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Fairlead-gateway answers REST over the services, in a process of its own.
package main

import (
	"os"

	"fairlead.dev/services/fairlead/part/gateway"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/fairlead/trust"
	"fairlead.dev/services/fairlead/upstream"
)

func main() {
	p := process.New(process.Options{Name: "gateway", Short: "Answer REST over the services, and pass the rest on to the Kubernetes"})
	gateway.New(p, upstream.Services(p), trust.New(p))
	os.Exit(p.Main())
}
