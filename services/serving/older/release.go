// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package older

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	servingv1alpha1 "fairlead.dev/gen/go/fairlead/serving/v1alpha1"
	"fairlead.dev/services/internal/apierror"
)

// latest stands for the newest ready revision among the revisions of a release.
const latest = "@latest"

// The tags of a release's shares.
const (
	tagCurrent   = "current"
	tagCandidate = "candidate"
	tagLatest    = "latest"
)

const wholePercent = 100

// share is a share of the requests for a revision, in full: what its defaults would be, too.
func share(tag, revision string, percent int64) *servingv1.TrafficTarget {
	t := &servingv1.TrafficTarget{Tag: tag, RevisionName: revision, LatestRevision: new(false), Percent: new(percent)}
	if revision == latest {
		t.RevisionName, t.LatestRevision = "", new(true)
	}
	return t
}

// is tells whether shares are just these.
func is(traffic []*servingv1.TrafficTarget, want ...*servingv1.TrafficTarget) bool {
	return slices.EqualFunc(traffic, want, func(a, b *servingv1.TrafficTarget) bool { return proto.Equal(a, b) })
}

// releaseUp returns the shares of a release: its revisions, and the newest one without a share but with a name.
func releaseUp(r *servingv1alpha1.ReleaseType) []*servingv1.TrafficTarget {
	var out []*servingv1.TrafficTarget
	rollout := r.GetRolloutPercent()
	switch revisions := r.GetRevisions(); len(revisions) {
	case 0:
	case 1:
		out = append(out, share(tagCurrent, revisions[0], wholePercent))
	default:
		out = append(out, share(tagCurrent, revisions[0], wholePercent-rollout), share(tagCandidate, revisions[1], rollout))
	}
	return append(out, share(tagLatest, latest, 0))
}

// releaseDown returns the release that has such shares, without its configuration; nil where none has.
func releaseDown(traffic []*servingv1.TrafficTarget) *servingv1alpha1.ReleaseType {
	const longest = 3 // current, candidate and latest
	if len(traffic) < longest-1 || len(traffic) > longest {
		return nil
	}
	r := &servingv1alpha1.ReleaseType{}
	for _, t := range traffic[:len(traffic)-1] {
		name := t.GetRevisionName()
		if t.GetLatestRevision() {
			name = latest
		}
		r.Revisions = append(r.Revisions, name)
	}
	if len(traffic) == longest {
		r.RolloutPercent = traffic[1].GetPercent()
	}
	if !is(traffic, releaseUp(r)...) {
		return nil
	}
	return r
}

func checkRelease(r *servingv1alpha1.ReleaseType) []apierror.Cause {
	if len(r.GetRevisions()) == 1 && r.GetRolloutPercent() != 0 {
		return []apierror.Cause{apierror.Invalid("spec.release.rolloutPercent", "there is no candidate to roll out to; name it as the second of revisions, or leave the percentage out")}
	}
	return nil
}

// releaseField returns where a release says what a stored service has at a field of its traffic.
func releaseField(stored string) string {
	const path = "spec.release.revisions"
	for i, at := range []string{"spec.traffic[0]", "spec.traffic[1]"} {
		if strings.HasPrefix(stored, at) {
			return []string{path + "[0]", path + "[1]"}[i]
		}
	}
	return path
}
