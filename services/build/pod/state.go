// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/build/step/contract"
)

// Phase is how far a pod is.
type Phase int

// The phases.
const (
	// Waiting pods have not run anything of the user's.
	Waiting Phase = iota
	// Running pods have.
	Running
	// Succeeded pods have run all their steps well.
	Succeeded
	// Failed pods will not run what is left.
	Failed
)

// Failure tells why a pod failed, or what keeps it from starting.
type Failure string

// The failures.
const (
	FailureStep        Failure = "Step"
	FailureSource      Failure = "Source"
	FailureCredentials Failure = "Credentials"
	FailureDeadline    Failure = "Deadline"
	FailureEvicted     Failure = "Evicted"
	FailureLost        Failure = "Lost"
	FailureInstall     Failure = "Install"
	// FailurePull and FailureStart may yet mend themselves.
	FailurePull  Failure = "Pull"
	FailureStart Failure = "Start"
)

// Reasons in the states of steps that are ours.
const (
	// StateWaiting is of a step whose turn has not come.
	StateWaiting = "StepWaiting"
	// StateSkipped is of a step that does not run since an earlier one failed.
	StateSkipped = contract.ReasonSkipped
)

// State is what a pod's status says about its steps.
type State struct {
	// Phase is how far the pod is.
	Phase Phase
	// Failure tells why a Failed pod failed.
	Failure Failure
	// Message says the same in a sentence, or, in the other phases, what the pod waits for.
	Message string
	// Stuck, if not empty, is what keeps a container from starting; StuckMessage says it in a sentence. It may mend itself
	// unless StuckForGood.
	Stuck        Failure
	StuckMessage string
	StuckForGood bool
	// Steps are the states of the steps, in order.
	Steps []corev1.ContainerState
	// Completed are the names of the steps that ended well, in order.
	Completed []string
	// Commit is the commit that was fetched.
	Commit string
	// Warning tells of credentials that cannot be used.
	Warning string
}

// Read reads the state of a pod that runs the steps of these names.
func Read(p *corev1.Pod, steps []string) State {
	s := State{Steps: make([]corev1.ContainerState, len(steps))}
	status := byName(p)
	source := sourceState(p, status, &s)
	previous := source
	if previous != nil && previous.Terminated == nil && previous.Running == nil {
		previous = &corev1.ContainerState{}
	}
	failed := s.Phase == Failed
	for i, name := range steps {
		state, message := stepState(status[ContainerOf(name)], previous, failed)
		s.Steps[i] = state
		if t := state.Terminated; t != nil && t.ExitCode == 0 && !failed {
			s.Completed = append(s.Completed, name)
		} else if t != nil && t.ExitCode != 0 && !failed && t.Reason != StateSkipped {
			failed = true
			s.Phase, s.Failure, s.Message = Failed, FailureStep, explainStep(name, t, message)
		}
		if state.Running != nil || state.Terminated != nil {
			s.Phase = max(s.Phase, Running)
		}
		previous = &s.Steps[i]
	}
	if s.Phase != Failed && len(s.Completed) == len(steps) {
		s.Phase = Succeeded
	}
	if s.Phase != Succeeded {
		readPod(p, &s)
	}
	if s.Phase < Succeeded {
		readStuck(p, &s)
	}
	return s
}

func byName(p *corev1.Pod) map[string]corev1.ContainerStatus {
	out := make(map[string]corev1.ContainerStatus, len(p.Status.ContainerStatuses)+1)
	for _, c := range p.Status.InitContainerStatuses {
		out[c.Name] = c
	}
	for _, c := range p.Status.ContainerStatuses {
		out[c.Name] = c
	}
	return out
}

// sourceState reads what comes before the steps. The result is nil where the pod fetches nothing.
func sourceState(p *corev1.Pod, status map[string]corev1.ContainerStatus, s *State) *corev1.ContainerState {
	if t := status[installContainer].State.Terminated; t != nil && t.ExitCode != 0 {
		s.Phase, s.Failure, s.Message = Failed, FailureInstall, "the pod could not be prepared: "+t.Reason
		if m, ok := contract.ParseMessage(t.Message); ok {
			s.Message = m.Message
			if m.Reason == contract.ReasonCredentials {
				s.Failure = FailureCredentials
			}
		}
	}
	if t := status[installContainer].State.Terminated; t != nil && t.ExitCode == 0 {
		if m, ok := contract.ParseMessage(t.Message); ok && m.Reason == contract.ReasonCredentialsUnused {
			s.Warning = m.Message
		}
	}
	if len(p.Spec.Containers) == 0 || p.Spec.Containers[0].Name != SourceStep {
		return nil
	}
	state := status[SourceStep].State
	if state.Running != nil || state.Terminated != nil {
		s.Phase = max(s.Phase, Running)
	}
	if t := state.Terminated; t != nil {
		m, ok := contract.ParseMessage(t.Message)
		switch {
		case t.ExitCode == 0:
			s.Commit = m.Commit
		case ok && m.Reason == contract.ReasonCredentials:
			s.Phase, s.Failure, s.Message = Failed, FailureCredentials, m.Message
		case ok:
			s.Phase, s.Failure, s.Message = Failed, FailureSource, m.Message
		default:
			s.Phase, s.Failure = Failed, FailureSource
			s.Message = fmt.Sprintf("fetching the source ended with code %d (%s)", t.ExitCode, t.Reason)
		}
	}
	return &state
}

// stepState is a step's state as people mean it: containers of a pod start together and wait for their turn, so a
// container that runs is a step that runs only once the one before it has ended.
func stepState(c corev1.ContainerStatus, previous *corev1.ContainerState, failed bool) (corev1.ContainerState, contract.Message) {
	state := *c.State.DeepCopy()
	var message contract.Message
	var ours bool
	if state.Terminated != nil {
		if message, ours = contract.ParseMessage(state.Terminated.Message); ours {
			state.Terminated.Message = message.Message
		}
	}
	waiting := func(reason, text string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: text}}
	}
	switch {
	case state.Terminated != nil && message.Reason == contract.ReasonSkipped:
		state.Terminated.Reason = StateSkipped
	case state.Terminated != nil:
		state.Terminated.StartedAt = after(state.Terminated.StartedAt, previous)
	case failed:
		return waiting(StateSkipped, "an earlier step failed"), message
	case state.Running != nil && previous != nil && previous.Terminated == nil:
		return waiting(StateWaiting, "waits for the step before"), message
	case state.Running != nil:
		state.Running.StartedAt = after(state.Running.StartedAt, previous)
	case state.Waiting == nil:
		return waiting("PodInitializing", ""), message
	}
	return state, message
}

// after is when a step began: when its container did, or when the step before ended.
func after(started kmetav1.Time, previous *corev1.ContainerState) kmetav1.Time {
	if previous != nil && previous.Terminated != nil && previous.Terminated.FinishedAt.After(started.Time) {
		return previous.Terminated.FinishedAt
	}
	return started
}

func explainStep(name string, t *corev1.ContainerStateTerminated, m contract.Message) string {
	switch {
	case m.Reason == contract.ReasonCommandNotFound, m.Reason == contract.ReasonCannotStart:
		return fmt.Sprintf("step %q did not start: %s", name, m.Message)
	case t.Reason == "StartError", t.Reason == "ContainerCannotRun":
		return fmt.Sprintf("step %q did not start: %s", name, t.Message)
	case t.Reason == "OOMKilled":
		return fmt.Sprintf("step %q ran out of memory; raise its resources.limits.memory", name)
	case t.ExitCode > 128 && t.ExitCode < 160:
		return fmt.Sprintf("step %q was ended by signal %d", name, t.ExitCode-128)
	}
	return fmt.Sprintf("step %q exited with code %d", name, t.ExitCode)
}

// readPod reads what happened to the pod as a whole.
func readPod(p *corev1.Pod, s *State) {
	if p.Status.Phase == corev1.PodFailed {
		switch reason := p.Status.Reason; {
		case reason == "DeadlineExceeded":
			s.Phase, s.Failure, s.Message = Failed, FailureDeadline, "the pod ran into its deadline"
		case reason == "Evicted":
			s.Phase, s.Failure, s.Message = Failed, FailureEvicted, "the node evicted the pod: "+p.Status.Message
		case reason != "":
			s.Phase, s.Failure, s.Message = Failed, FailureLost, fmt.Sprintf("the pod failed: %s: %s", reason, p.Status.Message)
		case s.Phase != Failed:
			s.Phase, s.Failure, s.Message = Failed, FailureLost, "the pod failed, and its steps did not: "+p.Status.Message
		}
		return
	}
	if s.Phase != Waiting {
		return
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			s.Message = "no node takes the pod: " + c.Message
		}
	}
}

// readStuck looks for containers that cannot start.
func readStuck(p *corev1.Pod, s *State) {
	images := map[string]string{}
	for _, c := range append(slices.Clip(p.Spec.InitContainers), p.Spec.Containers...) {
		images[c.Name] = c.Image
	}
	for _, c := range append(slices.Clip(p.Status.InitContainerStatuses), p.Status.ContainerStatuses...) {
		w := c.State.Waiting
		if w == nil {
			continue
		}
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable", "ErrImageNeverPull", "InvalidImageName", "SignatureValidationFailed":
			s.Stuck = FailurePull
			s.StuckForGood = w.Reason == "ErrImageNeverPull" || w.Reason == "InvalidImageName"
			s.StuckMessage = fmt.Sprintf("image %q of %s cannot be pulled: %s", images[c.Name], who(c.Name), w.Message)
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PostStartHookError":
			s.Stuck = FailureStart
			s.StuckMessage = fmt.Sprintf("%s cannot start: %s", who(c.Name), w.Message)
		default:
			continue
		}
		return
	}
}

func who(container string) string {
	if len(container) > len(stepPrefix) && container[:len(stepPrefix)] == stepPrefix {
		return fmt.Sprintf("step %q", container[len(stepPrefix):])
	}
	return "the container " + container
}

// Duration is how long a step took, as far as its state tells.
func Duration(state corev1.ContainerState) time.Duration {
	if state.Terminated == nil {
		return 0
	}
	return state.Terminated.FinishedAt.Sub(state.Terminated.StartedAt.Time)
}
