// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"fmt"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/revision"
)

// lookup finds what a route names.
type lookup interface {
	configuration(key store.Key) (*servingv1.Configuration, bool)
	revision(key store.Key) (*servingv1.Revision, bool)
}

// problem is why a share cannot go where it should.
type problem struct{ status, reason, message string }

// resolve returns the shares with the revisions that they mean now, or the first problem. Errors that stay come before those
// that pass.
func resolve(r *servingv1.Route, find lookup) ([]*servingv1.TrafficTarget, *problem) {
	var out []*servingv1.TrafficTarget
	var passing *problem
	for _, t := range r.GetSpec().GetTraffic() {
		name, latest, p := revisionOf(r.GetMetadata().GetNamespace(), t, find)
		switch {
		case p != nil && p.status == condition.False:
			return nil, p
		case p != nil && passing == nil:
			passing = p
		}
		target := &servingv1.TrafficTarget{Tag: t.GetTag(), RevisionName: name, LatestRevision: new(latest)}
		if t.Percent != nil {
			target.Percent = new(t.GetPercent())
		}
		out = append(out, target)
	}
	if passing != nil {
		return nil, passing
	}
	return out, nil
}

// revisionOf returns the revision that a share means now.
func revisionOf(namespace string, t *servingv1.TrafficTarget, find lookup) (name string, latest bool, p *problem) {
	if t.GetConfigurationName() != "" {
		name, p = latestOf(store.Key{Namespace: namespace, Name: t.GetConfigurationName()}, find)
		return name, true, p
	}
	name = t.GetRevisionName()
	rev, ok := find.revision(store.Key{Namespace: namespace, Name: name})
	switch {
	case !ok:
		return name, false, &problem{condition.False, ReasonRevisionMissing, fmt.Sprintf("revision %q does not exist; name another in spec.traffic", name)}
	case revision.Proven(rev):
		return name, false, nil
	}
	ready := condition.Get(rev.GetStatus().GetConditions(), condition.Ready)
	if ready.GetStatus() == condition.False {
		return name, false, &problem{condition.False, ReasonRevisionFailed, fmt.Sprintf("revision %q failed: %s: %s", name, ready.GetReason(), ready.GetMessage())}
	}
	return name, false, &problem{condition.Unknown, ReasonRevisionUnready, fmt.Sprintf("revision %q is not ready yet", name)}
}

func latestOf(key store.Key, find lookup) (string, *problem) {
	config, ok := find.configuration(key)
	if !ok {
		return "", &problem{condition.False, ReasonConfigurationMissing, fmt.Sprintf("configuration %q does not exist; name another in spec.traffic", key.Name)}
	}
	if name := config.GetStatus().GetLatestReadyRevisionName(); name != "" {
		return name, nil
	}
	ready := condition.Get(config.GetStatus().GetConditions(), condition.Ready)
	if ready.GetStatus() == condition.False {
		return "", &problem{condition.False, ReasonRevisionMissing, fmt.Sprintf("configuration %q has no ready revision: %s", key.Name, ready.GetMessage())}
	}
	return "", &problem{condition.Unknown, ReasonRevisionMissing, fmt.Sprintf("configuration %q has no ready revision yet", key.Name)}
}
