// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package older

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/serving/names"
)

// The ways in which a v1alpha1 object says what v1 says in one way only, as they are noted on stored objects. An object is
// served in such a way where it still can be: others may have changed it over v1.
const (
	wordRunLatest = "runLatest"
	wordPinned    = "pinned"
	wordRelease   = "release"
	wordManual    = "manual"
	// wordRevisionTemplate: the template is called revisionTemplate.
	wordRevisionTemplate = "revisionTemplate"
	// wordContainer: there is a container, instead of containers.
	wordContainer = "container"
	// wordSingle: the concurrency model is Single.
	wordSingle = "Single"
	// wordName and a tag: the tag is called name. wordBoth and a tag: it stands there as both.
	wordName = "name:"
	wordBoth = "name+tag:"
)

// words are the ways in which one object says things.
type words map[string]struct{}

func wordsOf(m *metav1.ObjectMeta) words {
	w := words{}
	for word := range strings.SplitSeq(m.GetAnnotations()[names.AnnotationForm], ",") {
		w.add(word)
	}
	return w
}

func (w words) add(word string) { w[word] = struct{}{} }

func (w words) has(word string) bool {
	_, ok := w[word]
	return ok
}

// metadata holds what is noted on the stored object.
func (w words) metadata(build *metav1.RawJSON) *metav1.ObjectMeta {
	annotations := map[string]string{}
	if len(w) > 0 {
		annotations[names.AnnotationForm] = strings.Join(slices.Sorted(maps.Keys(w)), ",")
	}
	var value any
	d := json.NewDecoder(bytes.NewReader(build.GetRaw()))
	d.UseNumber()
	if err := d.Decode(&value); err == nil && value != nil {
		text, _ := json.Marshal(value) //nolint:errchkjson // came from JSON; its keys are sorted, so that the same build is the same annotation
		annotations[names.AnnotationBuild] = string(text)
	}
	return &metav1.ObjectMeta{Annotations: annotations}
}

// HandDown gives what is made for an object the annotations by which v1alpha1 serves it in the object's words. Others than
// those of templates and revisions say nothing about it.
func HandDown(to map[string]string, from *metav1.ObjectMeta) {
	w := wordsOf(from)
	maps.DeleteFunc(w, func(word string, _ struct{}) bool {
		return word != wordRevisionTemplate && word != wordContainer && word != wordSingle
	})
	maps.Copy(to, w.metadata(nil).GetAnnotations())
}

// Manual tells whether the user keeps the Configuration and the Route of a Service: it is one of v1alpha1 that says so, and
// nobody has given it a template since.
func Manual(s *servingv1.Service) bool {
	return s.GetSpec().GetTemplate() == nil && wordsOf(s.GetMetadata()).has(wordManual)
}
