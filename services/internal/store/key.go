// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"strings"
	"unicode/utf8"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

const (
	// clusterSegment stands for the namespace in keys of cluster-scoped kinds. No namespace can have its name.
	clusterSegment = "_cluster"
	// coreSegment stands for the empty API group. No group can have its name.
	coreSegment = "~core"
	// maxSegment is the longest namespace or name.
	maxSegment = 253
)

// Key names an object within its kind. It is also what reconcilers work on.
type Key struct {
	// Namespace is empty for cluster-scoped kinds.
	Namespace string `json:"namespace,omitempty"`
	// Name is the object's name.
	Name string `json:"name"`
}

// String is `namespace/name`, or the name alone for cluster-scoped kinds.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}

// KeyOf names obj.
func KeyOf(obj Object) Key {
	m := obj.GetMetadata()
	return Key{Namespace: m.GetNamespace(), Name: m.GetName()}
}

// ResourceOf names a kind in errors.
func ResourceOf(k kinds.Kind) apierror.Resource {
	return apierror.Resource{Group: k.Group, Plural: k.Plural, Kind: k.Kind}
}

// keyspace maps objects to etcd keys.
type keyspace struct {
	// prefix starts with a slash and ends without one.
	prefix string
}

func newKeyspace(prefix string) (keyspace, error) {
	trimmed := strings.Trim(prefix, "/")
	if trimmed == "" {
		return keyspace{}, fmt.Errorf("store prefix %q: it must name at least one path segment, such as /fairlead", prefix)
	}
	return keyspace{prefix: "/" + trimmed}, nil
}

// kind is the prefix of all objects of k, with a slash at its end.
func (s keyspace) kind(k kinds.Kind) string {
	group := k.Group
	if group == "" {
		group = coreSegment
	}
	return s.prefix + "/" + group + "/" + k.Plural + "/"
}

// within is the prefix of the objects of k in a namespace; an empty namespace means all of them.
func (s keyspace) within(k kinds.Kind, namespace string) (string, error) {
	switch {
	case !k.Namespaced && namespace != "":
		return "", apierror.BadRequest("%s are cluster-scoped: leave the namespace out", ResourceOf(k))
	case !k.Namespaced:
		return s.kind(k) + clusterSegment + "/", nil
	case namespace == "":
		return s.kind(k), nil
	}
	if err := checkSegment("namespace", namespace); err != nil {
		return "", err
	}
	return s.kind(k) + namespace + "/", nil
}

// object is the key of one object.
func (s keyspace) object(k kinds.Kind, key Key) (string, error) {
	if k.Namespaced && key.Namespace == "" {
		return "", apierror.BadRequest("%s are in namespaces: name one", ResourceOf(k))
	}
	prefix, err := s.within(k, key.Namespace)
	if err != nil {
		return "", err
	}
	if err := checkSegment("name", key.Name); err != nil {
		return "", err
	}
	return prefix + key.Name, nil
}

// parse is the reverse of object. It fails on keys that object does not make.
func (s keyspace) parse(k kinds.Kind, path string) (Key, error) {
	rest, ok := strings.CutPrefix(path, s.kind(k))
	if !ok {
		return Key{}, fmt.Errorf("etcd key %q is not one of %s", path, ResourceOf(k))
	}
	namespace, name, ok := strings.Cut(rest, "/")
	if !ok || (!k.Namespaced && namespace != clusterSegment) {
		return Key{}, fmt.Errorf("etcd key %q is not one of %s", path, ResourceOf(k))
	}
	key := Key{Namespace: namespace, Name: name}
	if !k.Namespaced {
		key.Namespace = ""
	}
	if again, err := s.object(k, key); err != nil || again != path {
		return Key{}, fmt.Errorf("etcd key %q is not one of %s", path, ResourceOf(k))
	}
	return key, nil
}

// objects is the range of the keys of all objects. It leaves out what no cache has: the past generations, and whatever else
// begins with an underscore, which sorts before them.
func (s keyspace) objects() (from, end string) {
	return s.prefix + "/" + string(rune('_'+1)), clientv3.GetPrefixRangeEnd(s.prefix + "/")
}

// internal is a key of the store's own, beside all kinds.
func (s keyspace) internal(name string) string { return s.prefix + "/_store/" + name }

// checkSegment refuses what would lead out of its place in a path. What names may be beyond that is the kinds' matter.
func checkSegment(what, v string) error {
	switch {
	case v == "":
		return apierror.BadRequest("the %s is missing", what)
	case len(v) > maxSegment:
		return apierror.BadRequest("the %s is %d bytes long; at most %d are allowed", what, len(v), maxSegment)
	case v == "." || v == "..":
		return apierror.BadRequest("the %s may not be %q", what, v)
	case v[0] == '_':
		return apierror.BadRequest("the %s %q may not start with an underscore", what, v)
	case !utf8.ValidString(v):
		return apierror.BadRequest("the %s is not valid UTF-8", what)
	}
	if i := strings.IndexFunc(v, func(r rune) bool { return r == '/' || r == '%' || r <= ' ' || r == 0x7f }); i >= 0 {
		return apierror.BadRequest("the %s %q may not contain %q", what, v, v[i:i+1])
	}
	return nil
}
