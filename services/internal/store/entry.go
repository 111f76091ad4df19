// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strings"
	"sync/atomic"
	"weak"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
)

// entry is one state of one object in memory. It never changes.
//
// It keeps the object's bytes, which are a fifth of what the decoded object takes and are what an answer over the wire is
// made of. The decoded object it knows while the store keeps it, as it does those that were used last.
type entry struct {
	form *form
	// path is the object's key in etcd, without the prefix of its kind: entries sort by it as etcd sorts.
	path     string
	revision int64
	// encoded is the object's encoding with its resourceVersion, which comes last: before it are the bytes that are stored.
	encoded []byte
	stored  int
	labels  map[string]string
	shared  atomic.Pointer[weak.Pointer[decoded]]
}

// form is how the objects of a kind are encoded.
type form struct {
	kind   kinds.Kind
	recent *recent
	// metadata is the number of the field of that name in the kind's message, and version that of resource_version in it.
	metadata, version protowire.Number
}

func newForm(k kinds.Kind, r *recent) (*form, error) {
	obj, err := newObject(k)
	if err != nil {
		return nil, err
	}
	return &form{
		kind:     k,
		recent:   r,
		metadata: obj.ProtoReflect().Descriptor().Fields().ByName(metadataField).Number(),
		version:  (&metav1.ObjectMeta{}).ProtoReflect().Descriptor().Fields().ByName("resource_version").Number(),
	}, nil
}

// withVersion returns the encoding of the object that is stored as value, with its resourceVersion. A message field that
// comes twice is merged, so that a second metadata can follow the first.
func (f *form) withVersion(value []byte, revision int64) []byte {
	version := formatRevision(revision)
	inner := protowire.SizeTag(f.version) + protowire.SizeBytes(len(version))
	b := make([]byte, 0, len(value)+protowire.SizeTag(f.metadata)+protowire.SizeBytes(inner))
	b = append(b, value...)
	b = protowire.AppendTag(b, f.metadata, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inner))
	b = protowire.AppendTag(b, f.version, protowire.BytesType)
	return protowire.AppendString(b, version)
}

// entry makes the entry of what etcd has.
func (f *form) entry(path string, got *stored) *entry {
	e := &entry{
		form: f, path: path, revision: got.revision,
		encoded: f.withVersion(got.value, got.revision), stored: len(got.value),
	}
	if l := got.object.GetMetadata().GetLabels(); len(l) > 0 {
		e.labels = l
	}
	return e
}

// at returns the entry of the same state at another version, such as that of the object's deletion.
func (e *entry) at(revision int64) *entry {
	return &entry{
		form: e.form, path: e.path, revision: revision,
		encoded: e.form.withVersion(e.encoded[:e.stored], revision), stored: e.stored, labels: e.labels,
	}
}

func (e *entry) key() Key {
	namespace, name, _ := strings.Cut(e.path, "/")
	if namespace == clusterSegment {
		namespace = ""
	}
	return Key{Namespace: namespace, Name: name}
}

// copy returns the object; it is the caller's.
func (e *entry) copy() Object {
	obj := e.form.kind.New().(Object) //nolint:forcetypeassert // looked at by newForm
	// The bytes were decoded before there was an entry, so that they decode again.
	_ = proto.Unmarshal(e.encoded, obj)
	return obj
}

// object returns the object as all readers share it: it must not be changed. It is decoded if the store does not keep it.
func (e *entry) object() Object {
	if p := e.shared.Load(); p != nil {
		if d := p.Value(); d != nil {
			return d.object
		}
	}
	return e.share(e.copy())
}

// share makes obj, which nobody changes any more, what readers share.
func (e *entry) share(obj Object) Object {
	d := &decoded{object: obj, size: len(e.encoded)}
	p := weak.Make(d)
	e.shared.Store(&p)
	e.form.recent.keep(d)
	return obj
}

// retire has the store let the decoded object go, since the entry is no longer the newest state. Whoever still needs it, as a
// watch that lags does, may have it decoded again.
func (e *entry) retire() {
	if p := e.shared.Load(); p != nil {
		e.form.recent.drop(p.Value())
	}
}

// size is about how much memory the entry takes.
func (e *entry) size() int { return len(e.encoded) + entryOverhead }

// entryOverhead is about what an entry takes besides its bytes: itself, its path, its labels.
const entryOverhead = 512

func (e *entry) less(other *entry) bool { return e.path < other.path }

// Item is an object as reads share it. It serves callers that only pass objects on.
type Item struct{ entry *entry }

// Object returns the object: shared with all other readers, so that it must not be changed.
func (i Item) Object() Object { return i.entry.object() }

// Encoded returns bytes that decode to the object, resourceVersion included: shared, so that they must not be changed. They
// are not what proto.Marshal makes of the object: its metadata may come in two parts, which decoders merge.
func (i Item) Encoded() []byte { return i.entry.encoded }

// Key names the object.
func (i Item) Key() Key { return i.entry.key() }
