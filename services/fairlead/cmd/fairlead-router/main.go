// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Fairlead-router routes requests to services, in a process of its own.
package main

import (
	"os"

	"fairlead.dev/services/fairlead/part/router"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/fairlead/upstream"
)

func main() {
	p := process.New(process.Options{Name: "router", Short: "Route requests to the pods of services"})
	router.New(p, upstream.Outside(p, "serving-address"))
	os.Exit(p.Main())
}
