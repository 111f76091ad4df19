// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"k8s.io/apimachinery/pkg/api/validation"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

// dropServerKept removes from an object to be created what only the server sets.
func dropServerKept(m *metav1.ObjectMeta) {
	m.Uid, m.ResourceVersion, m.Generation, m.SelfLink = "", "", 0, ""
	m.CreationTimestamp, m.DeletionTimestamp, m.DeletionGracePeriodSeconds = nil, nil, nil
}

// keepServerKept gives an object to be stored what the server has set on the one that it replaces.
func keepServerKept(m, old *metav1.ObjectMeta) {
	m.Name, m.GenerateName, m.Namespace = old.GetName(), old.GetGenerateName(), old.GetNamespace()
	m.Uid, m.ResourceVersion, m.Generation, m.SelfLink = old.GetUid(), old.GetResourceVersion(), old.GetGeneration(), ""
	m.CreationTimestamp, m.DeletionTimestamp = old.GetCreationTimestamp(), old.GetDeletionTimestamp()
	m.DeletionGracePeriodSeconds = old.DeletionGracePeriodSeconds
}

// changedServerKept returns a fault for each thing that only the server sets and that m, which is to replace old, says otherwise.
// What it leaves out it means.
func changedServerKept(m, old *metav1.ObjectMeta) []apierror.Cause {
	path := field.NewPath("metadata")
	var faults field.ErrorList
	same := func(name string, now, then *timestamppb.Timestamp) {
		if now != nil && !proto.Equal(now, then) {
			faults = append(faults, field.Invalid(path.Child(name), now.AsTime(), validation.FieldImmutableErrorMsg))
		}
	}
	if m.GetUid() != "" && m.GetUid() != old.GetUid() {
		faults = append(faults, field.Invalid(path.Child("uid"), m.GetUid(), validation.FieldImmutableErrorMsg))
	}
	same("creationTimestamp", m.GetCreationTimestamp(), old.GetCreationTimestamp())
	same("deletionTimestamp", m.GetDeletionTimestamp(), old.GetDeletionTimestamp())
	var causes []apierror.Cause
	for _, fault := range faults {
		causes = append(causes, causeOf(fault))
	}
	return causes
}

// validateMetadata returns the faults of an object's metadata, worded by Kubernetes itself. old is nil on creation.
func (s *server) validateMetadata(obj, old store.Object) []apierror.Cause {
	path := field.NewPath("metadata")
	m := kubernetesMeta(obj.GetMetadata())
	generated := m.Name == "" && m.GenerateName != ""
	if generated {
		m.Name = m.GenerateName + "00000"
	}
	var causes []apierror.Cause
	for _, fault := range validation.ValidateObjectMeta(m, s.Kind.Namespaced, s.ValidName, path) {
		if generated && fault.Field == "metadata.name" {
			continue // told of the prefix already
		}
		causes = append(causes, causeOf(fault))
	}
	if old != nil && old.GetMetadata().GetDeletionTimestamp() != nil {
		for _, fault := range validation.ValidateNoNewFinalizers(m.Finalizers, old.GetMetadata().GetFinalizers(), path.Child("finalizers")) {
			causes = append(causes, causeOf(fault))
		}
	}
	return causes
}

func causeOf(fault *field.Error) apierror.Cause {
	return apierror.Cause{Field: fault.Field, Reason: string(fault.Type), Message: fault.ErrorBody()}
}

// kubernetesMeta returns metadata in the type that Kubernetes' validation takes.
func kubernetesMeta(m *metav1.ObjectMeta) *kmetav1.ObjectMeta {
	out := &kmetav1.ObjectMeta{
		Name: m.GetName(), GenerateName: m.GetGenerateName(), Namespace: m.GetNamespace(),
		UID: types.UID(m.GetUid()), ResourceVersion: m.GetResourceVersion(), Generation: m.GetGeneration(),
		Labels: m.GetLabels(), Annotations: m.GetAnnotations(), Finalizers: m.GetFinalizers(),
	}
	for _, r := range m.GetOwnerReferences() {
		out.OwnerReferences = append(out.OwnerReferences, kmetav1.OwnerReference{
			APIVersion: r.GetApiVersion(), Kind: r.GetKind(), Name: r.GetName(), UID: types.UID(r.GetUid()),
			Controller: r.Controller, BlockOwnerDeletion: r.BlockOwnerDeletion,
		})
	}
	for _, f := range m.GetManagedFields() {
		out.ManagedFields = append(out.ManagedFields, kmetav1.ManagedFieldsEntry{
			Manager: f.GetManager(), Operation: kmetav1.ManagedFieldsOperationType(f.GetOperation()), APIVersion: f.GetApiVersion(),
			FieldsType: f.GetFieldsType(), Subresource: f.GetSubresource(),
		})
	}
	return out
}
