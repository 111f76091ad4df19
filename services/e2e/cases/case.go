// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cases replays what clients ask of the API, good and bad, as YAML files tell it: over REST with bodies of JSON and
// of YAML, and over gRPC, each request built from the same document. A file is a subject, a case is a short story in
// a namespace of its own, and its steps say what the answer is: HTTP and gRPC code, reason, causes, facts of the object.
package cases

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"sigs.k8s.io/yaml"

	"fairlead.dev/gen/go/kinds"
)

// Ways in which a case is replayed.
const (
	OverJSON = "json"
	OverYAML = "yaml"
	OverGRPC = "grpc"
	// OverREST stands for the first two in files.
	OverREST = "rest"
)

// objectsFile holds the smallest object of each kind.
const objectsFile = "objects.yaml"

// Suite is everything that the files tell.
type Suite struct {
	Files []File
	// Objects are by kind.
	Objects map[string]Sample
}

// Sample is the smallest object of a kind that is accepted.
type Sample struct {
	// Object is the object, but for apiVersion, kind, name and namespace, which are put in.
	Object json.RawMessage `json:"object"`
	// Change is a merge patch that changes its spec, in which nothing else changes; empty where a kind's spec cannot change.
	Change json.RawMessage `json:"change,omitempty"`
}

// File is one file of cases.
type File struct {
	Name string `json:"-"`
	// Subject says what the cases are about.
	Subject string `json:"subject"`
	Cases   []Case `json:"cases"`
}

// Case is one story. Its steps share variables, and have a namespace and a name of their own.
type Case struct {
	Name string `json:"case"`
	// Reason says why the answer is as it is, where that is not plain.
	Reason string `json:"reason,omitempty"`
	// Bad tells that the case is about input that is refused, or ought to be told of.
	Bad bool `json:"bad,omitempty"`
	// Kinds are those with which the case is replayed, one after another: names, or `all`, `namespaced`, `cluster`, `status`,
	// `changing`. Steps may name a kind of their own.
	Kinds []string `json:"kinds,omitempty"`
	// Over names the only ways in which the case is replayed; all by default.
	Over []string `json:"over,omitempty"`
	// Independent tells that no step needs what another does.
	Independent bool   `json:"independent,omitempty"`
	Steps       []Step `json:"steps"`
}

// Step is one request and its answer.
type Step struct {
	// Do is a verb (create, get, list, update, updateStatus, patch, patchStatus, delete, deleteCollection, watch, history,
	// rollback), or `http` for a request as it is (such cases go over REST only), or `rpc` for a call of a method that is no kind's.
	Do string `json:"do"`
	// Kind is the case's by default; Version is the stored one by default.
	Kind    string `json:"kind,omitempty"`
	Version string `json:"version,omitempty"`
	// As says who asks: `admin` by default, `none` without a token, `garbage` with one that is none; every other word is a user
	// of the case, called `WORD-${name}`.
	As string `json:"as,omitempty"`
	// Over names the only ways in which the step is taken.
	Over []string `json:"over,omitempty"`
	// Namespace and Name are the case's own by default. The namespace of lists and watches is "" for all.
	Namespace *string `json:"namespace,omitempty"`
	Name      *string `json:"name,omitempty"`
	// With is merged into the smallest object of the kind to make the body, Object is the whole body, Text is its text. Change
	// merges the kind's change, too.
	With   json.RawMessage `json:"with,omitempty"`
	Object json.RawMessage `json:"object,omitempty"`
	Text   string          `json:"text,omitempty"`
	Change bool            `json:"change,omitempty"`
	// Type is the content type of the body: `json`, `merge` or `apply` for patches, or a media type.
	Type    string          `json:"type,omitempty"`
	Options json.RawMessage `json:"options,omitempty"`
	// Method, Path and Headers are those of `http`, and of `rpc` over REST; RPC is the method.
	Method  string            `json:"method,omitempty"`
	Path    string            `json:"path,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	RPC     string            `json:"rpc,omitempty"`
	// Eventually asks again until the answer is as expected, for what others must hear of first.
	Eventually bool   `json:"eventually,omitempty"`
	Expect     Expect `json:"expect"`
	// Save keeps parts of the answer as variables, by dotted paths.
	Save map[string]string `json:"save,omitempty"`
}

// Expect is what an answer must be like.
type Expect struct {
	// HTTP and GRPC are the codes. GRPC is a name such as `NotFound`.
	HTTP int    `json:"http,omitempty"`
	GRPC string `json:"grpc,omitempty"`
	// Reason, Message and Causes are those of the Status; parts of the message are enough.
	Reason  string   `json:"reason,omitempty"`
	Message []string `json:"message,omitempty"`
	Causes  []Cause  `json:"causes,omitempty"`
	// Object is what the answer holds at least: see Match. REST and RPC are the same for one way only.
	Object json.RawMessage `json:"object,omitempty"`
	REST   json.RawMessage `json:"rest,omitempty"`
	RPC    json.RawMessage `json:"rpc,omitempty"`
	// Events are those of a watch, in order. Ends tells that the watch ends by itself after them.
	Events []json.RawMessage `json:"events,omitempty"`
	Ends   bool              `json:"ends,omitempty"`
	// Warnings are parts of the warnings, in order; `none` is for none at all.
	Warnings []string `json:"warnings,omitempty"`
	// Headers are parts of headers of an answer over REST, Text parts of its body.
	Headers map[string]string `json:"headers,omitempty"`
	Text    []string          `json:"text,omitempty"`
}

// Cause is a cause of a Status.
type Cause struct {
	Field string `json:"field"`
	// Reason is the cause's type.
	Reason string `json:"reason,omitempty"`
	// Message is a part of it.
	Message string `json:"message,omitempty"`
}

// Load reads the files of a folder, and refuses what they say in vain.
func Load(fsys fs.FS) (*Suite, error) {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("cases: %w", err)
	}
	s := &Suite{}
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("cases: %w", err)
		}
		if path.Base(name) == objectsFile {
			if err := yaml.UnmarshalStrict(data, &s.Objects); err != nil {
				return nil, fmt.Errorf("cases: %s: %w", name, err)
			}
			continue
		}
		f := File{Name: name}
		if err := yaml.UnmarshalStrict(data, &f); err != nil {
			return nil, fmt.Errorf("cases: %s: %w", name, err)
		}
		s.Files = append(s.Files, f)
	}
	for _, f := range s.Files {
		if err := s.check(f); err != nil {
			return nil, fmt.Errorf("cases: %s: %w", f.Name, err)
		}
	}
	return s, nil
}

func (s *Suite) check(f File) error {
	seen := map[string]bool{}
	if f.Subject == "" || len(f.Cases) == 0 {
		return errors.New("a file needs a subject and cases")
	}
	for _, c := range f.Cases {
		if c.Name == "" || seen[c.Name] || len(c.Steps) == 0 {
			return fmt.Errorf("case %q: a case needs a name of its own and steps", c.Name)
		}
		seen[c.Name] = true
		if _, err := s.kindsOf(c); err != nil {
			return fmt.Errorf("case %q: %w", c.Name, err)
		}
		for i, step := range c.Steps {
			if err := s.checkStep(c, step); err != nil {
				return fmt.Errorf("case %q: step %d: %w", c.Name, i+1, err)
			}
		}
	}
	return nil
}

// ways are those in which a step of a case is taken.
func ways(c Case, step Step) []string {
	all := []string{OverJSON, OverYAML, OverGRPC}
	return slices.DeleteFunc(all, func(way string) bool {
		return !over(c.Over, way) || !over(step.Over, way) || way == OverGRPC && c.plain()
	})
}

// plain tells whether a case has requests as they are, which there are over REST only.
func (c Case) plain() bool {
	return slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Do == doHTTP })
}

func over(only []string, way string) bool {
	return len(only) == 0 || slices.Contains(only, way) || way != OverGRPC && slices.Contains(only, OverREST)
}

func (s *Suite) checkStep(c Case, step Step) error {
	for _, way := range slices.Concat(c.Over, step.Over) {
		if !slices.Contains([]string{OverREST, OverJSON, OverYAML, OverGRPC}, way) {
			return fmt.Errorf("there is no way %q", way)
		}
	}
	v, ok := verbs[step.Do]
	if !ok {
		return fmt.Errorf("there is no %q to do", step.Do)
	}
	if step.Kind != "" {
		if _, err := kindNamed(step.Kind, step.Version); err != nil {
			return err
		}
	}
	if !v.raw && step.Kind == "" && len(c.Kinds) == 0 {
		return errors.New("neither the step nor the case names a kind")
	}
	bodies := 0
	for _, there := range []bool{len(step.Object) > 0, step.Text != "", len(step.With) > 0 || step.Change} {
		if there {
			bodies++
		}
	}
	if bodies > 1 {
		return errors.New("a body is one of object, text, and with or change")
	}
	for _, way := range ways(c, step) {
		if way == OverGRPC && step.Expect.GRPC == "" || way != OverGRPC && step.Expect.HTTP == 0 {
			return fmt.Errorf("it does not say which code it expects over %s", way)
		}
	}
	var code codes.Code
	if name := step.Expect.GRPC; name != "" {
		if code, ok = codeNamed(name); !ok {
			return fmt.Errorf("there is no gRPC code %q", name)
		}
	}
	if bad := step.Expect.HTTP >= 400 || code != codes.OK; bad && step.Expect.Reason == "" && len(step.Expect.Text) == 0 {
		return errors.New("an error needs a reason")
	}
	return nil
}

// codeNamed returns the gRPC code of a name.
func codeNamed(name string) (codes.Code, bool) {
	for c := codes.OK; c <= codes.Unauthenticated; c++ {
		if c.String() == name {
			return c, true
		}
	}
	return 0, false
}

// kindNamed returns the kind of a name, in the version that is stored if none is named. Where groups share a name, it may be
// followed by a dot and the group.
func kindNamed(name, version string) (kinds.Kind, error) {
	kind, group, _ := strings.Cut(name, ".")
	for _, k := range kinds.Versions() {
		if k.Kind == kind && (group == "" || k.Group == group) && (version == "" && k.StoredVersion == "" || k.Version == version) {
			return k, nil
		}
	}
	return kinds.Kind{}, fmt.Errorf("there is no kind %q of version %q", name, version)
}

// kindsOf returns the kinds with which a case is replayed; the kind of no name where it names none.
func (s *Suite) kindsOf(c Case) ([]kinds.Kind, error) {
	if len(c.Kinds) == 0 {
		return []kinds.Kind{{}}, nil
	}
	var out []kinds.Kind
	for _, name := range c.Kinds {
		one, isSet := sets()[name]
		if !isSet {
			k, err := kindNamed(name, "")
			if err != nil {
				return nil, err
			}
			out = append(out, k)
			continue
		}
		for _, k := range kinds.All() {
			if sample, ok := s.Objects[k.Kind]; ok && one(k, sample) {
				out = append(out, k)
			}
		}
	}
	return out, nil
}

func sets() map[string]func(kinds.Kind, Sample) bool {
	return map[string]func(kinds.Kind, Sample) bool{
		"all":        func(kinds.Kind, Sample) bool { return true },
		"namespaced": func(k kinds.Kind, _ Sample) bool { return k.Namespaced },
		"cluster":    func(k kinds.Kind, _ Sample) bool { return !k.Namespaced },
		"status":     func(k kinds.Kind, _ Sample) bool { return k.HasStatus },
		"changing":   func(_ kinds.Kind, s Sample) bool { return len(s.Change) > 0 },
	}
}
