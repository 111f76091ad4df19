// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package store keeps objects in etcd under the contract that Kubernetes' clients know: optimistic writes, finalizers,
// lists at one revision, watches that resume, and caches of whole kinds that answer reads.
//
// An object lies under `<prefix>/<group>/<plural>/<namespace>/<name>`, encoded as protobuf without its resourceVersion,
// which is the etcd revision that wrote it.
//
// One watch of etcd, over all keys of the installation, feeds the caches of all kinds: they share one position. A read
// without a resourceVersion asks etcd for its revision, together with all other reads that wait just then, waits until the
// caches are there, and is answered from memory. Where that takes long, or a cache is not filled, etcd itself answers.
//
// Who may change what: the objects that Create, Get, List, Update and Delete return are the caller's. Those of a Cache, of
// events, and of GetItem and ListItems are shared by all readers, and must not be changed.
package store
