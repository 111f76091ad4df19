// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed

// For tests.
var (
	ReadContent   = readContent
	AppendContent = appendContent
)
