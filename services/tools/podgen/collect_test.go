// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type mode string

type handler struct {
	Exec *leaf `json:"exec,omitempty" protobuf:"bytes,1,opt,name=exec"`
}

type leaf struct {
	HostIPs []string `json:"hostIPs,omitempty" protobuf:"bytes,1,rep,name=hostIPs"`
}

// sample has a field of each sort that pods have.
type sample struct {
	handler `json:"" protobuf:"bytes,1,opt,name=handler"`

	Name     string                     `json:"name"               protobuf:"bytes,2,opt,name=name"`
	Mode     *mode                      `json:"mode,omitempty"     protobuf:"bytes,3,opt,name=mode"`
	Limits   map[mode]resource.Quantity `json:"limits,omitempty"   protobuf:"bytes,4,rep,name=limits"`
	Size     *resource.Quantity         `json:"size,omitempty"     protobuf:"bytes,5,opt,name=size"`
	Wait     metav1.Duration            `json:"wait"               protobuf:"bytes,6,opt,name=wait"`
	Port     intstr.IntOrString         `json:"port"               protobuf:"bytes,7,opt,name=port"`
	At       metav1.Time                `json:"at"                 protobuf:"bytes,8,opt,name=at"`
	Data     []byte                     `json:"data,omitempty"     protobuf:"bytes,9,opt,name=data"`
	Leaves   []leaf                     `json:"leaves,omitempty"   protobuf:"bytes,10,rep,name=leaves"`
	Selector *metav1.LabelSelector      `json:"selector,omitempty" protobuf:"bytes,11,opt,name=selector"`
	Ignored  string                     `json:"-"`
}

func TestCollect(t *testing.T) {
	keys := map[string][]string{"sample.Leaves": {"hostIPs", "name"}}
	got, err := collect([]reflect.Type{reflect.TypeFor[sample]()}, markers{keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	want := []message{
		{name: "leaf", fields: []field{{name: "host_ips", json: "hostIPs", number: 1, kind: "string", label: "repeated"}}},
		{name: "sample", fields: []field{
			{name: "name", json: "name", number: 2, kind: "string", always: true},
			{name: "mode", json: "mode", number: 3, kind: "string", label: "optional"},
			{name: "limits", json: "limits", number: 4, kind: "map<string, string>", format: "FORMAT_QUANTITY_MAP"},
			{name: "size", json: "size", number: 5, kind: "string", label: "optional", format: "FORMAT_QUANTITY"},
			{name: "wait", json: "wait", number: 6, kind: "string", format: "FORMAT_DURATION"},
			{name: "port", json: "port", number: 7, kind: "fairlead.meta.v1.IntOrString"},
			{name: "at", json: "at", number: 8, kind: "google.protobuf.Timestamp"},
			{name: "data", json: "data", number: 9, kind: "bytes"},
			{name: "leaves", json: "leaves", number: 10, kind: "leaf", label: "repeated", keys: []string{"hostIPs", "name"}},
			{name: "selector", json: "selector", number: 11, kind: "fairlead.meta.v1.LabelSelector"},
			{name: "exec", json: "exec", number: 101, kind: "leaf"},
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("collect:\n got %+v\nwant %+v", got, want)
	}
}

type takesInlinedNumber struct {
	handler `json:"" protobuf:"bytes,1,opt,name=handler"`

	Other string `json:"other,omitempty" protobuf:"bytes,101,opt,name=other"`
}

type takesInlinedName struct {
	handler `json:"" protobuf:"bytes,1,opt,name=handler"`

	Exec string `json:"exec,omitempty" protobuf:"bytes,2,opt,name=exec"`
}

type inlinesTwice struct {
	takesNone `json:"" protobuf:"bytes,2,opt,name=takesNone"`
}

type takesNone struct {
	handler `json:"" protobuf:"bytes,1,opt,name=handler"`
}

type untagged struct {
	Name string `json:"name"`
}

type foreign struct {
	Kind reflect.Method `json:"kind" protobuf:"bytes,1,opt,name=kind"`
}

type nested struct {
	Lists [][]string `json:"lists" protobuf:"bytes,1,rep,name=lists"`
}

type reserved struct {
	Name string `json:"name" protobuf:"bytes,19001,opt,name=name"`
}

func TestCollectRefuses(t *testing.T) {
	cases := []struct {
		reason string
		root   reflect.Type
		want   string
	}{
		{"an inlined field's number may be taken", reflect.TypeFor[takesInlinedNumber](), "both have number 101"},
		{"an inlined field's name may be taken", reflect.TypeFor[takesInlinedName](), "two fields are called exec"},
		{"a number leaves room for one inlining", reflect.TypeFor[inlinesTwice](), "more than an inlined field can have"},
		{"a number comes from the tag alone", reflect.TypeFor[untagged](), "no protobuf tag"},
		{"a struct of an unknown package has no message", reflect.TypeFor[foreign](), "no proto type for reflect.Method"},
		{"proto has no list of lists", reflect.TypeFor[nested](), "no proto type for [][]string"},
		{"protobuf keeps some numbers", reflect.TypeFor[reserved](), "keeps for itself"},
	}
	for _, c := range cases {
		_, err := collect([]reflect.Type{c.root}, markers{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
		}
	}
}

func TestParseMarkers(t *testing.T) {
	source := `package v1

// Container is one.
// +structType=atomic
type Container struct {
	// The ports.
	// +listType=map
	// +listMapKey=containerPort
	// +listMapKey=protocol
	Ports []int
	// +listType=atomic
	Args []string
	// +listType=set
	Users []string
	// +mapType=atomic
	Labels map[string]string
}
`
	got, err := parseMarkers("types.go", source)
	if err != nil {
		t.Fatal(err)
	}
	want := markers{
		keys:   map[string][]string{"Container.Ports": {"containerPort", "protocol"}},
		merge:  map[string]string{"Container.Users": mergeSet, "Container.Labels": mergeAtomic},
		atomic: map[string]bool{"Container": true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMarkersOfKubernetesAreRead(t *testing.T) {
	found, err := readMarkers(reflect.TypeFor[corev1.PodSpec]().PkgPath())
	if err != nil {
		t.Fatal(err)
	}
	if got := found.keys["PodSpec.Volumes"]; !reflect.DeepEqual(got, []string{"name"}) {
		t.Errorf("keys of PodSpec.Volumes: got %v", got)
	}
	if found.merge["PodSpec.NodeSelector"] != mergeAtomic || !found.atomic["SecretKeySelector"] {
		t.Errorf("what is atomic: got %v and %v", found.merge, found.atomic)
	}
}
