// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version tells which version of Fairlead this is.
package version

import (
	"runtime"
	"runtime/debug"
)

// version is set by the linker: -X fairlead.dev/services/internal/version.version=v1.2.3.
var version = "" //nolint:gochecknoglobals // the linker sets it

// String is the version, such as `v1.2.3`; `dev` where the build did not say.
func String() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

// Go is the version of Go and the platform of the build.
func Go() string { return runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH }
