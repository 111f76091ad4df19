// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"fairlead.dev/gen/go/kinds"
)

// Exchange is a request over HTTP, and what came of it.
type Exchange struct {
	// Step counts from 1. Do is its verb.
	Step int
	Do   string
	// Request is the method and the path.
	Request string
	// Code, Header and Text are those of the answer, Code 0 where the server broke off; Status is that of an error, Object what the answer holds.
	Code     int
	Header   http.Header
	Text     string
	Status   *kmetav1.Status
	Object   any
	Events   []any
	Ended    bool
	Warnings []string
}

// Story is a case, of one kind.
type Story struct {
	// File, Case and Kind tell it from all others. Kind is empty where the case has none.
	File, Case, Kind string
	// Independent tells that no step needs what another does.
	Independent bool

	number int
	of     Case
	kind   kinds.Kind
}

// LoadRequests reads files of cases that say what is asked, and nothing of the answers.
func LoadRequests(fsys fs.FS, s *Suite) error {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return fmt.Errorf("cases: %w", err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return fmt.Errorf("cases: %w", err)
		}
		f := File{Name: name}
		if err := yaml.UnmarshalStrict(data, &f); err != nil {
			return fmt.Errorf("cases: %s: %w", name, err)
		}
		for _, c := range f.Cases {
			if _, err := s.kindsOf(c); err != nil {
				return fmt.Errorf("cases: %s: case %q: %w", name, c.Name, err)
			}
			for i, step := range c.Steps {
				if _, ok := verbs[step.Do]; !ok {
					return fmt.Errorf("cases: %s: case %q: step %d: there is no %q to do", name, c.Name, i+1, step.Do)
				}
			}
		}
		s.Files = append(s.Files, f)
	}
	return nil
}

// Stories returns those that can be told over HTTP to any server of the same kinds: no step is taken by somebody else than
// the administrator, is in an older version, waits for something, or is a call of ours alone.
func (s *Suite) Stories() []Story {
	var out []Story
	for _, f := range s.Files {
		for _, c := range f.Cases {
			if slices.ContainsFunc(c.Steps, Step.ours) || len(c.ways()) == 0 {
				continue
			}
			ks, _ := s.kindsOf(c) // checked when it was loaded
			for _, k := range ks {
				out = append(out, Story{
					File: strings.TrimSuffix(f.Name, ".yaml"), Case: c.Name, Kind: k.Kind, Independent: c.Independent, number: len(out) + 1, of: c, kind: k,
				})
			}
		}
	}
	return out
}

// ways are those over HTTP.
func (c Case) ways() []string {
	return slices.DeleteFunc([]string{OverJSON, OverYAML}, func(way string) bool { return !over(c.Over, way) })
}

func (step Step) ours() bool {
	return step.As != "" || step.Version != "" || step.Eventually || slices.Contains([]string{doRPC, "history", "rollback"}, step.Do)
}

// Record takes the steps of a story on the server at url over a transport, as whoever it makes of the requests, and returns
// what came of each. It ends early where an answer lacks what a later step needs.
func (s *Suite) Record(ctx context.Context, story Story, url string, transport http.RoundTripper) ([]Exchange, error) {
	k := story.kind
	vars := variables{"name": fmt.Sprintf("c%d", story.number), "namespace": fmt.Sprintf("n%d", story.number)}
	maps.Copy(vars, about(k, vars["namespace"]))
	way := story.of.ways()[0]
	r, t := &Runner{suite: s}, rest{url: url, yaml: way == OverYAML, transport: transport}
	var out []Exchange
	for i, step := range story.of.Steps {
		if !slices.Contains(ways(story.of, step), way) {
			continue
		}
		e, err := r.record(ctx, t, step, k, vars)
		if err != nil {
			return out, fmt.Errorf("step %d (%s): %w", i+1, step.Do, err)
		}
		e.Step = i + 1
		out = append(out, e)
		if save(step, answer{object: e.Object}, vars) != nil {
			return out, nil //nolint:nilerr // what was recorded tells
		}
	}
	return out, nil
}

func (r *Runner) record(ctx context.Context, t rest, step Step, k kinds.Kind, vars variables) (Exchange, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if step.Kind != "" {
		k, _ = kindNamed(step.Kind, "")
	}
	c, err := r.call(ctx, step, k, vars)
	if err != nil {
		return Exchange{}, err
	}
	if c.verb.stream {
		// All that there is within a second is compared.
		c.step.Expect.Ends = true
		if _, there := c.options["timeoutSeconds"]; !there {
			c.options["timeoutSeconds"] = 1
		}
	}
	req, err := t.request(ctx, c)
	if err != nil {
		return Exchange{}, err
	}
	a, err := t.exchange(req, c)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Exchange{}, err
	case a.http == 0: // the server broke off
		return Exchange{Do: step.Do, Request: req.Method + " " + req.URL.RequestURI()}, nil
	default: // what is no Status is compared as it is
		a.status = nil
	}
	return Exchange{
		Do: step.Do, Request: req.Method + " " + req.URL.RequestURI(), Code: a.http, Header: a.header, Text: a.text,
		Status: a.status, Object: a.object, Events: a.events, Ended: a.ended, Warnings: a.warnings,
	}, nil
}
