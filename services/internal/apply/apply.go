// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apply makes what documents say so, one after another: each is created, or what it says replaced.
package apply

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/grpc"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/store"
)

// What became of a document.
const (
	Created    = "created"
	Configured = "configured"
	Unchanged  = "unchanged"
)

// MaxDocuments is how many documents one call may have.
const MaxDocuments = 1000

// Result is what became of one document.
type Result struct {
	// Index is the document's place, from 1.
	Index      int    `json:"index"`
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	// Action is Created, Configured or Unchanged; empty after an error.
	Action string `json:"action,omitempty"`
	// ResourceVersion is the object's version now.
	ResourceVersion string `json:"resourceVersion,omitempty"`
	// Err is what went wrong.
	Err *apierror.Error `json:"-"`
}

// Document is one document.
type Document struct {
	Index            int
	APIVersion, Kind string
	Namespace, Name  string
	JSON             []byte
	kind             kinds.Kind
	ours             bool
}

// Native applies documents of the cluster's own kinds.
type Native interface {
	// Apply applies a document by server-side apply, or only tries to.
	Apply(ctx context.Context, doc Document, dryRun bool) (action, resourceVersion string, err error)
}

// Applier applies documents through the services.
type Applier struct {
	// Conn leads to the services.
	Conn grpc.ClientConnInterface
	// Kinds are the kinds that are ours.
	Kinds []kinds.Kind
	// Native applies the others; nil refuses them.
	Native Native
	// FieldManager is who writes.
	FieldManager string
	// Namespace is where documents go that name none; `default` by default.
	Namespace string
}

// Parse splits and reads documents. An error names every document that is at fault.
func (a *Applier) Parse(data []byte) ([]Document, error) {
	raw, err := codec.Documents(data, codec.Limits{Documents: MaxDocuments})
	if err != nil {
		return nil, err //nolint:wrapcheck // an error of ours
	}
	if len(raw) == 0 {
		return nil, apierror.BadRequest("there is no document; send YAML or JSON with apiVersion, kind and metadata.name")
	}
	docs := make([]Document, len(raw))
	var causes []apierror.Cause
	for i, r := range raw {
		doc, err := a.read(i+1, r)
		if err != nil {
			causes = append(causes, apierror.Invalid(fmt.Sprintf("documents[%d]", i), apierror.From(err).Message))
			continue
		}
		docs[i] = doc
	}
	if len(causes) > 0 {
		e := apierror.BadRequest("%s: %s", causes[0].Field, causes[0].Message)
		if len(causes) > 1 {
			e = apierror.BadRequest("%d documents are at fault, the first: %s: %s", len(causes), causes[0].Field, causes[0].Message)
		}
		e.Causes = causes
		return nil, e
	}
	return docs, nil
}

func (a *Applier) read(index int, raw json.RawMessage) (Document, error) {
	doc := Document{Index: index, JSON: raw}
	var name codec.Name
	var err error
	if doc.APIVersion, doc.Kind, name, err = codec.TypeMeta(raw); err != nil {
		return doc, err //nolint:wrapcheck // an error of ours
	}
	doc.Namespace, doc.Name = name.Namespace, name.Name
	switch {
	case doc.APIVersion == "" || doc.Kind == "":
		return doc, apierror.BadRequest("apiVersion and kind are missing; every document needs both")
	case doc.Name == "":
		return doc, apierror.BadRequest("metadata.name is missing; what is applied needs a name of its own")
	}
	groupKnown := false
	for _, k := range a.Kinds {
		if k.APIVersion() == doc.APIVersion && k.Kind == doc.Kind {
			doc.kind, doc.ours = k, true
		}
		if group(doc.APIVersion) == k.Group {
			groupKnown = true
		}
	}
	switch {
	case doc.ours && doc.kind.Namespaced && doc.Namespace == "":
		doc.Namespace = a.namespace()
	case doc.ours && !doc.kind.Namespaced:
		doc.Namespace = ""
	case !doc.ours && groupKnown:
		return doc, apierror.New(apierror.ReasonNotFound, "there is no kind %s in %s; GET /apis/%s lists the kinds there are", doc.Kind, doc.APIVersion, group(doc.APIVersion))
	case !doc.ours && a.Native == nil:
		return doc, apierror.BadRequest("%s in %s is a kind of the cluster's own; apply it with kubectl, or POST it to /apply", doc.Kind, doc.APIVersion)
	}
	return doc, nil
}

func group(apiVersion string) string {
	for i, c := range apiVersion {
		if c == '/' {
			return apiVersion[:i]
		}
	}
	return ""
}

func (a *Applier) namespace() string {
	if a.Namespace == "" {
		return "default"
	}
	return a.Namespace
}

// Apply tries every document first and, if none is at fault, applies them in order, each told to done. With faults
// nothing is stored, and the error names each of them; an error afterwards leaves what was applied before it.
func (a *Applier) Apply(ctx context.Context, docs []Document, dryRun bool, done func(Result)) ([]Result, error) {
	made := map[string]bool{} // namespaces that earlier documents make
	var causes []apierror.Cause
	var first *apierror.Error
	for _, doc := range docs {
		_, err := a.one(ctx, doc, true)
		if doc.APIVersion == "v1" && doc.Kind == "Namespace" {
			made[doc.Name] = true
		}
		if err == nil || made[doc.Namespace] && apierror.IsNotFound(err) {
			continue
		}
		e := apierror.From(err)
		if first == nil {
			first = e
		}
		causes = append(causes, prefixed(doc, e, len(docs) > 1)...)
	}
	if first != nil {
		return nil, combine(first, causes, len(docs) > 1)
	}
	results := make([]Result, 0, len(docs))
	for _, doc := range docs {
		res, err := a.one(ctx, doc, dryRun)
		if err != nil {
			return results, fmt.Errorf("document %d (%s %s): %w", doc.Index, doc.Kind, doc.Name, err)
		}
		results = append(results, res)
		if done != nil {
			done(res)
		}
	}
	return results, nil
}

func prefixed(doc Document, e *apierror.Error, several bool) []apierror.Cause {
	if len(e.Causes) == 0 {
		return []apierror.Cause{{Field: fmt.Sprintf("documents[%d]", doc.Index-1), Reason: string(e.Reason), Message: e.Message}}
	}
	out := make([]apierror.Cause, len(e.Causes))
	for i, c := range e.Causes {
		if several {
			c.Field = fmt.Sprintf("documents[%d].%s", doc.Index-1, c.Field)
		}
		out[i] = c
	}
	return out
}

func combine(first *apierror.Error, causes []apierror.Cause, several bool) *apierror.Error {
	e := *first
	if several {
		e.Causes = causes
		if len(causes) > len(first.Causes) {
			e.Message = fmt.Sprintf("nothing was applied; the first of %d faults: %s", len(causes), first.Message)
		}
	}
	return &e
}

func (a *Applier) one(ctx context.Context, doc Document, dryRun bool) (Result, error) {
	res := Result{Index: doc.Index, APIVersion: doc.APIVersion, Kind: doc.Kind, Namespace: doc.Namespace, Name: doc.Name}
	var err error
	if !doc.ours {
		res.Action, res.ResourceVersion, err = a.Native.Apply(ctx, doc, dryRun)
		return res, err
	}
	res.Action, res.ResourceVersion, err = a.patch(ctx, doc, dryRun)
	return res, err
}

// patch sends a document as an apply patch, which creates or replaces.
func (a *Applier) patch(ctx context.Context, doc Document, dryRun bool) (action, version string, err error) {
	before, err := a.get(ctx, doc)
	if err != nil {
		return "", "", err
	}
	req := &metav1.PatchRequest{
		Namespace: doc.Namespace, Name: doc.Name, Patch: doc.JSON, ContentType: "application/apply-patch+yaml",
		FieldManager: a.FieldManager, FieldValidation: "Strict", Force: true,
	}
	if dryRun {
		req.DryRun = []string{"All"}
	}
	out, ok := doc.kind.New().(store.Object)
	if !ok {
		return "", "", apierror.Internal(fmt.Errorf("apply: %s is no object", doc.Kind))
	}
	if err := a.Conn.Invoke(ctx, "/"+string(doc.kind.Service)+"/Patch", req, out); err != nil {
		return "", "", apierror.FromStatus(err)
	}
	version = out.GetMetadata().GetResourceVersion()
	switch before {
	case "":
		return Created, version, nil
	case version:
		return Unchanged, version, nil
	}
	return Configured, version, nil
}

// get returns the version of the object that a document names, empty where there is none.
func (a *Applier) get(ctx context.Context, doc Document) (string, error) {
	out, ok := doc.kind.New().(store.Object)
	if !ok {
		return "", apierror.Internal(fmt.Errorf("apply: %s is no object", doc.Kind))
	}
	err := a.Conn.Invoke(ctx, "/"+string(doc.kind.Service)+"/Get", &metav1.GetRequest{Namespace: doc.Namespace, Name: doc.Name}, out)
	if e := apierror.From(err); e != nil && e.Reason != apierror.ReasonNotFound {
		return "", e
	}
	return out.GetMetadata().GetResourceVersion(), nil
}
