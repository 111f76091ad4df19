// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import _ "embed"

// pauseSource is compiled into the pods' sandbox image by the first `up`.
//
//go:embed pause/main.go
var pauseSource []byte
