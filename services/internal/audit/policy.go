// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"fairlead.dev/services/internal/wire"
)

const (
	policyKind = "Policy"
	wildcard   = "*"
	// maxPolicyBytes is the size of the largest policy.
	maxPolicyBytes = 1 << 20
)

// Policy says how much of which calls is kept: the first rule that a call fits decides, and nothing is kept of what fits
// none. Its form is that of a Policy of audit.k8s.io/v1.
type Policy struct {
	// OmitStages are stages of which nothing is kept.
	OmitStages []Stage
	// Rules are looked at in their order.
	Rules []Rule
}

// Rule says how much is kept of the calls that fit. What is empty fits all.
type Rule struct {
	Level Level `json:"level"`
	// Users are names of users.
	Users []string `json:"users"`
	// UserGroups are groups of which the caller is in one.
	UserGroups []string `json:"userGroups"`
	// Verbs are such as `create`; of what is no resource, `post`.
	Verbs []string `json:"verbs"`
	// Resources are what is called for. A rule that has them or Namespaces is about nothing else.
	Resources []GroupResources `json:"resources"`
	// Namespaces are those of the object; the empty one is that of what has none.
	Namespaces []string `json:"namespaces"`
	// NonResourceURLs are gRPC methods that are about no resource, as `/SERVICE/METHOD`; a `*` at the end stands for anything.
	NonResourceURLs []string `json:"nonResourceURLs"`
	// OmitStages are further stages of which nothing is kept.
	OmitStages []Stage `json:"omitStages"`
	// OmitManagedFields is for policies written for Kubernetes. No object here has managed fields.
	OmitManagedFields *bool `json:"omitManagedFields"`

	// refusedOnly has the rule fit only calls that were refused. The form of policies cannot say this.
	refusedOnly bool
}

// GroupResources are resources of one API group.
type GroupResources struct {
	Group string `json:"group"`
	// Resources are plurals; `builds/log` is a subresource, `builds/*` all of them, `*` every resource, `*/status` every
	// resource's status. Empty means every resource of the group.
	Resources []string `json:"resources"`
	// ResourceNames are names of objects; empty means all.
	ResourceNames []string `json:"resourceNames"`
}

// Call is what a policy looks at.
type Call struct {
	User   string
	Groups []string
	Verb   string
	// Group, Resource, Subresource, Namespace and Name are what is called for; Resource is empty where that is no resource.
	Group, Resource, Subresource, Namespace, Name string
	// Path is the method.
	Path string
	// Refused tells that the caller was not known, or may not.
	Refused bool
}

// DefaultPolicy keeps who wrote what, who asked for tokens, and whom we refused. Health checks, and what Fairlead's
// services read from each other, are left out.
func DefaultPolicy() *Policy {
	return &Policy{
		OmitStages: []Stage{StageResponseStarted},
		Rules: []Rule{
			{Level: LevelNone, NonResourceURLs: []string{"/grpc.*"}},
			{Level: LevelMetadata, refusedOnly: true},
			{Level: LevelNone, UserGroups: []string{wire.GroupServices}, Verbs: []string{"get", "list", "watch"}},
			{Level: LevelMetadata, Verbs: []string{"create", "update", "patch", "delete", "deletecollection"}},
		},
	}
}

// LoadPolicy reads a policy from a file.
func LoadPolicy(file string) (*Policy, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("audit policy: %w", err)
	}
	p, err := ParsePolicy(data)
	if err != nil {
		return nil, fmt.Errorf("audit policy %s: %w", file, err)
	}
	return p, nil
}

// ParsePolicy reads a policy, in YAML or JSON. The error tells every fault, each with its rule and field.
func ParsePolicy(data []byte) (*Policy, error) {
	if len(data) > maxPolicyBytes {
		return nil, fmt.Errorf("it has %d bytes; at most %d are read", len(data), maxPolicyBytes)
	}
	inJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says the line
	}
	var raw struct {
		APIVersion        string            `json:"apiVersion"`
		Kind              string            `json:"kind"`
		Metadata          json.RawMessage   `json:"metadata"`
		OmitStages        []Stage           `json:"omitStages"`
		OmitManagedFields bool              `json:"omitManagedFields"`
		Rules             []json.RawMessage `json:"rules"`
	}
	faults := decode("", inJSON, &raw)
	if len(faults) == 0 {
		if raw.APIVersion != apiVersion || raw.Kind != policyKind {
			faults = append(faults, fmt.Errorf("apiVersion, kind: %q, %q: must be %q, %q", raw.APIVersion, raw.Kind, apiVersion, policyKind))
		}
		if len(raw.Rules) == 0 {
			faults = append(faults, errors.New("rules: there are none; write at least one, such as {level: Metadata}"))
		}
		faults = append(faults, checkStages("omitStages", raw.OmitStages)...)
	}
	p := &Policy{OmitStages: raw.OmitStages}
	for i, text := range raw.Rules {
		path := fmt.Sprintf("rules[%d]", i)
		var r Rule
		if wrong := decode(path, text, &r); len(wrong) > 0 {
			faults = append(faults, wrong...)
			continue
		}
		faults = append(faults, r.check(path)...)
		p.Rules = append(p.Rules, r)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return p, nil
}

// decode reads JSON into a value, and tells what does not fit with its path.
func decode(path string, data []byte, into any) []error {
	if path != "" {
		path += ": "
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return []error{fmt.Errorf("%smust be a map", path)}
	}
	strict, err := kjson.UnmarshalStrict(data, into)
	if err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			err = fmt.Errorf("%s: must be %s, not %s", wrong.Field, wrong.Type, wrong.Value)
		}
		return []error{fmt.Errorf("%s%w", path, err)}
	}
	faults := make([]error, len(strict))
	for i, e := range strict {
		faults[i] = fmt.Errorf("%s%w", path, e)
	}
	return faults
}

func checkStages(path string, stages []Stage) []error {
	known := []Stage{stageRequestReceived, StageResponseStarted, StageResponseComplete, StagePanic}
	var faults []error
	for i, s := range stages {
		if !slices.Contains(known, s) {
			faults = append(faults, fmt.Errorf("%s[%d]: %q: must be one of %v", path, i, s, known))
		}
	}
	return faults
}

func (r *Rule) check(path string) []error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s.%s: %s", path, field, fmt.Sprintf(format, args...)))
	}
	if !slices.Contains(levels(), r.Level) {
		fault("level", "%q: must be one of %v", r.Level, levels())
	}
	if len(r.NonResourceURLs) > 0 && (len(r.Resources) > 0 || len(r.Namespaces) > 0) {
		fault("nonResourceURLs", "cannot stand beside resources or namespaces; write two rules")
	}
	for i, url := range r.NonResourceURLs {
		if url != wildcard && !strings.HasPrefix(url, "/") || strings.Contains(strings.TrimSuffix(url, wildcard), wildcard) {
			fault(fmt.Sprintf("nonResourceURLs[%d]", i), "%q: must begin with / and have a * at the end only", url)
		}
	}
	for i, g := range r.Resources {
		at := fmt.Sprintf("resources[%d]", i)
		if strings.Contains(g.Group, "/") {
			fault(at+".group", "%q: must be a group without a version, such as build.knative.dev", g.Group)
		}
		if len(g.ResourceNames) > 0 && len(g.Resources) == 0 {
			fault(at+".resources", "must say which resources the resourceNames are of")
		}
		for j, name := range g.Resources {
			if strings.Count(name, "/") > 1 || name == "" {
				fault(fmt.Sprintf("%s.resources[%d]", at, j), "%q: must be RESOURCE or RESOURCE/SUBRESOURCE", name)
			}
		}
	}
	return append(faults, checkStages(path+".omitStages", r.OmitStages)...)
}

// level returns how much of a stage of a call is kept.
func (p *Policy) level(c *Call, stage Stage) Level {
	for i := range p.Rules {
		r := &p.Rules[i]
		if !r.fits(c) {
			continue
		}
		if slices.Contains(p.OmitStages, stage) || slices.Contains(r.OmitStages, stage) {
			return LevelNone
		}
		return r.Level
	}
	return LevelNone
}

func (r *Rule) fits(c *Call) bool {
	switch {
	case r.refusedOnly && !c.Refused,
		len(r.Users) > 0 && !slices.Contains(r.Users, c.User),
		len(r.UserGroups) > 0 && !slices.ContainsFunc(r.UserGroups, func(g string) bool { return slices.Contains(c.Groups, g) }),
		len(r.Verbs) > 0 && !slices.Contains(r.Verbs, c.Verb):
		return false
	case len(r.Resources) > 0 || len(r.Namespaces) > 0:
		return c.Resource != "" &&
			(len(r.Namespaces) == 0 || slices.Contains(r.Namespaces, c.Namespace)) &&
			(len(r.Resources) == 0 || slices.ContainsFunc(r.Resources, func(g GroupResources) bool { return g.fits(c) }))
	case len(r.NonResourceURLs) > 0:
		return c.Resource == "" && slices.ContainsFunc(r.NonResourceURLs, func(url string) bool { return fitsPath(url, c.Path) })
	default:
		return true
	}
}

func fitsPath(url, path string) bool {
	if prefix, ok := strings.CutSuffix(url, wildcard); ok {
		return strings.HasPrefix(path, prefix)
	}
	return url == path
}

func (g GroupResources) fits(c *Call) bool {
	if g.Group != c.Group {
		return false
	}
	if len(g.Resources) == 0 {
		return true
	}
	if len(g.ResourceNames) > 0 && !slices.Contains(g.ResourceNames, c.Name) {
		return false
	}
	return slices.ContainsFunc(g.Resources, func(name string) bool {
		resource, subresource, _ := strings.Cut(name, "/")
		if name == wildcard {
			return true
		}
		return (resource == wildcard || resource == c.Resource) &&
			(subresource == c.Subresource || subresource == wildcard && c.Subresource != "")
	})
}
