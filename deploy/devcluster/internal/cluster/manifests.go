// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"text/template"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"

	"fairlead.dev/deploy/devcluster/internal/pki"
	"fairlead.dev/deploy/devcluster/internal/topology"
)

//go:embed manifests/base.yaml
var baseManifest string

func renderManifests() ([]*unstructured.Unstructured, error) {
	parsed, err := template.New("base").Option("missingkey=error").Parse(baseManifest)
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	if err := parsed.Execute(&buffer, map[string]any{
		"StorageClass": topology.StorageClass, "Provisioner": topology.Provisioner,
		"ClusterDNS": topology.ClusterDNS, "DNSPort": topology.DNSPort, "BridgeIP": topology.BridgeIP,
		"NodeName": topology.NodeName, "DNSUser": pki.DNSUser, "StorageUser": pki.StorageUser,
	}); err != nil {
		return nil, err
	}
	decoder := yaml.NewYAMLOrJSONDecoder(&buffer, 4096)
	var out []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out = append(out, object)
	}
}

// applyManifests applies the cluster's own objects. The namespaces in which
// they lie come with the API server a moment after it is ready.
func (c *Cluster) applyManifests(ctx context.Context) error {
	objects, err := renderManifests()
	if err != nil {
		return err
	}
	config, err := c.restConfig()
	if err != nil {
		return err
	}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(typed.Discovery()))
	for _, object := range objects {
		kind := object.GroupVersionKind()
		if err := eventually(ctx, func(ctx context.Context) error {
			mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
			if err != nil {
				return err
			}
			_, err = client.Resource(mapping.Resource).Namespace(object.GetNamespace()).
				Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "devcluster", Force: true})
			return err
		}); err != nil {
			return fmt.Errorf("apply %s %s: %w", kind.Kind, object.GetName(), err)
		}
	}
	return nil
}
