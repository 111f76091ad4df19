//go:build cluster

// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	"fairlead.dev/services/build"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/condition"
)

func TestStepsShareAWorkspace(t *testing.T) {
	p := newPlatform(t, nil)
	began := time.Now()
	p.create(`
metadata: {name: steps}
spec:
  steps:
  - {name: one, image: TOOL, args: [write, greeting, hello]}
  - {name: two, image: TOOL, args: [cat, greeting]}
  - {image: TOOL, args: [env, HOME]}
  - {name: four, image: TOOL}
`)
	log := p.log("steps", "", true)
	b := p.awaitEnd("steps")
	t.Logf("took %s", time.Since(began))
	if outcome(b).GetStatus() != condition.True {
		t.Fatalf("condition %v\n%s", outcome(b), log)
	}
	want := "[two] hello\n[step-3] /workspace /builder/home\n[four] default\n"
	if log != want {
		t.Errorf("log\n%s, want\n%s", log, want)
	}
	if got := strings.Join(b.GetStatus().GetStepsCompleted(), " "); got != "one two step-3 four" {
		t.Errorf("completed %q", got)
	}
	if again := p.log("steps", "two", false); again != "[two] hello\n" {
		t.Errorf("log of step two after the end: %q", again)
	}
	if b.GetStatus().GetBuilder() != "Cluster" || b.GetStatus().GetCluster().GetPodName() == "" || b.GetStatus().GetCompletionTime() == nil {
		t.Errorf("status %v", b.GetStatus())
	}
	p.awaitEvents("steps", "Started", "StepCompleted", "Succeeded")
	for name, want := range map[string]float64{
		"fairlead_builds_ended_total": 1, "fairlead_build_steps_completed_total": 4, "fairlead_build_duration_seconds": 1,
		"fairlead_build_image_lookup_duration_seconds": 4,
	} {
		if got := p.metric(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for i, s := range b.GetStatus().GetStepStates() {
		if s.GetTerminated() == nil || s.GetTerminated().GetReason() != "Completed" {
			t.Errorf("state of step %d: %v", i, s)
		}
	}
}

func TestGoBuilder(t *testing.T) {
	p := newPlatform(t, nil)
	url, commit := p.gitServer()
	p.create(`
metadata: {name: hello}
spec:
  source:
    git: {url: "` + url + `", revision: main}
    subPath: apps/hello
  steps:
  - {name: image, image: REGISTRY/builders/go, args: [REGISTRY/test/hello]}
`)
	began := time.Now()
	log := p.log("hello", "", true)
	b := p.awaitEnd("hello")
	t.Logf("took %s\n%s", time.Since(began), log)
	if outcome(b).GetStatus() != condition.True {
		t.Fatalf("condition %v", outcome(b))
	}
	if !strings.Contains(log, "[git-source] fetched main at "+commit) {
		t.Errorf("the log does not tell of commit %s", commit)
	}
	pods := p.kube.Clientset().CoreV1().Pods(p.namespace)
	_, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: kmetav1.ObjectMeta{Name: "app"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: p.cluster.registry + "/test/hello", ImagePullPolicy: corev1.PullAlways}}},
	}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if code := answers(t, "http://"+p.awaitPod("app")+":8080/"); code != http.StatusOK {
		t.Errorf("the program answers %d", code)
	}
}

func TestFailures(t *testing.T) {
	p := newPlatform(t, func(c *build.Config) { c.PullTimeout, c.AccountTimeout = 4*time.Second, time.Second })
	url, _ := p.gitServer()
	for _, c := range []struct {
		name, spec   string
		reason, says string
	}{
		{"exit-code", `steps: [{name: good, image: TOOL}, {name: bad, image: TOOL, args: [fail, "42"]}, {name: never, image: TOOL}]`,
			"StepFailed", "step \"bad\" exited with code 42; see `fairlead logs build/exit-code"},
		{"no-command", `steps: [{name: one, image: TOOL, command: [nothing]}]`, "StepFailed", `step "one" did not start: command "nothing" is in no folder`},
		{"no-revision", `source: {git: {url: "` + url + `", revision: nope}}` + "\n  steps: [{name: one, image: TOOL}]", "SourceFailed", `revision "nope" not found in ` + url},
		{"no-repository", `source: {git: {url: "` + url + `x", revision: main}}` + "\n  steps: [{name: one, image: TOOL}]", "SourceFailed", "app.gitx not found"},
		{"no-folder", `source: {git: {url: "` + url + `", revision: main}, subPath: none/such}` + "\n  steps: [{name: one, image: TOOL}]", "SourceFailed", `no folder "none/such"`},
		{"no-image", `steps: [{name: one, image: REGISTRY/none/such}]`, "ImagePullFailed", `/none/such" not found`},
		{"no-image-but-command", `steps: [{name: one, image: TOOL}, {name: two, image: REGISTRY/none/such, command: [a]}]`, "ImagePullFailed", `of step "two" cannot be pulled`},
		{"no-account", "serviceAccountName: nobody\n  steps: [{name: one, image: TOOL}]", "PodCreationFailed", `there is no service account "nobody"`},
		{"no-secret", `steps: [{name: one, image: TOOL, env: [{name: A, valueFrom: {secretKeyRef: {name: none, key: a}}}]}]`, "StepCannotStart", `step "one" cannot start: secret "none" not found`},
		{"no-resource", `steps: [{name: one, image: TOOL, resources: {requests: {mem: 2Gi}}}]`, "PodCreationFailed", "must be a standard resource"},
		{"timeout", "timeout: 4s\n  steps: [{name: one, image: TOOL, args: [wait]}]", "BuildTimeout", "did not end within 4s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := p.in(t)
			began := time.Now()
			p.create("metadata: {name: " + c.name + "}\nspec:\n  " + c.spec)
			b := p.awaitEnd(c.name)
			t.Logf("%s: %s (%s)", outcome(b).GetReason(), outcome(b).GetMessage(), time.Since(began).Round(time.Millisecond))
			if got := outcome(b); got.GetStatus() != condition.False || got.GetReason() != c.reason || !strings.Contains(got.GetMessage(), c.says) {
				t.Errorf("condition %v, want %s: … %s …", got, c.reason, c.says)
			}
			p.awaitStopped()
		})
	}
}

func TestLogsAfterFailures(t *testing.T) {
	p := newPlatform(t, nil)
	p.create(`
metadata: {name: failing}
spec:
  steps: [{name: one, image: TOOL, args: [echo, before]}, {name: two, image: TOOL, args: [fail, "3"]}, {name: three, image: TOOL}]
`)
	p.create(`
metadata: {name: slow}
spec:
  timeout: 5s
  steps: [{name: one, image: TOOL, args: [wait]}, {name: two, image: TOOL}]
`)
	if got, want := p.log("failing", "", true), "[one] before\n[two] failing with 3\n"; got != want {
		t.Errorf("log\n%s, want\n%s", got, want)
	}
	b := p.awaitEnd("failing")
	states := b.GetStatus().GetStepStates()
	if states[0].GetTerminated().GetExitCode() != 0 || states[1].GetTerminated().GetExitCode() != 3 ||
		states[2].GetTerminated().GetReason() != "Skipped" && states[2].GetWaiting().GetReason() != "Skipped" {
		t.Errorf("states %v", states)
	}
	for name, step := range map[string]string{"none": "", "failing": "four"} {
		_, err := p.tryLog(name, step, false)
		want := codes.NotFound
		if step != "" {
			want = codes.InvalidArgument
		}
		if status.Code(err) != want {
			t.Errorf("log of build %q, step %q: %v, want %s", name, step, err, want)
		}
	}
	p.awaitEnd("slow")
	if got, want := p.log("slow", "", true), "[one] waiting\n"; !strings.HasPrefix(got, want) {
		t.Errorf("log\n%s, want it to begin with\n%s", got, want)
	}
}

func TestCancelAndDelete(t *testing.T) {
	p := newPlatform(t, nil)
	p.create("metadata: {name: long}\nspec: {steps: [{name: one, image: TOOL, args: [wait]}]}")
	b := p.awaitReason("long", "Running")
	b.Spec.Status = "BuildCancelled"
	if _, err := p.builds.Update(t.Context(), &buildv1.BuildServiceUpdateRequest{Namespace: p.namespace, Object: b}); err != nil {
		t.Fatal(err)
	}
	if got := outcome(p.awaitEnd("long")); got.GetReason() != "BuildCancelled" {
		t.Errorf("condition %v", got)
	}
	p.awaitNoPods()
	if _, err := p.tryLog("long", "", false); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "went with its pod") {
		t.Errorf("log of a build whose pod is gone: %v", err)
	}

	p.create("metadata: {name: short}\nspec: {steps: [{name: one, image: TOOL, args: [wait]}]}")
	p.awaitReason("short", "Running")
	p.remove("short")
	// One of the same name begins anew, with a pod of its own, whether or not the other's is gone.
	p.create("metadata: {name: short}\nspec: {steps: [{name: one, image: TOOL, args: [echo, second]}]}")
	if got := p.log("short", "", true); got != "[one] second\n" {
		t.Errorf("log %q", got)
	}
	p.stop()
	deleted := p.pods()
	p.start()
	p.remove("short")
	if len(deleted) == 0 {
		t.Error("there was no pod to be cleared away")
	}
	p.awaitNoPods()
}

func TestPodsGoBehindOurBack(t *testing.T) {
	p := newPlatform(t, nil)
	p.create("metadata: {name: running}\nspec: {steps: [{name: one, image: TOOL, args: [wait]}]}")
	p.awaitReason("running", "Running")
	p.removePods()
	if got := outcome(p.awaitEnd("running")); got.GetReason() != "PodLost" {
		t.Errorf("condition %v", got)
	}
	p.create("metadata: {name: waiting}\nspec:\n  nodeSelector: {no: node}\n  steps: [{name: one, image: TOOL}]")
	p.await("waiting", "unschedulable", func(b *buildv1.Build) bool {
		return strings.Contains(outcome(b).GetMessage(), "no node takes the pod")
	})
	first := p.pods()
	p.removePods()
	p.awaitPods("made again", func(pods []corev1.Pod) bool { return len(pods) == 1 && pods[0].UID != first[0].UID })
	if got := outcome(p.awaitReason("waiting", "Pending")); got.GetStatus() != condition.Unknown {
		t.Errorf("condition %v", got)
	}
}

func TestRestarts(t *testing.T) {
	p := newPlatform(t, nil)
	uids := map[types.UID]bool{}
	for round := range 6 {
		name := fmt.Sprintf("round-%d", round)
		p.create("metadata: {name: " + name + "}\nspec: {steps: [{name: one, image: TOOL}, {name: two, image: TOOL}, {name: three, image: TOOL}]}")
		// Further and further into the build: before anything, after the start, once a pod is there, once steps run.
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(round*round)*100*time.Millisecond)
		<-ctx.Done()
		cancel()
		p.stop()
		p.start()
		if got := outcome(p.awaitEnd(name)); got.GetStatus() != condition.True {
			t.Errorf("%s: condition %v", name, got)
		}
		for _, pod := range p.pods() {
			uids[pod.UID] = true
		}
		if len(uids) != round+1 {
			t.Fatalf("%d pods for %d builds", len(uids), round+1)
		}
	}
}

func TestLongLog(t *testing.T) {
	p := newPlatform(t, nil)
	const lines = 20000
	p.create(fmt.Sprintf("metadata: {name: long}\nspec: {steps: [{name: one, image: TOOL, args: [lines, %q]}]}", fmt.Sprint(lines)))
	began := time.Now()
	log := p.log("long", "one", true)
	t.Logf("%d bytes in %s", len(log), time.Since(began))
	got := strings.Split(strings.TrimSpace(log), "\n")
	if len(got) != lines {
		t.Fatalf("%d lines, want %d", len(got), lines)
	}
	for i, l := range got {
		if !strings.HasPrefix(l, fmt.Sprintf("[one] line %d ", i)) {
			t.Fatalf("line %d is %q", i, l)
		}
	}
}

func TestRefusals(t *testing.T) {
	p := newPlatform(t, nil)
	_, err := p.tryCreate(`
metadata: {name: wrong}
spec:
  timeout: 25h
  source: {git: {url: "ftp://example.com/a", revision: "-x"}, subPath: ../../etc}
  volumes: [{name: host, hostPath: {path: /}}]
  steps:
  - {name: Bad_Name, image: TOOL, securityContext: {privileged: true}}
  - {name: two, volumeMounts: [{name: none, mountPath: /workspace}]}
  - {name: two, image: TOOL}
`)
	e := apierror.FromStatus(err)
	if e == nil || e.Reason != apierror.ReasonInvalid {
		t.Fatalf("error %v", err)
	}
	var fields []string
	for _, c := range e.Causes {
		fields = append(fields, c.Field)
	}
	slices.Sort(fields)
	want := []string{
		"spec.source.git.revision", "spec.source.git.url", "spec.source.subPath", "spec.steps[0].name", "spec.steps[0].securityContext.privileged",
		"spec.steps[1].image", "spec.steps[1].volumeMounts[0].mountPath", "spec.steps[1].volumeMounts[0].name", "spec.steps[2].name",
		"spec.timeout", "spec.volumes[0].hostPath",
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("fields of the faults (-want +got):\n%s\n%s", diff, e.Message)
	}
}

func TestCredentials(t *testing.T) {
	p := newPlatform(t, nil)
	url, commit := p.gitServer()
	core := p.kube.Clientset().CoreV1()
	_, err := core.Secrets(p.namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: kmetav1.ObjectMeta{Name: "private", Annotations: map[string]string{
			"build.knative.dev/git-0": strings.TrimSuffix(url, "/app.git"), "build.knative.dev/docker-0": "https://registry.example",
		}},
		Type:       corev1.SecretTypeBasicAuth,
		StringData: map[string]string{"username": "ann", "password": "secret"},
	}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = core.ServiceAccounts(p.namespace).Create(t.Context(), &corev1.ServiceAccount{
		ObjectMeta: kmetav1.ObjectMeta{Name: "builder"}, Secrets: []corev1.ObjectReference{{Name: "private"}},
	}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	private := strings.Replace(url, "/app.git", "/private/app.git", 1)
	source := "\n  source: {git: {url: '" + private + "', revision: " + commit + "}}\n  steps: [{name: one, image: TOOL, args: [cat, /builder/home/.docker/config.json]}]"
	p.create("metadata: {name: without}\nspec:" + source)
	p.create("metadata: {name: with}\nspec:\n  serviceAccountName: builder" + source)
	if got := outcome(p.awaitEnd("without")); got.GetReason() != "SourceFailed" || !strings.Contains(got.GetMessage(), "refuses access") {
		t.Errorf("condition %v", got)
	}
	log := p.log("with", "one", true)
	if got := outcome(p.awaitEnd("with")); got.GetStatus() != condition.True {
		t.Errorf("condition %v", got)
	}
	if !strings.Contains(log, `"registry.example":{"auth":"YW5uOnNlY3JldA=="}`) {
		t.Errorf("docker's config is %s", log)
	}
}
