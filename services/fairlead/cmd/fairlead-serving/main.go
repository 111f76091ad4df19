// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Fairlead-serving turns images into revisions and routes, in a process of its own.
package main

import (
	"os"

	"fairlead.dev/services/fairlead/part/serving"
	"fairlead.dev/services/fairlead/platform"
	"fairlead.dev/services/fairlead/process"
)

func main() {
	p := process.New(process.Options{Name: "serving", Short: "Serve serving: revisions, routes and replicas"})
	base := platform.New(p, platform.Options{})
	serving.New(p, base)
	os.Exit(p.Main())
}
