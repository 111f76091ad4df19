// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit writes who did what, and with what result: JSON lines in the form of audit.k8s.io/v1, as far as a policy
// wants them.
package audit

// Log is an audit log.
type Log struct{}
