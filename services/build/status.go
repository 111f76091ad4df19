// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/build/pod"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/condition"
)

// labelBuildName is on the pods of builds whose names are short enough for a label.
const labelBuildName = "build.knative.dev/buildName"

const messagePodLost = "the pod was deleted, or its node lost, while steps ran; make the build again"

func succeeded(b *buildv1.Build) *metav1.Condition {
	return condition.Get(b.GetStatus().GetConditions(), condition.Succeeded)
}

func isDone(b *buildv1.Build) bool {
	s := succeeded(b).GetStatus()
	return s == condition.True || s == condition.False
}

// hasRun tells whether something of the user's has been run.
func hasRun(b *buildv1.Build) bool { return succeeded(b).GetReason() == reasonRunning }

// sourceFetched tells whether the steps have had their source, as far as the status tells: the first one runs or has run.
func sourceFetched(b *buildv1.Build) bool {
	states := b.GetStatus().GetStepStates()
	return len(states) > 0 && (states[0].GetRunning() != nil || states[0].GetTerminated() != nil && states[0].GetTerminated().GetReason() != pod.StateSkipped)
}

func timeoutOf(b *buildv1.Build, byDefault time.Duration) time.Duration {
	if d, err := time.ParseDuration(b.GetSpec().GetTimeout()); err == nil && d > 0 {
		return d
	}
	return byDefault
}

// deadline is when a build runs out of time. Its start is known to the second, and rounded down.
func deadline(b *buildv1.Build, byDefault time.Duration) time.Time {
	return b.GetStatus().GetStartTime().AsTime().Add(timeoutOf(b, byDefault) + time.Second)
}

// stepNames are the names of the steps; those that were stored without one get it from their place.
func stepNames(b *buildv1.Build) []string {
	names := make([]string, len(b.GetSpec().GetSteps()))
	for i, s := range b.GetSpec().GetSteps() {
		if names[i] = s.GetName(); names[i] == "" {
			names[i] = defaultStepName(i)
		}
	}
	return names
}

// podName is the name of a build's pod: always the same for one build, and never that of another of the same name.
func podName(m *metav1.ObjectMeta) string {
	const longest = 253
	sum := sha256.Sum256([]byte(m.GetUid()))
	end := "-pod-" + hex.EncodeToString(sum[:3])
	name := m.GetName()
	if len(name) > longest-len(end) {
		name = name[:longest-len(end)-1] + "x" // what is cut may end in a dot
	}
	return name + end
}

func status(b *buildv1.Build) *buildv1.BuildStatus {
	if b.GetStatus() == nil {
		b.Status = &buildv1.BuildStatus{}
	}
	b.Status.ObservedGeneration = b.GetMetadata().GetGeneration()
	return b.GetStatus()
}

func setSucceeded(b *buildv1.Build, now time.Time, value, reason, message string) {
	s := status(b)
	s.Conditions = condition.Set(s.GetConditions(), now, condition.Succeeded, value, reason, message)
	if value != condition.Unknown {
		s.CompletionTime = timestamppb.New(now.UTC().Truncate(time.Second))
	}
}

func begun(b *buildv1.Build, now time.Time) {
	s := status(b)
	if s.GetStartTime() != nil {
		return
	}
	s.Builder = builderCluster
	s.StartTime = timestamppb.New(now.UTC().Truncate(time.Second))
	setSucceeded(b, now, condition.Unknown, reasonPending, "the pod is being made")
}

// placed records the pod that was made. It does so once the pod is there: a pod that a status names has existed.
func placed(b *buildv1.Build, p *corev1.Pod, now time.Time) {
	status(b).Cluster = &buildv1.ClusterStatus{Namespace: p.Namespace, PodName: p.Name}
	setSucceeded(b, now, condition.Unknown, reasonPending, "the pod starts")
}

func failed(b *buildv1.Build, now time.Time, reason, message string) {
	if status(b).GetStartTime() == nil {
		begun(b, now)
	}
	setSucceeded(b, now, condition.False, reason, message)
}

// observed records what the pod says.
func observed(b *buildv1.Build, p *corev1.Pod, state pod.State, now time.Time) {
	s := status(b)
	s.Cluster = &buildv1.ClusterStatus{Namespace: p.Namespace, PodName: p.Name}
	s.StepsCompleted = state.Completed
	if c := condition.Get(s.GetConditions(), conditionCredentials); state.Warning != "" && !strings.Contains(c.GetMessage(), state.Warning) {
		warned(b, now, append(slices.DeleteFunc([]string{c.GetMessage()}, func(m string) bool { return m == "" }), state.Warning))
	}
	s.StepStates = s.GetStepStates()[:0:0]
	for _, c := range state.Steps {
		s.StepStates = append(s.StepStates, stateOf(c))
	}
	if p.DeletionTimestamp != nil && state.Phase != pod.Succeeded {
		if state.Phase != pod.Waiting || hasRun(b) {
			setSucceeded(b, now, condition.False, reasonPodLost, messagePodLost)
		}
		return // a pod that has run nothing is made again once it is gone
	}
	switch state.Phase {
	case pod.Waiting:
		message := state.Message
		if message == "" {
			message = state.StuckMessage
		}
		if message == "" {
			message = "the pod starts"
		}
		setSucceeded(b, now, condition.Unknown, reasonPending, message)
	case pod.Running:
		message := state.StuckMessage
		if message == "" {
			message = running(stepNames(b), state)
		}
		setSucceeded(b, now, condition.Unknown, reasonRunning, message)
	case pod.Succeeded:
		now = ended(state, now)
		setSucceeded(b, now, condition.True, reasonSucceeded, fmt.Sprintf("%d of %d steps ended well", len(state.Completed), len(state.Steps)))
	case pod.Failed:
		now = ended(state, now)
		reason, message := explain(b, state)
		setSucceeded(b, now, condition.False, reason, message)
	}
}

// ended is when the last step ended, which may be long before anyone looks; now where no step says.
func ended(state pod.State, now time.Time) time.Time {
	var last time.Time
	for _, s := range state.Steps {
		if s.Terminated != nil && s.Terminated.FinishedAt.After(last) {
			last = s.Terminated.FinishedAt.Time
		}
	}
	if last.IsZero() || last.After(now) {
		return now
	}
	return last
}

func running(names []string, state pod.State) string {
	for i, s := range state.Steps {
		if s.Running != nil {
			return fmt.Sprintf("step %q runs, %d of %d", names[i], i+1, len(names))
		}
	}
	if len(state.Completed) > 0 {
		return fmt.Sprintf("%d of %d steps ended well", len(state.Completed), len(names))
	}
	return "the source is being fetched"
}

func explain(b *buildv1.Build, state pod.State) (reason, message string) {
	logs := fmt.Sprintf("; see `fairlead logs build/%s -n %s`", b.GetMetadata().GetName(), b.GetMetadata().GetNamespace())
	switch state.Failure {
	case pod.FailureStep:
		return reasonStepFailed, state.Message + logs
	case pod.FailureSource:
		return reasonSourceFailed, state.Message
	case pod.FailureCredentials:
		return reasonCredentials, state.Message
	case pod.FailureDeadline:
		return reasonTimeout, "the build did not end in time; raise spec.timeout, or look for what holds it up" + logs
	case pod.FailureEvicted:
		return reasonPodEvicted, state.Message + "; give the steps resource requests, and make the build again"
	default:
		return reasonPodLost, state.Message + "; make the build again"
	}
}

// stateOf is a container's state in our types.
func stateOf(state corev1.ContainerState) *corepb.ContainerState {
	out := &corepb.ContainerState{}
	if err := convertTo(state, out); err != nil {
		return &corepb.ContainerState{}
	}
	return out
}

// convertTo makes a message of a Kubernetes value: both have the same JSON.
func convertTo(from any, to proto.Message) error {
	data, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("convert %T: %w", from, err)
	}
	if _, err := codec.Unmarshal(data, to, codec.Options{}); err != nil {
		return fmt.Errorf("convert %T: %w", from, err)
	}
	return nil
}

// convertFrom makes a Kubernetes value of a message.
func convertFrom(from proto.Message, to any) error {
	data, err := codec.Marshal(from)
	if err != nil {
		return fmt.Errorf("convert to %T: %w", to, err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("convert to %T: %w", to, err)
	}
	return nil
}

// podSpec says what the pod of a build is to run, but for what a service account brings.
func podSpec(b *buildv1.Build, cfg Config, left time.Duration) (pod.Spec, error) {
	// The pod ends by itself a little later than the server would end it, in case there is none then.
	const grace = 30 * time.Second
	const longestLabel = 63
	spec := b.GetSpec()
	out := pod.Spec{
		Namespace: b.GetMetadata().GetNamespace(), Name: podName(b.GetMetadata()),
		Labels:      map[string]string{"app.kubernetes.io/managed-by": "fairlead"},
		Annotations: map[string]string{"sidecar.istio.io/inject": "false"},
		StepImage:   cfg.StepImage, Entrypoints: map[string]pod.Entrypoint{},
		ServiceAccount: spec.GetServiceAccountName(), NodeSelector: spec.GetNodeSelector(),
		Deadline: left + grace, InsecureRegistries: cfg.InsecureRegistries,
	}
	if name := b.GetMetadata().GetName(); len(name) <= longestLabel {
		out.Labels[labelBuildName] = name
	}
	if git := spec.GetSource().GetGit(); git != nil {
		out.Git = &pod.Git{URL: git.GetUrl(), Revision: git.GetRevision(), SubPath: spec.GetSource().GetSubPath()}
	}
	for i, name := range stepNames(b) {
		var c corev1.Container
		if err := convertFrom(spec.GetSteps()[i], &c); err != nil {
			return out, fmt.Errorf("spec.steps[%d]: %w", i, err)
		}
		c.Name = name
		out.Steps = append(out.Steps, c)
	}
	for i, v := range spec.GetVolumes() {
		var volume corev1.Volume
		if err := convertFrom(v, &volume); err != nil {
			return out, fmt.Errorf("spec.volumes[%d]: %w", i, err)
		}
		out.Volumes = append(out.Volumes, volume)
	}
	if spec.GetAffinity() != nil {
		out.Affinity = &corev1.Affinity{}
		if err := convertFrom(spec.GetAffinity(), out.Affinity); err != nil {
			return out, fmt.Errorf("spec.affinity: %w", err)
		}
	}
	return out, nil
}
