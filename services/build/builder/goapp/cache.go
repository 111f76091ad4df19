// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package goapp

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// architecture is the one that `go build` compiles for.
func architecture() string {
	if a := os.Getenv("GOARCH"); a != "" {
		return a
	}
	return runtime.GOARCH
}

// KeepCache tells `go build` that its cache was looked after just now. One that came with an image is as old as the image,
// and would be thrown away at the end of the first build.
func KeepCache(dir string) {
	if dir == "" {
		return
	}
	now := time.Now().Unix()
	_ = os.WriteFile(filepath.Join(dir, "trim.txt"), []byte(strconv.FormatInt(now, 10)), 0o644)
}
