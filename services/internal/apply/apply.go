// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apply makes what documents say so, one after another, by server-side apply: each is created, or what it says merged
// with what others manage of the object.
package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// What became of a document.
const (
	Created    = wire.Created
	Configured = wire.Configured
	Unchanged  = wire.Unchanged
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
	Apply(ctx context.Context, doc Document, o NativeOptions) (action, resourceVersion string, err error)
}

// NativeOptions say how a document of the cluster's own kinds is applied.
type NativeOptions struct {
	// FieldManager is who writes, and Force takes over what others manage.
	FieldManager string
	Force        bool
	// DryRun has everything done but stored.
	DryRun bool
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
	// Force takes over fields that others manage; without it they are conflicts.
	Force bool
	// Namespace is where documents go that name none; `default` by default.
	Namespace string
	// Atomic says that documents are to be applied in one step, in which the cluster's own kinds can have no part.
	Atomic bool
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
	for _, k := range a.Kinds {
		if k.APIVersion() == doc.APIVersion && k.Kind == doc.Kind {
			doc.kind, doc.ours = k, true
		}
	}
	inGroup := a.served(func(g string) bool { return g == group(doc.APIVersion) })
	switch {
	case doc.ours && doc.kind.Namespaced && doc.Namespace == "":
		doc.Namespace = a.namespace()
	case doc.ours && !doc.kind.Namespaced:
		doc.Namespace = ""
	case !doc.ours && inGroup != "":
		return doc, apierror.New(apierror.ReasonNotFound, "there is no kind %s in %s; there are %s", doc.Kind, doc.APIVersion, inGroup)
	case !doc.ours && a.Native == nil && ofFamily(group(doc.APIVersion)):
		return doc, apierror.New(apierror.ReasonNotFound, "there is no kind %s in %s; there are %s. What the cluster itself has of that group is kubectl's to apply",
			doc.Kind, doc.APIVersion, a.served(ofFamily))
	case !doc.ours && a.Atomic:
		return doc, apierror.BadRequest("%s %q in %s is of the cluster's own kinds, which have no part in an atomic apply; apply it by itself", doc.Kind, doc.Name, doc.APIVersion)
	case !doc.ours && a.Native == nil:
		return doc, apierror.BadRequest("%s in %s is a kind of the cluster's own; apply it with kubectl, or POST it to /apply", doc.Kind, doc.APIVersion)
	}
	return doc, nil
}

// served lists the kinds of groups, with their versions.
func (a *Applier) served(in func(group string) bool) string {
	type kind struct{ group, name string }
	var order []kind
	versions := map[kind][]string{}
	for _, k := range a.Kinds {
		if !in(k.Group) {
			continue
		}
		of := kind{k.Group, k.Kind}
		if versions[of] == nil {
			order = append(order, of)
		}
		versions[of] = append(versions[of], k.Version)
	}
	var places []string
	names := map[string][]string{}
	for _, of := range order {
		place := of.group + "/" + strings.Join(versions[of], ", ")
		if names[place] == nil {
			places = append(places, place)
		}
		names[place] = append(names[place], of.name)
	}
	for i, place := range places {
		places[i] = strings.Join(names[place], ", ") + " in " + place
	}
	return strings.Join(places, "; ")
}

// ofFamily tells whether a group is one of Knative's or Tekton's, whose kinds are ours where we have them.
func ofFamily(group string) bool {
	return strings.HasSuffix(group, ".knative.dev") || group == "tekton.dev" || strings.HasSuffix(group, ".tekton.dev")
}

func group(apiVersion string) string {
	name, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return "" // the core group's version stands alone
	}
	return name
}

func (a *Applier) namespace() string {
	if a.Namespace == "" {
		return "default"
	}
	return a.Namespace
}

// Apply tries every document first and, if none is at fault, applies them in order, each told to done. With faults
// nothing is stored, and the error is a *DocumentsError; an error afterwards is a *DocumentError, and leaves what was
// applied before it.
func (a *Applier) Apply(ctx context.Context, docs []Document, dryRun bool, done func(Result)) ([]Result, error) {
	made := map[string]bool{} // namespaces that earlier documents make
	faults := &DocumentsError{}
	for _, doc := range docs {
		_, err := a.one(ctx, doc, true)
		if doc.APIVersion == "v1" && doc.Kind == "Namespace" {
			made[doc.Name] = true
		}
		if err == nil || made[doc.Namespace] && apierror.IsNotFound(err) {
			continue
		}
		faults.List = append(faults.List, DocumentError{doc, apierror.From(err)})
	}
	if len(faults.List) > 0 {
		faults.combine(len(docs) > 1)
		return nil, faults
	}
	results := make([]Result, 0, len(docs))
	for _, doc := range docs {
		res, err := a.one(ctx, doc, dryRun)
		if err != nil {
			return results, &DocumentError{doc, apierror.From(err)}
		}
		results = append(results, res)
		if done != nil {
			done(res)
		}
	}
	return results, nil
}

func (a *Applier) one(ctx context.Context, doc Document, dryRun bool) (Result, error) {
	res := Result{Index: doc.Index, APIVersion: doc.APIVersion, Kind: doc.Kind, Namespace: doc.Namespace, Name: doc.Name}
	var err error
	if !doc.ours {
		res.Action, res.ResourceVersion, err = a.Native.Apply(ctx, doc, NativeOptions{FieldManager: a.FieldManager, Force: a.Force, DryRun: dryRun})
		return res, err
	}
	res.Action, res.ResourceVersion, err = a.patch(ctx, doc, dryRun)
	return res, err
}

// patch sends a document as an apply patch, which creates or merges.
func (a *Applier) patch(ctx context.Context, doc Document, dryRun bool) (action, version string, err error) {
	c := client.New(a.Conn, a.Kinds)
	before, err := c.Get(ctx, doc.kind, store.Key{Namespace: doc.Namespace, Name: doc.Name})
	created := apierror.IsNotFound(err)
	if err != nil && !created {
		return "", "", err //nolint:wrapcheck // an error of ours
	}
	req := &metav1.PatchRequest{
		Namespace: doc.Namespace, Name: doc.Name, Patch: doc.JSON, ContentType: wire.ContentTypeApply,
		FieldManager: a.FieldManager, FieldValidation: "Strict", Force: a.Force,
	}
	if dryRun {
		req.DryRun = []string{"All"}
	}
	after, err := c.Patch(ctx, doc.kind, req)
	if err != nil {
		return "", "", err //nolint:wrapcheck // an error of ours
	}
	version = after.GetMetadata().GetResourceVersion()
	switch {
	case created:
		return Created, version, nil
	case proto.Equal(before, after): // versions do not tell: a dry run leaves them as they are
		return Unchanged, version, nil
	}
	return Configured, version, nil
}
