// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestEventsAreDroppedAtTheEnd keeps client-go from calling the end of a process an error, and from trying again.
func TestEventsAreDroppedAtTheEnd(t *testing.T) {
	clientset, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sink := &eventSink{clientset: clientset, ctx: ctx}
	event := &corev1.Event{ObjectMeta: kmetav1.ObjectMeta{Name: "e"}}
	if _, err := sink.Create(event); err == nil {
		t.Error("a cluster that is away takes events")
	}
	cancel()
	for name, write := range map[string]func() (*corev1.Event, error){
		"create": func() (*corev1.Event, error) { return sink.Create(event) },
		"update": func() (*corev1.Event, error) { return sink.Update(event) },
		"patch":  func() (*corev1.Event, error) { return sink.Patch(event, nil) },
	} {
		if got, err := write(); err != nil || got != event {
			t.Errorf("%s at the end: %v %v, want the event and no error", name, got, err)
		}
	}
}
