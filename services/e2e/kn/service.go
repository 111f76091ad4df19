// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package kn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
)

// Labels and annotations that kn knows.
const (
	LabelService       = "serving.knative.dev/service"
	LabelConfiguration = "serving.knative.dev/configuration"
	labelGeneration    = "serving.knative.dev/configurationGeneration"
	annotationImage    = "client.knative.dev/user-image"
)

// Service is what `kn service create NAME --image IMAGE` sends.
func Service(namespace, name, image string) Object {
	return Object{
		"apiVersion": Serving, "kind": "Service",
		"metadata": Object{"name": name, "namespace": namespace, "creationTimestamp": nil},
		"spec": Object{"template": Object{
			"metadata": Object{"annotations": Object{annotationImage: image}, "creationTimestamp": nil},
			"spec":     Object{"containers": []any{Object{"name": "", "image": image, "resources": Object{}}}},
		}},
		"status": Object{},
	}
}

// Container is the first container of a service.
func Container(service Object) Object {
	containers, _ := At(service, "spec", "template", "spec", "containers").([]any)
	if len(containers) == 0 {
		return Object{}
	}
	container, _ := containers[0].(Object)
	return container
}

// Child returns an object in an object, made if it is not there.
func Child(obj Object, path ...string) Object {
	for _, name := range path {
		child, ok := obj[name].(Object)
		if !ok {
			child = Object{}
			obj[name] = child
		}
		obj = child
	}
	return obj
}

// CreateService is `kn service create`, with --force if one that there is may be replaced.
func (c *Client) CreateService(ctx context.Context, service Object, force bool) (Object, error) {
	made, err := c.Create(ctx, Serving, "services", service)
	if !force || !IsReason(err, kmetav1.StatusReasonAlreadyExists) {
		return made, err
	}
	name, _ := At(service, "metadata", "name").(string)
	return c.Update(ctx, Serving, "services", name, func(there Object) {
		wanted := maps.Clone(service)
		m := maps.Clone(Child(wanted, "metadata"))
		m["resourceVersion"] = At(there, "metadata", "resourceVersion")
		annotations := Object{}
		for _, name := range []string{"serving.knative.dev/creator", "serving.knative.dev/lastModifier"} {
			if v := At(there, "metadata", "annotations", name); v != nil {
				annotations[name] = v // the server refuses a change of them
			}
		}
		m["annotations"] = annotations
		wanted["metadata"] = m
		clear(there)
		maps.Copy(there, wanted)
	})
}

// ApplyService is `kn service apply`: what was applied before, what is wanted and what there is become a merge patch. It
// tells whether anything changed.
func (c *Client) ApplyService(ctx context.Context, service Object) (changed bool, err error) {
	name, _ := At(service, "metadata", "name").(string)
	current, err := c.Get(ctx, Serving, "services", name)
	if IsReason(err, kmetav1.StatusReasonNotFound) {
		noted, err := withLastApplied(service)
		if err != nil {
			return false, err
		}
		_, err = c.Create(ctx, Serving, "services", noted)
		return true, err
	}
	if err != nil {
		return false, err
	}
	noted, err := withLastApplied(service)
	if err != nil {
		return false, err
	}
	modified, err := json.Marshal(noted)
	if err != nil {
		return false, fmt.Errorf("kn: %w", err)
	}
	before, _ := At(current, "metadata", "annotations", corev1.LastAppliedConfigAnnotation).(string)
	there, err := json.Marshal(current)
	if err != nil {
		return false, fmt.Errorf("kn: %w", err)
	}
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch([]byte(before), modified, there)
	if err != nil {
		return false, fmt.Errorf("kn: %w", err)
	}
	if string(patch) == "{}" {
		return false, nil
	}
	after, err := c.Do(ctx, http.MethodPatch, c.Path(Serving, "services", name), nil, "application/merge-patch+json", patch)
	if err != nil {
		return false, err
	}
	return At(after, "metadata", "generation") != At(current, "metadata", "generation"), nil
}

func withLastApplied(service Object) (Object, error) {
	data, err := json.Marshal(service)
	if err != nil {
		return nil, fmt.Errorf("kn: %w", err)
	}
	var out Object
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("kn: %w", err)
	}
	delete(out, "status")
	delete(Child(out, "metadata"), "creationTimestamp")
	Child(out, "metadata", "annotations")[corev1.LastAppliedConfigAnnotation] = string(data)
	return out, nil
}

// WaitReady waits, as every command does unless it is told not to: for a MODIFIED event that is about the newest generation
// and has the condition Ready.
func (c *Client) WaitReady(ctx context.Context, group, resource, name string) error {
	obj, err := c.Get(ctx, group, resource, name)
	if err != nil {
		return err
	}
	if done, err := ready(obj); done || err != nil {
		return err
	}
	version, _ := At(obj, "metadata", "resourceVersion").(string)
	events, err := c.Watch(ctx, group, resource, name, version)
	if err != nil {
		return err
	}
	defer events.Close()
	for {
		event, err := events.Next()
		if err != nil {
			return err
		}
		if event.Type != "MODIFIED" {
			continue
		}
		if done, err := ready(event.Object); done || err != nil {
			return err
		}
	}
}

func ready(obj Object) (bool, error) {
	generation := At(obj, "metadata", "generation")
	if generation == nil || generation != At(obj, "status", "observedGeneration") {
		return false, nil
	}
	conditions, _ := At(obj, "status", "conditions").([]any)
	for _, one := range conditions {
		if At(one, "type") != "Ready" {
			continue
		}
		switch At(one, "status") {
		case "True":
			return true, nil
		case "False":
			return false, fmt.Errorf("kn: %v: %v", At(one, "reason"), At(one, "message"))
		}
	}
	return false, nil
}

// Revisions is what `kn revision list -s SERVICE` asks for.
func (c *Client) Revisions(ctx context.Context, service string) ([]Object, error) {
	return c.List(ctx, Serving, "revisions", LabelService+"="+service, 500)
}

// BaseRevision is how kn finds the revision of a service's newest generation.
func (c *Client) BaseRevision(ctx context.Context, service string, generation int) ([]Object, error) {
	return c.List(ctx, Serving, "revisions", fmt.Sprintf("%s=%d,%s=%s", labelGeneration, generation, LabelService, service), 500)
}

// Prune is `kn revision delete --prune SERVICE`: it deletes the revisions that get no requests.
func (c *Client) Prune(ctx context.Context, service string) (deleted []string, err error) {
	revisions, err := c.Revisions(ctx, service)
	if err != nil {
		return nil, err
	}
	obj, err := c.Get(ctx, Serving, "services", service)
	if err != nil {
		return nil, err
	}
	used := map[any]bool{At(obj, "status", "latestReadyRevisionName"): true, At(obj, "status", "latestCreatedRevisionName"): true}
	traffic, _ := At(obj, "status", "traffic").([]any)
	for _, target := range traffic {
		used[At(target, "revisionName")] = true
	}
	for _, r := range revisions {
		name, _ := At(r, "metadata", "name").(string)
		if used[name] {
			continue
		}
		if err := c.Delete(ctx, Serving, "revisions", name, false); err != nil {
			return deleted, err
		}
		deleted = append(deleted, name)
	}
	return deleted, nil
}

// IsReason tells whether err is an answer with a Status of the reason.
func IsReason(err error, reason kmetav1.StatusReason) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status.Reason == reason
}
