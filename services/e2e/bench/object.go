// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
)

// What is written is a Role: it has a schema with lists and strings, is validated and authorised like any kind, and no
// controller writes to it or does anything with it, so that a create is one write. The kind that kube-apiserver serves has
// the same schema, by a CustomResourceDefinition.
const (
	group    = "auth.fairlead.dev"
	version  = "v1"
	plural   = "roles"
	kind     = "Role"
	sentKey  = "bench.fairlead.dev/sent"
	notesKey = "bench.fairlead.dev/notes"
	// sentMark stands before the time in a value, so that it is found in answers without decoding them.
	sentMark = "sent-at-"
	// sentDigits is how many digits the time has, in nanoseconds.
	sentDigits = 19
	// rules and notesBytes make an object of about 1.6 kB of JSON.
	rules      = 6
	notesBytes = 450
)

var (
	verbs     = []string{"get", "list", "watch"}           //nolint:gochecknoglobals // constant
	resources = []string{"builds", "builds/status", "log"} //nolint:gochecknoglobals // constant
)

// role is an object to write. sent is when.
func role(namespace, name string, sent int64) *authv1.Role {
	r := &authv1.Role{Metadata: &metav1.ObjectMeta{
		Namespace: namespace, Name: name, Labels: map[string]string{"app.kubernetes.io/name": "bench", "tier": "base"},
		Annotations: map[string]string{sentKey: stamp(sent), notesKey: strings.Repeat("measure ", notesBytes/8)},
	}}
	for i := range rules {
		r.Rules = append(r.Rules, &authv1.PolicyRule{
			Verbs: verbs, ApiGroups: []string{fmt.Sprintf("group-%d.fairlead.dev", i)}, Resources: resources,
		})
	}
	return r
}

// roleJSON is the same object as role makes, in JSON. Nothing in it needs an escape.
func roleJSON(namespace, name string, sent int64) []byte {
	b := make([]byte, 0, 2048)
	b = append(b, `{"apiVersion":"`+group+`/`+version+`","kind":"`+kind+`","metadata":{"namespace":"`...)
	b = append(b, namespace...)
	b = append(b, `","name":"`...)
	b = append(b, name...)
	b = append(b, `","labels":{"app.kubernetes.io/name":"bench","tier":"base"},"annotations":{"`+sentKey+`":"`...)
	b = append(b, stamp(sent)...)
	b = append(b, `","`+notesKey+`":"`...)
	b = append(b, strings.Repeat("measure ", notesBytes/8)...)
	b = append(b, `"}},"rules":[`...)
	for i := range rules {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"verbs":["get","list","watch"],"apiGroups":["group-`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `.fairlead.dev"],"resources":["builds","builds/status","log"]}`...)
	}
	return append(b, `]}`...)
}

func stamp(sent int64) string { return fmt.Sprintf("%s%0*d", sentMark, sentDigits, sent) }

// sentIn finds the times in an answer that holds any number of objects.
func sentIn(data []byte, each func(sent int64)) {
	for {
		_, after, found := bytes.Cut(data, []byte(sentMark))
		if !found || len(after) < sentDigits {
			return
		}
		if n, err := strconv.ParseInt(string(after[:sentDigits]), 10, 64); err == nil {
			each(n)
		}
		data = after
	}
}

// definition is the CustomResourceDefinition of the kind.
func definition() *unstructured.Unstructured {
	texts := map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + "." + group, "annotations": map[string]any{
			"api-approved.kubernetes.io": "unapproved, for a benchmark",
		}},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced",
			"names": map[string]any{"plural": plural, "singular": "role", "kind": kind, "listKind": kind + "List"},
			"versions": []any{map[string]any{
				"name": version, "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{
					"rules": map[string]any{"type": "array", "items": map[string]any{
						"type": "object", "required": []any{"verbs"},
						"properties": map[string]any{
							"verbs":     map[string]any{"type": "array", "minItems": int64(1), "items": map[string]any{"type": "string"}},
							"apiGroups": texts, "resources": texts, "resourceNames": texts, "nonResourceURLs": texts,
						},
					}},
				}}},
			}},
		},
	}}
}
