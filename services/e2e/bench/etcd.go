// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"fairlead.dev/services/internal/etcd"
)

// system is one of those that are measured. Its calls wait for the whole answer and do not decode it. Each client has a
// connection of its own, but where one is always shared.
type system interface {
	create(ctx context.Context, client int, namespace, name string, sent int64) error
	// get reads one object; cached allows an answer that may be old.
	get(ctx context.Context, client int, namespace, name string, cached bool) error
	// list reads the objects of a namespace, and returns the size of the answer.
	list(ctx context.Context, namespace string, cached bool) (int, error)
	// watch tells of each object that is written in a namespace from now on, until ctx ends. opened is called once it does.
	watch(ctx context.Context, client int, namespace string, opened func(), seen func(sent int64)) error
}

// rawEtcd is the floor: puts of the same objects, encoded, and reads of them, without anything around them.
type rawEtcd struct{ client *clientv3.Client }

func dialEtcd(endpoint string) (*clientv3.Client, error) {
	return etcd.Connect(etcd.ClientConfig{Endpoints: []string{endpoint}}) //nolint:wrapcheck // says it all
}

func rawKey(namespace, name string) string { return "/raw/" + namespace + "/" + name }

func (r *rawEtcd) create(ctx context.Context, _ int, namespace, name string, sent int64) error {
	value, err := proto.Marshal(role(namespace, name, sent))
	if err != nil {
		return fmt.Errorf("raw etcd: %w", err)
	}
	_, err = r.client.Put(ctx, rawKey(namespace, name), string(value))
	return err //nolint:wrapcheck // the caller names it
}

func (r *rawEtcd) get(ctx context.Context, _ int, namespace, name string, _ bool) error {
	res, err := r.client.Get(ctx, rawKey(namespace, name))
	if err == nil && len(res.Kvs) != 1 {
		err = fmt.Errorf("raw etcd: %d keys of the name %s", len(res.Kvs), name)
	}
	return err //nolint:wrapcheck // the caller names it
}

func (r *rawEtcd) list(ctx context.Context, namespace string, _ bool) (int, error) {
	res, err := r.client.Get(ctx, rawKey(namespace, ""), clientv3.WithPrefix())
	if err != nil {
		return 0, err //nolint:wrapcheck // the caller names it
	}
	size := 0
	for _, kv := range res.Kvs {
		size += len(kv.Value)
	}
	return size, nil
}

func (r *rawEtcd) watch(ctx context.Context, _ int, namespace string, opened func(), seen func(int64)) error {
	for res := range r.client.Watch(ctx, rawKey(namespace, ""), clientv3.WithPrefix(), clientv3.WithCreatedNotify()) {
		if err := res.Err(); err != nil {
			return err //nolint:wrapcheck // the caller names it
		}
		if res.Created {
			opened()
		}
		for _, ev := range res.Events {
			sentIn(ev.Kv.Value, seen)
		}
	}
	return nil
}

// now is the time as objects carry it.
func now() int64 { return time.Now().UnixNano() }
