// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Fairlead-dispatcher takes events in and delivers them, in a process of its own.
package main

import (
	"os"

	"fairlead.dev/services/fairlead/part/dispatcher"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/fairlead/upstream"
)

func main() {
	p := process.New(process.Options{Name: "dispatcher", Short: "Take events in and deliver them to triggers"})
	dispatcher.New(p, upstream.Outside(p, "eventing-address"), false)
	os.Exit(p.Main())
}
