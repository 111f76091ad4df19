// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package pod_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/build/pod"
	"fairlead.dev/services/build/step/contract"
)

func at(seconds int) kmetav1.Time { return kmetav1.NewTime(time.Unix(int64(seconds), 0)) }

func running(since int) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(since)}}
}

func ended(code int32, from, to int) corev1.ContainerState {
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, StartedAt: at(from), FinishedAt: at(to)}}
}

func saying(s corev1.ContainerState, m contract.Message) corev1.ContainerState {
	data, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	s.Terminated.Message = string(data)
	return s
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

type states map[string]corev1.ContainerState

func podWith(source bool, status states) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "install", Image: "step"}}}}
	names := []string{"step-one", "step-two"}
	if source {
		names = append([]string{pod.SourceStep}, names...)
	}
	if s, ok := status["install"]; ok {
		p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, corev1.ContainerStatus{Name: "install", State: s})
	}
	for _, n := range names {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: n, Image: "image-of-" + n})
		if s, ok := status[n]; ok {
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: n, State: s})
		}
	}
	return p
}

func TestRead(t *testing.T) {
	skipped := saying(ended(1, 1, 5), contract.Message{Reason: contract.ReasonSkipped, Message: "an earlier step failed"})
	skippedState := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: 1, Reason: pod.StateSkipped, Message: "an earlier step failed", StartedAt: at(1), FinishedAt: at(5),
	}}
	turn := waiting(pod.StateWaiting, "waits for the step before")
	fresh := waiting("PodInitializing", "")
	failed := func(p *corev1.Pod, reason, message string) *corev1.Pod {
		p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, reason, message
		return p
	}
	unschedulable := podWith(false, nil)
	unschedulable.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes are available"}}
	for _, c := range []struct {
		reason string
		pod    *corev1.Pod
		want   pod.State
	}{
		{"a pod that is new", podWith(true, nil), pod.State{Steps: []corev1.ContainerState{fresh, fresh}}},
		{"no node for it", unschedulable, pod.State{Message: "no node takes the pod: 0/1 nodes are available", Steps: []corev1.ContainerState{fresh, fresh}}},
		{
			"containers run while the source is fetched", podWith(true, states{pod.SourceStep: running(1), "step-one": running(1), "step-two": running(1)}),
			pod.State{Phase: pod.Running, Steps: []corev1.ContainerState{turn, turn}},
		},
		{
			"steps' containers run and the source's does not yet", podWith(true, states{pod.SourceStep: waiting("ContainerCreating", ""), "step-one": running(1), "step-two": running(1)}),
			pod.State{Phase: pod.Waiting, Steps: []corev1.ContainerState{turn, turn}},
		},
		{
			"the first step runs since the source is there",
			podWith(true, states{pod.SourceStep: saying(ended(0, 1, 4), contract.Message{Reason: contract.ReasonSourceReady, Commit: "abc"}), "step-one": running(1), "step-two": running(1)}),
			pod.State{Phase: pod.Running, Commit: "abc", Steps: []corev1.ContainerState{running(4), turn}},
		},
		{
			"the second runs since the first has ended", podWith(false, states{"step-one": ended(0, 1, 7), "step-two": running(1)}),
			pod.State{Phase: pod.Running, Completed: []string{"one"}, Steps: []corev1.ContainerState{ended(0, 1, 7), running(7)}},
		},
		{
			"all have ended well", podWith(false, states{"step-one": ended(0, 1, 7), "step-two": ended(0, 1, 9)}),
			pod.State{Phase: pod.Succeeded, Completed: []string{"one", "two"}, Steps: []corev1.ContainerState{ended(0, 1, 7), ended(0, 7, 9)}},
		},
		{
			"the first fails and the second is still up", podWith(false, states{"step-one": ended(2, 1, 3), "step-two": running(1)}),
			pod.State{
				Phase: pod.Failed, Failure: pod.FailureStep, Message: `step "one" exited with code 2`,
				Steps: []corev1.ContainerState{ended(2, 1, 3), waiting(pod.StateSkipped, "an earlier step failed")},
			},
		},
		{
			"the first fails and the second is skipped", podWith(false, states{"step-one": ended(2, 1, 3), "step-two": skipped}),
			pod.State{
				Phase: pod.Failed, Failure: pod.FailureStep, Message: `step "one" exited with code 2`,
				Steps: []corev1.ContainerState{ended(2, 1, 3), skippedState},
			},
		},
		{
			"a skipped step is heard of before the one that failed", podWith(false, states{"step-one": running(1), "step-two": skipped}),
			pod.State{Phase: pod.Running, Steps: []corev1.ContainerState{running(1), skippedState}},
		},
		{
			"a step without memory", podWith(false, states{"step-one": {Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}}}),
			pod.State{
				Phase: pod.Failed, Failure: pod.FailureStep, Message: `step "one" ran out of memory; raise its resources.limits.memory`,
				Steps: []corev1.ContainerState{{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}}, waiting(pod.StateSkipped, "an earlier step failed")},
			},
		},
		{
			"a command that is not there", podWith(false, states{"step-one": saying(ended(127, 1, 1), contract.Message{Reason: contract.ReasonCommandNotFound, Message: `command "x" is not in the image`})}),
			pod.State{
				Phase: pod.Failed, Failure: pod.FailureStep, Message: `step "one" did not start: command "x" is not in the image`,
				Steps: []corev1.ContainerState{
					{Terminated: &corev1.ContainerStateTerminated{ExitCode: 127, Reason: "Error", Message: `command "x" is not in the image`, StartedAt: at(1), FinishedAt: at(1)}},
					waiting(pod.StateSkipped, "an earlier step failed"),
				},
			},
		},
		{
			"a source that is not there",
			podWith(true, states{pod.SourceStep: saying(ended(1, 1, 2), contract.Message{Reason: contract.ReasonRepositoryNotFound, Message: "repository not found"}), "step-one": skipped, "step-two": skipped}),
			pod.State{Phase: pod.Failed, Failure: pod.FailureSource, Message: "repository not found", Steps: []corev1.ContainerState{skippedState, skippedState}},
		},
		{
			"credentials that cannot be read", podWith(true, states{"install": saying(ended(1, 1, 2), contract.Message{Reason: contract.ReasonCredentials, Message: "no password"})}),
			pod.State{
				Phase: pod.Failed, Failure: pod.FailureCredentials, Message: "no password",
				Steps: []corev1.ContainerState{waiting(pod.StateSkipped, "an earlier step failed"), waiting(pod.StateSkipped, "an earlier step failed")},
			},
		},
		{
			"an image that cannot be pulled", podWith(false, states{"step-one": running(1), "step-two": waiting("ImagePullBackOff", "not found")}),
			pod.State{
				Phase: pod.Running, Stuck: pod.FailurePull, StuckMessage: `image "image-of-step-two" of step "two" cannot be pulled: not found`,
				Steps: []corev1.ContainerState{running(1), waiting("ImagePullBackOff", "not found")},
			},
		},
		{
			"an image whose name is wrong", podWith(false, states{"step-one": waiting("InvalidImageName", "bad")}),
			pod.State{
				Stuck: pod.FailurePull, StuckForGood: true, StuckMessage: `image "image-of-step-one" of step "one" cannot be pulled: bad`,
				Steps: []corev1.ContainerState{waiting("InvalidImageName", "bad"), fresh},
			},
		},
		{
			"eviction", failed(podWith(false, states{"step-one": ended(143, 1, 2)}), "Evicted", "out of disk"),
			pod.State{
				Phase: pod.Failed, Failure: pod.FailureEvicted, Message: "the node evicted the pod: out of disk",
				Steps: []corev1.ContainerState{ended(143, 1, 2), waiting(pod.StateSkipped, "an earlier step failed")},
			},
		},
		{
			"the deadline", failed(podWith(false, nil), "DeadlineExceeded", "x"),
			pod.State{Phase: pod.Failed, Failure: pod.FailureDeadline, Message: "the pod ran into its deadline", Steps: []corev1.ContainerState{fresh, fresh}},
		},
	} {
		t.Run(c.reason, func(t *testing.T) {
			if diff := cmp.Diff(c.want, pod.Read(c.pod, []string{"one", "two"})); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}
