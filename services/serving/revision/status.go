// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"google.golang.org/protobuf/proto"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/serving/autoscaler"
	"fairlead.dev/services/serving/names"
	"fairlead.dev/services/serving/workload"
)

// severityInfo marks a False condition that is no error.
const severityInfo = "Info"

// Proven tells whether a pod of the revision has ever been ready. The images as they run are noted at that moment.
func Proven(rev *servingv1.Revision) bool { return len(rev.GetStatus().GetContainerStatuses()) > 0 }

// Failed tells whether the revision has been given up: none of its pods became ready in time.
func Failed(rev *servingv1.Revision) bool {
	c := condition.Get(rev.GetStatus().GetConditions(), ResourcesAvailable)
	return !Proven(rev) && c.GetStatus() == condition.False && c.GetReason() == ReasonProgressDeadlineExceeded
}

// Failure is why the revision cannot answer requests, in words that strangers may read; empty while it can, or may soon.
func Failure(rev *servingv1.Revision) string {
	c := condition.Get(rev.GetStatus().GetConditions(), condition.Ready)
	if c.GetStatus() != condition.False || c.GetReason() == ReasonUnschedulable {
		return ""
	}
	return fmt.Sprintf("%s; `kubectl describe revision %s --namespace %s` says more", c.GetReason(), rev.GetMetadata().GetName(), rev.GetMetadata().GetNamespace())
}

// progressDeadline is how long a new revision has to become ready.
func progressDeadline(rev *servingv1.Revision, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(rev.GetMetadata().GetAnnotations()[names.AnnotationProgressDeadline]); err == nil && d > 0 {
		return d
	}
	return otherwise
}

// assessment is what is known of a revision before it is decided how many pods it has.
type assessment struct {
	view

	proven, failed bool
	deadline       time.Duration
	left           time.Duration // until the deadline, for one that is neither proven nor failed
}

func assess(rev *servingv1.Revision, v view, deadline time.Duration, now time.Time) assessment {
	a := assessment{view: v, deadline: deadline, proven: Proven(rev) || len(v.ready) > 0}
	if a.proven {
		return a
	}
	a.left = rev.GetMetadata().GetCreationTimestamp().AsTime().Add(deadline).Sub(now)
	a.failed = Failed(rev) || a.left <= 0
	return a
}

// status returns the status of a revision as the situation has it. The argument is not changed.
func status(rev *servingv1.Revision, a assessment, target autoscaler.Target, applyErr error, now time.Time) *servingv1.RevisionStatus {
	s, ok := proto.Clone(rev.GetStatus()).(*servingv1.RevisionStatus)
	if !ok || rev.GetStatus() == nil {
		s = &servingv1.RevisionStatus{}
	}
	s.ObservedGeneration = rev.GetMetadata().GetGeneration()
	s.ActualReplicas = new(int32(len(a.ready)))
	s.DesiredReplicas = new(target.Replicas)
	if len(a.ready) > 0 {
		s.ContainerStatuses = images(a.ready[0].Status.ContainerStatuses)
		s.InitContainerStatuses = images(a.ready[0].Status.InitContainerStatuses)
	}
	if applyErr != nil {
		a.resources = trouble{ReasonFailedCreate, "Kubernetes refuses the revision's ReplicaSet: " + applyErr.Error()}
	}
	set := func(conditionType, value, reason, message string) {
		s.Conditions = condition.Set(s.GetConditions(), now, conditionType, value, reason, message)
	}
	container, resources := healthy(rev, a)
	set(ContainerHealthy, container.status, container.reason, container.message)
	set(ResourcesAvailable, resources.status, resources.reason, resources.message)
	active := activity(a, target, resources, container)
	set(Active, active.status, active.reason, active.message)
	if c := condition.Get(s.GetConditions(), Active); c.GetStatus() == condition.False {
		c.Severity = severityInfo
	}
	s.Conditions = condition.Summarize(s.GetConditions(), now, condition.Ready, ContainerHealthy, ResourcesAvailable)
	return s
}

// state is the value of a condition.
type state struct{ status, reason, message string }

// healthy tells the states of the containers and of what they need.
func healthy(rev *servingv1.Revision, a assessment) (container, resources state) {
	good := state{status: condition.True}
	deploying := state{condition.Unknown, ReasonDeploying, "the first pod is not ready yet"}
	switch {
	case len(a.ready) > 0:
		return good, good
	case a.failed && Failed(rev):
		// The pods are gone, and with them the evidence.
		return kept(rev, ContainerHealthy), kept(rev, ResourcesAvailable)
	case a.proven:
		container, resources = good, good
	default:
		container, resources = deploying, deploying
	}
	if !a.container.none() {
		container = state{condition.False, a.container.reason, a.container.message}
	}
	if !a.resources.none() {
		resources = state{condition.False, a.resources.reason, a.resources.message}
	}
	if a.failed {
		why := a.container.message
		if why == "" {
			why = a.resources.message
		}
		if why == "" {
			why = a.notListening(workload.EntranceOf(rev).Port)
		}
		resources = state{condition.False, ReasonProgressDeadlineExceeded, fmt.Sprintf("no pod became ready within %s: %s", a.deadline, why)}
	}
	return container, resources
}

func kept(rev *servingv1.Revision, conditionType string) state {
	c := condition.Get(rev.GetStatus().GetConditions(), conditionType)
	return state{c.GetStatus(), c.GetReason(), c.GetMessage()}
}

// activity tells whether pods are there for requests.
func activity(a assessment, target autoscaler.Target, resources, container state) state {
	switch {
	case a.failed:
		return state{condition.False, resources.reason, resources.message}
	case target.Replicas == 0:
		return state{condition.False, ReasonNoTraffic, "no requests come in, so no pods run; the next request starts one"}
	case len(a.ready) > 0:
		return state{status: condition.True}
	case container.status == condition.False:
		return state{condition.Unknown, container.reason, container.message}
	case !a.proven:
		return state{condition.Unknown, ReasonDeploying, "the first pod is not ready yet"}
	}
	return state{condition.Unknown, ReasonActivating, "pods are starting"}
}

func images(statuses []corev1.ContainerStatus) []*servingv1.ContainerStatus {
	out := make([]*servingv1.ContainerStatus, 0, len(statuses))
	for i := range statuses {
		_, digest, found := strings.Cut(statuses[i].ImageID, "://")
		if !found {
			digest = statuses[i].ImageID
		}
		out = append(out, &servingv1.ContainerStatus{Name: statuses[i].Name, ImageDigest: digest})
	}
	return out
}
