// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Fairlead-eventing serves brokers and triggers, in a process of its own.
package main

import (
	"os"

	"fairlead.dev/services/fairlead/part/eventing"
	"fairlead.dev/services/fairlead/platform"
	"fairlead.dev/services/fairlead/process"
)

func main() {
	p := process.New(process.Options{Name: "eventing", Short: "Serve eventing: brokers and triggers"})
	base := platform.New(p, platform.Options{})
	eventing.New(p, base)
	os.Exit(p.Main())
}
