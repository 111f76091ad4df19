// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ownership ties the objects that serving makes to those they are made for.
package ownership

import (
	"maps"
	"strings"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/wire"
	"fairlead.dev/services/serving/names"
)

// Reference returns the reference by which an object names what it is made for.
func Reference(k kinds.Kind, owner *metav1.ObjectMeta) *metav1.OwnerReference {
	return &metav1.OwnerReference{
		ApiVersion: k.APIVersion(), Kind: k.Kind, Name: owner.GetName(), Uid: owner.GetUid(),
		Controller: new(true), BlockOwnerDeletion: new(true),
	}
}

// IsFor tells whether an object was made for an owner.
func IsFor(m, owner *metav1.ObjectMeta) bool {
	for _, ref := range m.GetOwnerReferences() {
		if ref.GetController() && ref.GetUid() == owner.GetUid() {
			return true
		}
	}
	return false
}

// Inherit returns annotations as they are handed down: without those that are about one object alone.
func Inherit(annotations map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range annotations {
		if !ofOneObject(key) {
			out[key] = value
		}
	}
	return out
}

func ofOneObject(key string) bool {
	for _, prefix := range []string{"kubectl.kubernetes.io/", "fairlead.dev/", wire.AnnotationConversion} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return key == names.AnnotationForm || key == names.AnnotationBuild
}

// Labels returns labels with some more.
func Labels(labels map[string]string, more map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, labels)
	for key, value := range more {
		if value != "" {
			out[key] = value
		}
	}
	return out
}

// Creator returns who last changed an object, or made it: the creator of what is made for it.
func Creator(m *metav1.ObjectMeta) string {
	if who := m.GetAnnotations()[names.AnnotationLastModifier]; who != "" {
		return who
	}
	return m.GetAnnotations()[names.AnnotationCreator]
}
