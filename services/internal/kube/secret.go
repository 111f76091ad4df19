// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// FollowSecret tells of a Secret as it is, and whenever it changes, until ctx ends; of one that is deleted by nil.
func FollowSecret(ctx context.Context, clientset kubernetes.Interface, namespace, name string, tell func(*corev1.Secret)) error {
	factory := informers.NewSharedInformerFactoryWithOptions(clientset, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(o *kmetav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector(kmetav1.ObjectNameField, name).String()
		}))
	take := func(obj any) {
		if secret, ok := obj.(*corev1.Secret); ok && secret.Name == name { // made-up clusters know no field selectors
			tell(secret)
		}
	}
	_, err := factory.Core().V1().Secrets().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: take, UpdateFunc: func(_, obj any) { take(obj) },
		DeleteFunc: func(obj any) {
			if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil && key == namespace+"/"+name {
				tell(nil)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("follow Secret %s/%s: %w", namespace, name, err)
	}
	factory.StartWithContext(ctx)
	<-ctx.Done()
	factory.Shutdown()
	return nil
}
