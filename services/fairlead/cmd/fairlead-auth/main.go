// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Fairlead-auth answers who callers are and what they may do, in a process of its own.
package main

import (
	"os"

	"fairlead.dev/services/fairlead/part/auth"
	"fairlead.dev/services/fairlead/platform"
	"fairlead.dev/services/fairlead/process"
)

func main() {
	p := process.New(process.Options{Name: "auth", Short: "Serve auth: who callers are and what they may do"})
	base := platform.New(p, platform.Options{})
	auth.New(p, base, nil)
	os.Exit(p.Main())
}
