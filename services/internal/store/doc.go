// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package store keeps objects in etcd under the contract that Kubernetes' clients know: optimistic writes, finalizers,
// lists at one revision, watches that resume, and shared caches that are fed by one etcd watch a kind.
//
// An object lies under `<prefix>/<group>/<plural>/<namespace>/<name>`, encoded as protobuf without its resourceVersion,
// which is the etcd revision that wrote it.
package store
