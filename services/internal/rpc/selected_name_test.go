// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
)

// A right to objects of some names is a right to list and watch each of them.
func TestListsOfOneNameAreAboutIt(t *testing.T) {
	f := start(t, nil)
	build := buildv1.NewBuildServiceClient(f.conn)
	for selector, want := range map[string]string{
		"":                                     "",
		"metadata.name=web":                    "web",
		"metadata.name==web":                   "web",
		"metadata.namespace=a,metadata.name=w": "w",
		"metadata.name!=web":                   "",
		"metadata.namespace=web":               "",
		"metadata.name=":                       "",
		"metadata.name":                        "",
	} {
		f.authz.take()
		_, _ = build.List(as("alice"), &metav1.ListRequest{Namespace: "a", FieldSelector: selector})
		stream, err := build.Watch(as("alice"), &metav1.WatchRequest{Namespace: "a", FieldSelector: selector})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = stream.Recv()
		_, _ = build.DeleteCollection(as("alice"), &metav1.DeleteCollectionRequest{Namespace: "a", FieldSelector: selector})
		of := func(verb, name string) Attributes {
			return Attributes{Verb: verb, Group: "build.knative.dev", Resource: "builds", Namespace: "a", Name: name}
		}
		if d := cmp.Diff([]Attributes{of("list", want), of("watch", want), of("deletecollection", "")}, f.authz.take()); d != "" {
			t.Errorf("%q (-want +got):\n%s", selector, d)
		}
	}
}
