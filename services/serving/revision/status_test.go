// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/serving/autoscaler"
)

func newRevision(born time.Time) *servingv1.Revision {
	return &servingv1.Revision{
		Metadata: &metav1.ObjectMeta{Name: "hello-00001", Generation: 1, CreationTimestamp: timestamppb.New(born)},
		Spec:     &servingv1.RevisionSpec{PodSpec: &corepb.PodSpec{Containers: []*corepb.Container{{Name: "user-container"}}}},
	}
}

func pod(change func(*corev1.Pod, *corev1.ContainerStatus)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: kmetav1.ObjectMeta{Name: "p"},
		Status: corev1.PodStatus{
			Phase:             corev1.PodRunning,
			ContainerStatuses: []corev1.ContainerStatus{{Name: "user-container", Image: "app:1", ImageID: "docker-pullable://app@sha256:1"}},
		},
	}
	if change != nil {
		change(p, &p.Status.ContainerStatuses[0])
	}
	return p
}

func readyPod() *corev1.Pod {
	return pod(func(p *corev1.Pod, s *corev1.ContainerStatus) {
		s.Ready = true
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	})
}

func running() *corev1.Pod {
	return pod(func(_ *corev1.Pod, s *corev1.ContainerStatus) { s.State.Running = &corev1.ContainerStateRunning{} })
}

func waiting(reason, message string) *corev1.Pod {
	return pod(func(_ *corev1.Pod, s *corev1.ContainerStatus) {
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: message}
	})
}

func crashing(code int32, reason, log string) *corev1.Pod {
	return pod(func(_ *corev1.Pod, s *corev1.ContainerStatus) {
		s.RestartCount = 1
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: log}
	})
}

func proven(rev *servingv1.Revision) {
	rev.Status = &servingv1.RevisionStatus{ContainerStatuses: []*servingv1.ContainerStatus{{Name: "user-container"}}}
}

func TestStatus(t *testing.T) {
	now := time.Unix(10_000, 0)
	refusal := &appsv1.ReplicaSet{Status: appsv1.ReplicaSetStatus{Conditions: []appsv1.ReplicaSetCondition{{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: `pods "x" is forbidden: exceeded quota: q`,
	}}}}
	for _, tc := range []struct {
		reason   string
		age      time.Duration
		change   func(*servingv1.Revision)
		rs       *appsv1.ReplicaSet
		pods     []*corev1.Pod
		replicas int32
		applyErr error
		want     map[string]string // condition: status, reason, and part of the message
	}{
		{
			reason: "nothing runs yet", replicas: 1,
			want: map[string]string{"Ready": "Unknown Deploying", "Active": "Unknown Deploying"},
		},
		{
			reason: "a pod is ready", replicas: 1, pods: []*corev1.Pod{readyPod()},
			want: map[string]string{"Ready": "True", "Active": "True", "ContainerHealthy": "True", "ResourcesAvailable": "True"},
		},
		{
			reason: "the image is absent", replicas: 1, pods: []*corev1.Pod{waiting("ErrImagePull", "manifest unknown")},
			want: map[string]string{"Ready": "False ContainerMissing app:1", "ContainerHealthy": "False ContainerMissing", "ResourcesAvailable": "Unknown Deploying"},
		},
		{
			reason: "the registry does not answer", replicas: 1, pods: []*corev1.Pod{waiting("ImagePullBackOff", "connection refused")},
			want: map[string]string{"Ready": "False ImagePullFailed imagePullSecrets"},
		},
		{
			reason: "a Secret is absent", replicas: 1, pods: []*corev1.Pod{waiting("CreateContainerConfigError", `secret "s" not found`)},
			want: map[string]string{"Ready": "False ContainerNotStarted secret"},
		},
		{
			reason: "the process crashes", replicas: 1, pods: []*corev1.Pod{crashing(3, "Error", "no database\n")},
			want: map[string]string{"Ready": "False ExitCode3 no database"},
		},
		{
			reason: "the process just ends", replicas: 1, pods: []*corev1.Pod{crashing(0, "Completed", "")},
			want: map[string]string{"Ready": "False ExitCode0 keep running"},
		},
		{
			reason: "too little memory", replicas: 1, pods: []*corev1.Pod{crashing(137, "OOMKilled", "")},
			want: map[string]string{"Ready": "False ExitCode137 raise the limit"},
		},
		{
			reason: "quota", replicas: 1, rs: refusal,
			want: map[string]string{"Ready": "False QuotaExceeded raise the quota"},
		},
		{
			reason: "no node", replicas: 1, pods: []*corev1.Pod{pod(func(p *corev1.Pod, _ *corev1.ContainerStatus) {
				p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes"}}
			})},
			want: map[string]string{"Ready": "False Unschedulable 0/1 nodes", "ResourcesAvailable": "False Unschedulable"},
		},
		{
			reason: "the cluster refuses", replicas: 1, applyErr: errors.New("not that way"),
			want: map[string]string{"Ready": "False FailedCreate not that way"},
		},
		{
			reason: "it never listens", age: time.Minute, replicas: 0, pods: []*corev1.Pod{running()},
			want: map[string]string{"Ready": "False ProgressDeadlineExceeded PORT", "Active": "False ProgressDeadlineExceeded"},
		},
		{
			reason: "it crashed until the deadline", age: time.Minute, pods: []*corev1.Pod{crashing(3, "Error", "no database")},
			want: map[string]string{"ContainerHealthy": "False ExitCode3", "ResourcesAvailable": "False ProgressDeadlineExceeded no database"},
		},
		{
			reason: "no requests", age: time.Hour, change: proven,
			want: map[string]string{"Ready": "True", "Active": "False NoTraffic"},
		},
		{
			reason: "it wakes", age: time.Hour, change: proven, replicas: 1,
			want: map[string]string{"Ready": "True", "Active": "Unknown Activating"},
		},
		{
			reason: "it wakes and crashes", age: time.Hour, change: proven, replicas: 1, pods: []*corev1.Pod{crashing(3, "Error", "no database")},
			want: map[string]string{"Ready": "False ExitCode3", "ResourcesAvailable": "True", "Active": "Unknown ExitCode3"},
		},
	} {
		rev := newRevision(now.Add(-tc.age))
		if tc.change != nil {
			tc.change(rev)
		}
		a := assess(rev, newView(tc.rs, tc.pods), 30*time.Second, now)
		st := status(rev, a, autoscaler.Target{Replicas: tc.replicas}, tc.applyErr, now)
		for name, want := range tc.want {
			c := condition.Get(st.GetConditions(), name)
			got := strings.TrimSpace(c.GetStatus() + " " + c.GetReason())
			head, part := want, ""
			if fields := strings.SplitN(want, " ", 3); len(fields) == 3 {
				head, part = fields[0]+" "+fields[1], fields[2]
			}
			if got != head || !strings.Contains(c.GetMessage(), part) {
				t.Errorf("%s: %s is %q (%s), want %q", tc.reason, name, got, c.GetMessage(), want)
			}
		}
		rev.Status = st
		if again := status(rev, assess(rev, newView(tc.rs, tc.pods), 30*time.Second, now), autoscaler.Target{Replicas: tc.replicas}, tc.applyErr, now.Add(time.Minute)); !proto.Equal(st, again) {
			t.Errorf("%s: the same state gives another status:\n%v\n%v", tc.reason, st, again)
		}
	}
}

func TestFailedStaysFailed(t *testing.T) {
	now := time.Unix(10_000, 0)
	rev := newRevision(now.Add(-time.Minute))
	a := assess(rev, newView(nil, []*corev1.Pod{running()}), 30*time.Second, now)
	rev.Status = status(rev, a, autoscaler.Target{}, nil, now)
	if !Failed(rev) || Failure(rev) == "" {
		t.Fatalf("it has not failed: %v", rev.GetStatus())
	}
	a = assess(rev, newView(nil, nil), 30*time.Second, now)
	if next := status(rev, a, autoscaler.Target{}, nil, now); !proto.Equal(next, rev.GetStatus()) {
		t.Errorf("without its pods it tells something else:\n%v\n%v", rev.GetStatus(), next)
	}
}

func TestFirstReadyPodProves(t *testing.T) {
	now := time.Unix(10_000, 0)
	rev := newRevision(now)
	if a := assess(rev, newView(nil, nil), time.Minute, now); a.proven || a.left != time.Minute {
		t.Errorf("got %+v", a)
	}
	rev.Status = status(rev, assess(rev, newView(nil, []*corev1.Pod{readyPod()}), time.Minute, now), autoscaler.Target{Replicas: 1}, nil, now)
	if got := rev.GetStatus().GetContainerStatuses(); !Proven(rev) || got[0].GetImageDigest() != "app@sha256:1" || rev.GetStatus().GetActualReplicas() != 1 {
		t.Errorf("got %v", rev.GetStatus())
	}
}

func TestPodsOnTheirWayOutDoNotCount(t *testing.T) {
	p := readyPod()
	p.DeletionTimestamp = &kmetav1.Time{Time: time.Unix(1, 0)}
	if v := newView(nil, []*corev1.Pod{p}); len(v.pods)+len(v.ready) != 0 {
		t.Errorf("got %+v", v)
	}
}
