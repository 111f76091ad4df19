// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
)

// ManagerOf returns the name of the manager of a write: what the request says, or what stands before the first slash of the
// name by which the program that sent it goes.
func ManagerOf(fieldManager, userAgent string) string {
	if fieldManager != "" {
		return fieldManager
	}
	program, _, _ := strings.Cut(userAgent, "/")
	var out bytes.Buffer
	for _, r := range program {
		if !unicode.IsPrint(r) {
			continue
		}
		if out.Len()+utf8.RuneLen(r) > validation.FieldManagerMaxLength {
			break
		}
		out.WriteRune(r)
	}
	return out.String()
}

// KeepTimes gives obj the managed fields of old if nothing but their times tells the two objects apart, so that a write that
// changes nothing writes nothing.
func KeepTimes(obj, old Object) {
	m, was := obj.GetMetadata(), old.GetMetadata()
	now, then := m.GetManagedFields(), was.GetManagedFields()
	if len(now) == 0 || len(now) != len(then) {
		return
	}
	later := false
	for i := range now {
		if !sameEntry(now[i], then[i]) {
			return
		}
		later = later || now[i].GetTime().GetSeconds() != then[i].GetTime().GetSeconds()
	}
	if !later {
		return
	}
	m.ManagedFields = then
	if !proto.Equal(obj, old) {
		m.ManagedFields = now
	}
}

func sameEntry(a, b *metav1.ManagedFieldsEntry) bool {
	return a.GetManager() == b.GetManager() && a.GetOperation() == b.GetOperation() && a.GetApiVersion() == b.GetApiVersion() &&
		a.GetSubresource() == b.GetSubresource() && a.GetFieldsType() == b.GetFieldsType() &&
		bytes.Equal(a.GetFieldsV1().GetRaw(), b.GetFieldsV1().GetRaw())
}
