// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package older

import (
	"encoding/json"
	"strings"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	servingv1alpha1 "fairlead.dev/gen/go/fairlead/serving/v1alpha1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/serving/names"
)

// storedTemplate is where stored objects have their template.
const storedTemplate = "spec.template"

func configurationHooks() resource.Hooks {
	return form[*servingv1alpha1.Configuration, *servingv1.Configuration]{
		up: func(o *servingv1alpha1.Configuration) *servingv1.Configuration {
			out := &servingv1.Configuration{Status: o.GetStatus()}
			w := words{}
			if o.GetSpec() != nil {
				out.Spec = &servingv1.ConfigurationSpec{Template: templateUp(o.GetSpec(), w)}
			}
			out.Metadata = w.metadata(o.GetSpec().GetBuild())
			return out
		},
		down: func(s *servingv1.Configuration) *servingv1alpha1.Configuration {
			out := &servingv1alpha1.Configuration{Status: s.GetStatus()}
			if s.GetSpec() != nil {
				out.Spec = configurationDown(s.GetSpec().GetTemplate(), s.GetMetadata())
			}
			return out
		},
		specs: func(o *servingv1alpha1.Configuration) []*servingv1.RevisionSpec { return revisionsOf(o.GetSpec()) },
		check: func(o *servingv1alpha1.Configuration) []apierror.Cause {
			return checkConfiguration("spec", o.GetSpec())
		},
		warnings: func(o *servingv1alpha1.Configuration) []string { return configurationWarnings("spec", o.GetSpec()) },
		field: func(o *servingv1alpha1.Configuration, stored string) string {
			return templateField(stored, "spec", o.GetSpec())
		},
	}.hooks()
}

// revisionsOf returns the specs of the templates of a configuration.
func revisionsOf(o *servingv1alpha1.ConfigurationSpec) []*servingv1.RevisionSpec {
	return []*servingv1.RevisionSpec{o.GetTemplate().GetSpec().GetRevisionSpec(), o.GetRevisionTemplate().GetSpec().GetRevisionSpec()}
}

// templateUp returns the stored form of a configuration's template.
func templateUp(o *servingv1alpha1.ConfigurationSpec, w words) *servingv1.RevisionTemplateSpec {
	template := o.GetTemplate()
	if o.GetRevisionTemplate() != nil {
		w.add(wordRevisionTemplate)
		template = o.GetRevisionTemplate()
	}
	if template == nil {
		return nil
	}
	return &servingv1.RevisionTemplateSpec{Metadata: template.GetMetadata(), Spec: revisionUp(template.GetSpec(), w)}
}

// configurationDown returns the older form of a template, beside the build of the object that has it.
func configurationDown(s *servingv1.RevisionTemplateSpec, m *metav1.ObjectMeta) *servingv1alpha1.ConfigurationSpec {
	out := &servingv1alpha1.ConfigurationSpec{}
	if build := m.GetAnnotations()[names.AnnotationBuild]; build != "" && json.Valid([]byte(build)) {
		out.Build = &metav1.RawJSON{Raw: []byte(build)}
	}
	if s == nil {
		return out
	}
	w := wordsOf(m)
	template := &servingv1alpha1.RevisionTemplateSpec{Metadata: s.GetMetadata(), Spec: revisionDown(s.GetSpec(), w)}
	if w.has(wordRevisionTemplate) {
		out.RevisionTemplate = template
	} else {
		out.Template = template
	}
	return out
}

// templatePath is where a configuration at path has its template.
func templatePath(path string, o *servingv1alpha1.ConfigurationSpec) (string, *servingv1alpha1.RevisionTemplateSpec) {
	if o.GetRevisionTemplate() != nil {
		return path + ".revisionTemplate", o.GetRevisionTemplate()
	}
	return path + ".template", o.GetTemplate()
}

func checkConfiguration(path string, o *servingv1alpha1.ConfigurationSpec) []apierror.Cause {
	var causes []apierror.Cause
	switch {
	case o == nil:
		return nil // told already
	case o.GetTemplate() == nil && o.GetRevisionTemplate() == nil:
		causes = append(causes, apierror.Required(path, "expected exactly one, got neither: revisionTemplate, template"))
	case o.GetTemplate() != nil && o.GetRevisionTemplate() != nil:
		causes = append(causes, apierror.Invalid(path, "expected exactly one, got both: revisionTemplate, template"))
	}
	at, template := templatePath(path, o)
	return append(causes, checkRevision(at+".spec", template.GetSpec())...)
}

func configurationWarnings(path string, o *servingv1alpha1.ConfigurationSpec) []string {
	var out []string
	if o.GetBuild() != nil {
		out = append(out, path+".build is kept, but not acted on: no image is built, and revisions run the image that the registry has")
	}
	at, template := templatePath(path, o)
	return append(out, revisionWarnings(at+".spec", template.GetSpec())...)
}

// templateField returns where a configuration at path says what a stored object has at a field.
func templateField(stored, path string, o *servingv1alpha1.ConfigurationSpec) string {
	rest, ok := strings.CutPrefix(stored, storedTemplate)
	if !ok {
		return stored
	}
	at, template := templatePath(path, o)
	if strings.HasPrefix(rest, ".spec") {
		return revisionField(rest, ".spec", at+".spec", template.GetSpec())
	}
	return at + rest
}
