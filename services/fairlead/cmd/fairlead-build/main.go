// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Fairlead-build runs builds, in a process of its own.
package main

import (
	"os"

	"fairlead.dev/services/fairlead/part/build"
	"fairlead.dev/services/fairlead/platform"
	"fairlead.dev/services/fairlead/process"
)

func main() {
	p := process.New(process.Options{Name: "build", Short: "Serve build: steps in pods"})
	base := platform.New(p, platform.Options{})
	build.New(p, base)
	os.Exit(p.Main())
}
