// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package kube_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestFieldManagers has a service write under its own field manager to what all services once wrote under one: what it no
// longer wants goes, and the former manager owns nothing.
func TestFieldManagers(t *testing.T) {
	before := newClientAs(t, "managers-"+uuid.NewString()[:8], "fairlead")
	ns := newNamespace(t, before)
	o := owner(ns, "web")
	old := configMap(ns, "cm", "1")
	old.Data["stale"] = "from the former manager"
	old.Labels = map[string]string{"stale": "yes"}
	if _, err := before.Apply(t.Context(), o, old); err != nil {
		t.Fatal(err)
	}
	maps := before.Clientset().CoreV1().ConfigMaps(ns)
	cm, err := maps.Get(t.Context(), "cm", kmetav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cm.Data["theirs"] = "kept"
	if _, err := maps.Update(t.Context(), cm, kmetav1.UpdateOptions{FieldManager: "somebody"}); err != nil {
		t.Fatal(err)
	}
	now := before.As("fairlead-serving")
	for range 2 { // the second finds nothing to take over
		if _, err := now.Apply(t.Context(), o, configMap(ns, "cm", "2")); err != nil {
			t.Fatal(err)
		}
		if cm, err = maps.Get(t.Context(), "cm", kmetav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"k": "2", "theirs": "kept"}, cm.Data); diff != "" {
			t.Errorf("data (-want +got):\n%s", diff)
		}
		if cm.Labels["stale"] != "" {
			t.Error("a label of the former manager has stayed")
		}
		managers := map[string]string{}
		for _, e := range cm.ManagedFields {
			managers[e.Manager] = string(e.Operation)
		}
		if diff := cmp.Diff(map[string]string{"fairlead-serving": "Apply", "somebody": "Update"}, managers); diff != "" {
			t.Errorf("field managers (-want +got):\n%s", diff)
		}
	}
}

// TestApplyOverWhatExcludesIt has somebody change the key of an entry of a list: an apply alone would keep it beside ours,
// and be refused since the two have one name.
func TestApplyOverWhatExcludesIt(t *testing.T) {
	c := newClient(t, "exclude-"+uuid.NewString()[:8])
	ns := newNamespace(t, c)
	o := owner(ns, "web")
	service := func() *corev1.Service {
		return &corev1.Service{ObjectMeta: kmetav1.ObjectMeta{Namespace: ns, Name: "web"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}
	}
	if _, err := c.Apply(t.Context(), o, service()); err != nil {
		t.Fatal(err)
	}
	services := c.Clientset().CoreV1().Services(ns)
	svc, err := services.Get(t.Context(), "web", kmetav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	svc.Spec.Ports[0].Port = 81
	if _, err := services.Update(t.Context(), svc, kmetav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Apply(t.Context(), o, service()); err != nil {
		t.Fatal(err)
	}
	if svc, err = services.Get(t.Context(), "web", kmetav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(svc.Spec.Ports) != 1 || svc.Spec.Ports[0].Port != 80 {
		t.Errorf("ports: %v, want 80 alone", svc.Spec.Ports)
	}
}
