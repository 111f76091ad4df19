// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kn sends the requests that kn 1.x sends, command by command: method, path, query, headers and body as its sources
// have them. Its own client cannot be built here, since the modules that it needs are not to be had from the module proxy.
package kn

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// API groups, as paths and objects name them.
const (
	Serving  = "serving.knative.dev/v1"
	Eventing = "eventing.knative.dev/v1"
)

// maxRetries is how often kn writes again after a conflict.
const maxRetries = 3

// Object is an object as JSON has it.
type Object = map[string]any

// Error is an answer that is a failure.
type Error struct{ Status kmetav1.Status }

func (e *Error) Error() string { return e.Status.Message }

// Client sends requests.
type Client struct {
	// URL is the server's, Token the caller's, Namespace that of the objects.
	URL, Token, Namespace string
	// HTTP sends.
	HTTP *http.Client
	// BeforeUpdate is called between the read and the write of an update; nil for nothing. It is for tests of conflicts.
	BeforeUpdate func()
}

// Path is that of all objects of a resource, or of one.
func (c *Client) Path(group, resource, name string) string {
	p := "/apis/" + group + "/namespaces/" + c.Namespace + "/" + resource
	if name != "" {
		p += "/" + name
	}
	return p
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, contentType string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		data, ok := body.([]byte)
		if !ok {
			var err error
			if data, err = json.Marshal(body); err != nil {
				return nil, fmt.Errorf("kn: %w", err)
			}
		}
		content = bytes.NewReader(data)
	}
	target := c.URL + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return nil, fmt.Errorf("kn: %w", err)
	}
	req.Header.Set("Accept", "application/json, */*")
	req.Header.Set("User-Agent", "kn/v1.18.0 (linux/amd64) kubernetes/$Format")
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("kn: %w", err)
	}
	return res, nil
}

// Do sends a request, and returns the object that it is answered with. An answer that is a failure is an Error.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, contentType string, body any) (Object, error) {
	res, err := c.send(ctx, method, path, query, contentType, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("kn: %w", err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return nil, failure(res, data)
	}
	var out Object
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("kn: %s %s: %w: %s", method, path, err, data)
	}
	return out, nil
}

func failure(res *http.Response, data []byte) error {
	e := &Error{}
	if err := json.Unmarshal(data, &e.Status); err != nil || e.Status.Kind != "Status" || int(e.Status.Code) != res.StatusCode {
		return fmt.Errorf("kn: %s with no Status: %s", res.Status, data)
	}
	return e
}

const contentJSON = "application/json"

// Get reads an object.
func (c *Client) Get(ctx context.Context, group, resource, name string) (Object, error) {
	return c.Do(ctx, http.MethodGet, c.Path(group, resource, name), nil, "", nil)
}

// Create makes an object.
func (c *Client) Create(ctx context.Context, group, resource string, obj Object) (Object, error) {
	return c.Do(ctx, http.MethodPost, c.Path(group, resource, ""), nil, contentJSON, obj)
}

// List reads objects, in chunks.
func (c *Client) List(ctx context.Context, group, resource, labels string, chunk int) ([]Object, error) {
	var all []Object
	query := url.Values{"limit": {strconv.Itoa(chunk)}}
	if labels != "" {
		query.Set("labelSelector", labels)
	}
	for {
		list, err := c.Do(ctx, http.MethodGet, c.Path(group, resource, ""), query, "", nil)
		if err != nil {
			return nil, err
		}
		items, _ := list["items"].([]any)
		for _, item := range items {
			if obj, ok := item.(Object); ok {
				all = append(all, obj)
			}
		}
		next, _ := At(list, "metadata", "continue").(string)
		if next == "" {
			return all, nil
		}
		query.Set("continue", next)
	}
}

// Update reads an object, changes it and puts it back, and does so again after a conflict.
func (c *Client) Update(ctx context.Context, group, resource, name string, change func(Object)) (Object, error) {
	for tries := 0; ; tries++ {
		obj, err := c.Get(ctx, group, resource, name)
		if err != nil {
			return nil, err
		}
		if At(obj, "metadata", "deletionTimestamp") != nil {
			return nil, fmt.Errorf("kn: can't update %s %s because it has been marked for deletion", resource, name)
		}
		change(obj)
		if c.BeforeUpdate != nil {
			c.BeforeUpdate()
		}
		obj, err = c.Do(ctx, http.MethodPut, c.Path(group, resource, name), nil, contentJSON, obj)
		if !IsReason(err, kmetav1.StatusReasonConflict) || tries == maxRetries {
			return obj, err
		}
	}
}

// Delete deletes an object: at once with its dependents after it, or, to wait for it, after them.
func (c *Client) Delete(ctx context.Context, group, resource, name string, wait bool) error {
	if !wait {
		return c.delete(ctx, group, resource, name, kmetav1.DeletePropagationBackground)
	}
	obj, err := c.Get(ctx, group, resource, name)
	if err != nil {
		return err
	}
	version, _ := At(obj, "metadata", "resourceVersion").(string)
	events, err := c.Watch(ctx, group, resource, name, version)
	if err != nil {
		return err
	}
	defer events.Close()
	if err := c.delete(ctx, group, resource, name, kmetav1.DeletePropagationForeground); err != nil {
		return err
	}
	for {
		event, err := events.Next()
		if err != nil {
			return err
		}
		if event.Type == "DELETED" {
			return nil
		}
	}
}

func (c *Client) delete(ctx context.Context, group, resource, name string, policy kmetav1.DeletionPropagation) error {
	// The generated clients encode options in the version of their group.
	_, err := c.Do(ctx, http.MethodDelete, c.Path(group, resource, name), nil, contentJSON,
		Object{"kind": "DeleteOptions", "apiVersion": group, "propagationPolicy": policy})
	return err
}

// Event is one of a watch.
type Event struct {
	Type   string `json:"type"`
	Object Object `json:"object"`
}

// Events are those of a watch.
type Events struct {
	body  io.ReadCloser
	lines *bufio.Scanner
}

// Watch watches one object from a version.
func (c *Client) Watch(ctx context.Context, group, resource, name, version string) (*Events, error) {
	query := url.Values{"watch": {"true"}, "fieldSelector": {"metadata.name=" + name}, "timeoutSeconds": {"600"}}
	if version != "" {
		query.Set("resourceVersion", version)
	}
	res, err := c.send(ctx, http.MethodGet, c.Path(group, resource, ""), query, "", nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer func() { _ = res.Body.Close() }()
		data, _ := io.ReadAll(res.Body)
		return nil, failure(res, data)
	}
	return &Events{res.Body, bufio.NewScanner(res.Body)}, nil
}

// Next returns the next event.
func (e *Events) Next() (Event, error) {
	var event Event
	if !e.lines.Scan() {
		return event, fmt.Errorf("kn: the watch ended: %w", e.lines.Err())
	}
	if err := json.Unmarshal(e.lines.Bytes(), &event); err != nil {
		return event, fmt.Errorf("kn: %w: %s", err, e.lines.Bytes())
	}
	return event, nil
}

// Close ends the watch.
func (e *Events) Close() { _ = e.body.Close() }

// At returns what is at a path of an object, nil if nothing.
func At(v any, path ...string) any {
	for _, name := range path {
		obj, _ := v.(Object)
		v = obj[name]
	}
	return v
}
