// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/util/validation"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/build/pod"
	"fairlead.dev/services/build/step/contract"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/nodepower"
	"fairlead.dev/services/internal/podresources"
	"fairlead.dev/services/internal/store"
)

// hooks are what the service knows of Builds beyond their proto.
type hooks struct {
	cfg    Config
	kind   kinds.Kind
	access nodepower.Access
}

func (h hooks) setDefaults(_ context.Context, obj, _ store.Object) {
	b, ok := obj.(*buildv1.Build)
	if !ok || b.GetSpec() == nil {
		return
	}
	if b.GetSpec().GetTimeout() == "" {
		b.Spec.Timeout = h.cfg.Timeout.String()
	}
	for i, s := range b.GetSpec().GetSteps() {
		if s.GetName() == "" {
			s.Name = defaultStepName(i)
		}
	}
}

func defaultStepName(i int) string { return fmt.Sprintf("step-%d", i+1) }

func (h hooks) validate(_ context.Context, obj, old store.Object) []apierror.Cause {
	b, ok := obj.(*buildv1.Build)
	if !ok {
		return nil
	}
	if was, ok := old.(*buildv1.Build); ok && was != nil {
		if causes := unchanged(b.GetSpec(), was.GetSpec()); len(causes) > 0 {
			return causes
		}
	}
	spec := b.GetSpec()
	causes := validateSource(spec.GetSource())
	causes = append(causes, validateTimeout(spec.GetTimeout())...)
	causes = append(causes, validateVolumes(spec.GetVolumes())...)
	causes = append(causes, validateSteps(spec)...)
	if !h.cfg.AllowNodePower {
		causes = append(causes, power(spec)...)
	}
	return causes
}

// power returns a cause for each field that gives power over a node.
func power(spec *buildv1.BuildSpec) []apierror.Cause {
	return append(nodepower.Volumes("spec.volumes", spec.GetVolumes()), nodepower.Containers("spec.steps", spec.GetSteps())...)
}

// authorize asks for the right to create pods where a new build has power over a node. Later only status changes.
func (h hooks) authorize(ctx context.Context, obj, old store.Object) error {
	b, ok := obj.(*buildv1.Build)
	if !ok || old != nil {
		return nil
	}
	r := apierror.Resource{Group: h.kind.Group, Plural: h.kind.Plural, Kind: h.kind.Kind}
	return nodepower.Authorize(ctx, h.access, r, b.GetMetadata().GetNamespace(), b.GetMetadata().GetName(), power(b.GetSpec()))
}

// unchanged tells whether more than status differs, which may be set once.
func unchanged(spec, was *buildv1.BuildSpec) []apierror.Cause {
	a, b := proto.CloneOf(spec), proto.CloneOf(was)
	if a == nil || b == nil {
		return nil
	}
	var causes []apierror.Cause
	if b.GetStatus() != "" && a.GetStatus() != b.GetStatus() {
		causes = append(causes, apierror.ForbiddenField("spec.status", "a cancelled build cannot go on; make another"))
	}
	a.Status, b.Status = "", ""
	if !proto.Equal(a, b) {
		causes = append(causes, apierror.ForbiddenField("spec", "cannot change, but for status; make another build"))
	}
	return causes
}

func validateTimeout(timeout string) []apierror.Cause {
	if timeout == "" {
		return nil
	}
	const field = "spec.timeout"
	d, err := time.ParseDuration(timeout)
	switch {
	case err != nil:
		return []apierror.Cause{apierror.Invalid(field, fmt.Sprintf("%q is not a duration such as 10m0s", timeout))}
	case d <= 0:
		return []apierror.Cause{apierror.Invalid(field, "must be above 0")}
	case d > MaxTimeout:
		return []apierror.Cause{apierror.Invalid(field, fmt.Sprintf("must be at most %s", MaxTimeout))}
	}
	return nil
}

func validateSource(source *buildv1.SourceSpec) []apierror.Cause {
	if source == nil {
		return nil
	}
	var causes []apierror.Cause
	if source.GetGit() == nil {
		causes = append(causes, apierror.Required("spec.source.git", "a source needs a git repository"))
	} else {
		causes = append(causes, validateGit(source.GetGit())...)
	}
	if sub := source.GetSubPath(); sub != "" {
		clean := path.Clean(sub)
		if path.IsAbs(sub) || clean == ".." || strings.HasPrefix(clean, "../") || strings.Contains("/"+sub+"/", "/../") {
			causes = append(causes, apierror.Invalid("spec.source.subPath", fmt.Sprintf("%q leads out of the source; it must be a folder in it, such as cmd/app", sub)))
		}
	}
	return causes
}

func validateGit(git *buildv1.GitSource) []apierror.Cause {
	var causes []apierror.Cause
	if u := git.GetUrl(); u == "" {
		causes = append(causes, apierror.Required("spec.source.git.url", "the repository is needed"))
	} else if text := faultOfURL(u); text != "" {
		causes = append(causes, apierror.Invalid("spec.source.git.url", text))
	}
	switch r := git.GetRevision(); {
	case r == "":
		causes = append(causes, apierror.Required("spec.source.git.revision", "a branch, tag, reference or commit is needed"))
	case strings.HasPrefix(r, "-"), strings.ContainsFunc(r, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune("~^:?*[\\", c) }):
		causes = append(causes, apierror.Invalid("spec.source.git.revision", fmt.Sprintf("%q is no name of a branch, tag, reference or commit", r)))
	}
	return causes
}

func faultOfURL(repository string) string {
	if !strings.Contains(repository, "://") {
		user, rest, at := strings.Cut(repository, "@")
		host, file, colon := strings.Cut(rest, ":")
		if at && colon && user != "" && host != "" && file != "" && !strings.ContainsAny(repository, " \t\n") {
			return ""
		}
		return fmt.Sprintf("%q is no repository; write https://HOST/PATH, or git@HOST:PATH", repository)
	}
	u, err := url.Parse(repository)
	if err != nil || u.Host == "" {
		return fmt.Sprintf("%q is not a URL", repository)
	}
	if _, has := u.User.Password(); has {
		return "must hold no password; put it into a Secret of the service account, annotated build.knative.dev/git-0"
	}
	switch u.Scheme {
	case "http", "https", "ssh", "git":
		return ""
	}
	return fmt.Sprintf("scheme %q is not one of http, https, ssh, git", u.Scheme)
}

func validateVolumes(volumes []*corepb.Volume) []apierror.Cause {
	var causes []apierror.Cause
	seen := map[string]bool{}
	for i, v := range volumes {
		field := fmt.Sprintf("spec.volumes[%d].name", i)
		causes = append(causes, validateName(field, v.GetName(), validation.DNS1123LabelMaxLength, seen)...)
		if strings.HasPrefix(v.GetName(), pod.ReservedVolumes) {
			causes = append(causes, apierror.Invalid(field, fmt.Sprintf("names that begin with %q are taken", pod.ReservedVolumes)))
		}
	}
	return causes
}

func validateName(field, name string, longest int, seen map[string]bool) []apierror.Cause {
	if name == "" {
		return []apierror.Cause{apierror.Required(field, "a name is needed")}
	}
	var causes []apierror.Cause
	for _, text := range validation.IsDNS1123Label(name) {
		causes = append(causes, apierror.Invalid(field, text))
	}
	if len(causes) == 0 && len(name) > longest {
		causes = append(causes, apierror.Cause{Field: field, Reason: apierror.CauseTooLong, Message: fmt.Sprintf("must be no more than %d characters", longest)})
	}
	if seen[name] {
		causes = append(causes, apierror.Cause{Field: field, Reason: apierror.CauseValueDuplicate, Message: fmt.Sprintf("%q is there twice", name)})
	}
	seen[name] = true
	return causes
}

func validateSteps(spec *buildv1.BuildSpec) []apierror.Cause {
	if spec.GetTemplate() != nil {
		if len(spec.GetSteps()) > 0 {
			return []apierror.Cause{apierror.Invalid("spec", "expected exactly one, got both: steps, template")}
		}
		return nil
	}
	if len(spec.GetSteps()) == 0 {
		return []apierror.Cause{apierror.Required("spec.steps", "at least one step is needed")}
	}
	volumes := map[string]bool{}
	for _, v := range spec.GetVolumes() {
		volumes[v.GetName()] = true
	}
	var causes []apierror.Cause
	seen := map[string]bool{}
	for i, s := range spec.GetSteps() {
		field := fmt.Sprintf("spec.steps[%d]", i)
		causes = append(causes, validateName(field+".name", s.GetName(), pod.MaxStepName, seen)...)
		if s.GetName() == pod.SourceStep {
			causes = append(causes, apierror.Invalid(field+".name", fmt.Sprintf("%q is the name of the step that fetches the source", pod.SourceStep)))
		}
		if strings.TrimSpace(s.GetImage()) == "" {
			causes = append(causes, apierror.Required(field+".image", "an image is needed"))
		}
		causes = append(causes, validateMounts(field, s, volumes)...)
		causes = append(causes, podresources.Faults(field+".resources", s.GetResources())...)
		causes = append(causes, useless(field, s)...)
	}
	return causes
}

func validateMounts(field string, s *corepb.Container, volumes map[string]bool) []apierror.Cause {
	var causes []apierror.Cause
	for i, m := range s.GetVolumeMounts() {
		at := fmt.Sprintf("%s.volumeMounts[%d]", field, i)
		if !volumes[m.GetName()] {
			causes = append(causes, apierror.Invalid(at+".name", fmt.Sprintf("there is no %q in spec.volumes", m.GetName())))
		}
		switch p := path.Clean(m.GetMountPath()); {
		case m.GetMountPath() == "":
			causes = append(causes, apierror.Required(at+".mountPath", "a path is needed"))
		case p == contract.Workspace, p == contract.Home, p == "/fairlead", strings.HasPrefix(p, "/fairlead/"):
			causes = append(causes, apierror.Invalid(at+".mountPath", p+" is shared by all steps of a build; mount elsewhere"))
		}
	}
	return causes
}

// useless are fields that mean nothing for a container that runs once and in its turn.
func useless(field string, s *corepb.Container) []apierror.Cause {
	var causes []apierror.Cause
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"livenessProbe", s.GetLivenessProbe() != nil},
		{"readinessProbe", s.GetReadinessProbe() != nil},
		{"startupProbe", s.GetStartupProbe() != nil},
		{"lifecycle", s.GetLifecycle() != nil},
		{"restartPolicy", s.GetRestartPolicy() != ""},
		{"stdin", s.GetStdin()},
		{"tty", s.GetTty()},
	} {
		if f.set {
			causes = append(causes, apierror.ForbiddenField(field+"."+f.name, "steps run once and to their end; leave it out"))
		}
	}
	return causes
}
