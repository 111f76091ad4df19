// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"errors"
	"runtime"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/services/internal/apierror"
)

// parallelBytes is the size from which a list's items are worth being written by several cores.
const parallelBytes = 256 << 10

// MarshalEncodedList writes a list of a kind that is given in its protobuf encoding, as Marshal does, but that the list has its
// metadata and its items even where they are empty, as Kubernetes' lists do. md is the type of the list. The items of long
// lists are written by all cores.
func MarshalEncodedList(md protoreflect.MessageDescriptor, encoded []byte) ([]byte, error) {
	out, err := marshalList(md, encoded)
	if err != nil {
		return nil, apierror.Internal(err)
	}
	return out, nil
}

func marshalList(md protoreflect.MessageDescriptor, encoded []byte) ([]byte, error) {
	item := listItem(md)
	if item == nil {
		return nil, errors.New("codec: " + string(md.FullName()) + " is no list")
	}
	metadata, items := md.Fields().ByName("metadata"), md.Fields().ByName("items")
	var meta []byte
	var all [][]byte
	for rest := encoded; len(rest) > 0; {
		num, typ, size := protowire.ConsumeTag(rest)
		if size < 0 {
			return nil, errBroken
		}
		value, length := consume(typ, rest[size:])
		if length < 0 {
			return nil, errBroken
		}
		rest = rest[size+length:]
		switch {
		case typ != protowire.BytesType:
		case num == metadata.Number():
			meta = append(meta, value.data...) // its parts are as one when they stand together
		case num == items.Number():
			all = append(all, value.data)
		}
	}
	buf := make([]byte, 0, len(encoded)*3/2+len(all)*len(`{"apiVersion":"","kind":""},`)*2+jsonOverhead)
	buf = append(buf, tableOf(md).open...)
	buf = append(buf, `,"metadata":`...)
	buf, err := appendEncoded(buf, tableOf(metadata.Message()), meta)
	if err != nil {
		return nil, err
	}
	buf = append(buf, `,"items":[`...)
	if buf, err = appendItems(buf, tableOf(item), all, len(encoded)); err != nil {
		return nil, err
	}
	return append(buf, `]}`...), nil
}

// appendItems writes the items of a list of so many bytes: the first ones into buf, while other cores write the others.
func appendItems(buf []byte, t *table, items [][]byte, size int) ([]byte, error) {
	workers := 1
	if size >= parallelBytes {
		workers = min(runtime.GOMAXPROCS(0), len(items))
	}
	parts := make([][]byte, workers)
	parts[0] = buf
	errs := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		if w > 0 {
			parts[w] = make([]byte, 0, 2*size/workers)
		}
		share := items[w*len(items)/workers : (w+1)*len(items)/workers]
		group.Go(func() {
			for i, item := range share {
				if w > 0 || i > 0 {
					parts[w] = append(parts[w], ',')
				}
				if parts[w], errs[w] = appendEncoded(parts[w], t, item); errs[w] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, p := range parts[1:] {
		parts[0] = append(parts[0], p...)
	}
	return parts[0], nil
}
