// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fairlead.dev/services/e2e/harness"
)

// kubectl runs the real one with the kubeconfig that the server wrote.
func kubectl(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Kubectl(s.state), append([]string{"--kubeconfig", s.server.Config().Kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// step is one command, and what its output must match.
type step struct {
	args  []string
	stdin string
	fails bool
	wants []string
}

func runSteps(t *testing.T, run func(t *testing.T, stdin string, args ...string) (string, error), steps []step) {
	t.Helper()
	for _, st := range steps {
		out, err := run(t, st.stdin, st.args...)
		if (err != nil) != st.fails {
			t.Fatalf("%s: %v\n%s", strings.Join(st.args, " "), err, out)
		}
		for _, want := range st.wants {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%s: no %q in:\n%s", strings.Join(st.args, " "), want, out)
			}
		}
	}
}

// TestKubectl does with kubectl what people do with it.
func TestKubectl(t *testing.T) {
	ns := namespace(t)
	n := func(args ...string) []string { return append([]string{"--namespace", ns}, args...) }
	service := func(text string) string {
		return fmt.Sprintf("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      containers:\n      - image: %s\n        env: [{name: TEXT, value: %s}]\n", app(t), text)
	}
	runSteps(t, kubectl, []step{
		{args: []string{"version"}, wants: []string{"Server Version"}},
		{args: []string{"api-resources"}, wants: []string{`services\s+kservice,ksvc\s+serving.knative.dev/v1\s+true\s+Service`, `pods\s+po\s+v1`, `builds`}},
		{args: n("apply", "--filename", "-"), stdin: service("one"), wants: []string{"service.serving.knative.dev/web created"}},
		// The container's name is defaulted, so that kubectl's patch is not empty; the spec must stay what it was all the same.
		{args: n("apply", "--filename", "-"), stdin: service("one"), wants: []string{"service.serving.knative.dev/web (configured|unchanged)"}},
		{args: n("get", "ksvc", "web", "--output", "jsonpath={.metadata.generation}"), wants: []string{"^1$"}},
		{args: n("wait", "ksvc/web", "--for", "condition=Ready", "--timeout", "120s"), wants: []string{"condition met"}},
		{args: n("get", "ksvc"), wants: []string{`NAME\s+URL\s+LATESTCREATED\s+LATESTREADY\s+READY`, `web\s+http://web\.` + ns + `\.localhost`, `web-00001\s+web-00001\s+True`}},
		{args: n("get", "knative"), wants: []string{"revision.serving.knative.dev/web-00001", "route.serving.knative.dev/web"}},
		{args: n("get", "ksvc", "web", "--output", "jsonpath={.status.latestReadyRevisionName}"), wants: []string{"^web-00001$"}},
		{args: n("get", "ksvc", "web", "--output", "yaml"), wants: []string{"apiVersion: serving.knative.dev/v1", "observedGeneration: 1"}},
		{args: n("describe", "ksvc", "web"), wants: []string{`Name:\s+web`, `Kind:\s+Service`, "Latest Ready Revision Name"}},
		{args: n("describe", "revision", "web-00001"), wants: []string{"Events:"}},
		{args: n("apply", "--filename", "-"), stdin: service("two"), wants: []string{"configured"}},
		{args: n("wait", "ksvc/web", "--for", "jsonpath={.status.latestReadyRevisionName}=web-00002", "--timeout", "120s")},
		{args: n("label", "ksvc", "web", "tier=front"), wants: []string{"labeled"}},
		{args: n("get", "ksvc", "--selector", "tier=front", "--no-headers"), wants: []string{"^web"}},
		{args: n("get", "ksvc", "--selector", "tier=back"), wants: []string{"No resources found"}},
		{args: n("annotate", "ksvc", "web", "note=hello"), wants: []string{"annotated"}},
		{args: n("patch", "ksvc", "web", "--type", "merge", "--patch", `{"metadata":{"annotations":{"note":"again"}}}`), wants: []string{"patched"}},
		{args: n("patch", "ksvc", "web", "--type", "json", "--patch", `[{"op":"replace","path":"/metadata/annotations/note","value":"third"}]`), wants: []string{"patched"}},
		{args: n("explain", "ksvc.spec.template.spec"), wants: []string{"containerConcurrency", "containers"}},
		{args: n("get", "pods"), wants: []string{"web-00002"}},
		{args: n("auth", "can-i", "list", "pods"), wants: []string{"yes"}},
		{args: n("get", "ksvc", "absent"), fails: true, wants: []string{`services.serving.knative.dev "absent" not found`}},
		{args: n("apply", "--filename", "-"), stdin: strings.Replace(service("two"), "containers", "containerz", 1), fails: true, wants: []string{"containerz"}},
		{args: n("delete", "ksvc", "web"), wants: []string{`service.serving.knative.dev "web" deleted`}},
		{args: n("wait", "revision", "--all", "--for", "delete", "--timeout", "60s")},
		{args: n("get", "knative"), wants: []string{"No resources found"}},
	})
}

// TestCommandLine does with fairlead what people do with it, over gRPC.
func TestCommandLine(t *testing.T) {
	ns := namespace(t)
	fairlead := func(t *testing.T, stdin string, args ...string) (string, error) {
		t.Helper()
		cfg := s.server.Config()
		cmd := exec.CommandContext(t.Context(), filepath.Join(s.state, "bin", "fairlead"), append(args,
			"--server", fmt.Sprintf("127.0.0.1:%d", cfg.Ports.GRPC), "--token-file", cfg.Token, "--namespace", ns)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	build := fmt.Sprintf("apiVersion: build.knative.dev/v1alpha1\nkind: Build\nmetadata: {name: b}\nspec: {steps: [{name: say, image: %q, args: [exit, \"0\"]}]}\n", app(t))
	runSteps(t, fairlead, []step{
		{args: []string{"version"}, wants: []string{"(?i)client"}},
		{args: []string{"apply", "-f", "-"}, stdin: build, wants: []string{"build.build.knative.dev/b created"}},
		{args: []string{"apply", "-f", "-"}, stdin: build, wants: []string{"unchanged"}},
		{args: []string{"wait", "build/b", "--for=condition=Succeeded", "--timeout=120s"}, wants: []string{"condition met"}},
		{args: []string{"logs", "build/b"}, wants: []string{"leaving with 0"}},
		{args: []string{"get", "builds"}, wants: []string{`NAME\s+SUCCEEDED`, `b\s+True`}},
		{args: []string{"get", "build", "b", "-o", "yaml"}, wants: []string{"kind: Build", "stepsCompleted"}},
		{args: []string{"describe", "build", "b"}, wants: []string{"Succeeded"}},
		{args: []string{"get", "bilds"}, fails: true, wants: []string{"builds"}},
		{args: []string{"apply", "-f", "-"}, stdin: strings.Replace(build, "steps", "stepz", 1), fails: true, wants: []string{"spec.stepz"}},
		{args: []string{"delete", "build", "b"}, wants: []string{`"b" deleted`}},
		{args: []string{"get", "build", "b"}, fails: true, wants: []string{"not found"}},
		{args: []string{"completion", "bash"}, wants: []string{"fairlead"}},
	})
}

// TestReflection has grpcurl list the services without a token, and nothing else be had without one.
func TestReflection(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", s.server.Config().Ports.GRPC)
	grpcurl := func(t *testing.T, _ string, args ...string) (string, error) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), filepath.Join(s.state, "bin", "grpcurl"), append([]string{"-plaintext"}, args...)...).CombinedOutput()
		return string(out), err
	}
	runSteps(t, grpcurl, []step{
		{args: []string{address, "list"}, wants: []string{
			"fairlead.auth.v1.TokenService", "fairlead.build.v1.BuildService", "fairlead.serving.v1.ServiceService", "fairlead.eventing.v1.BrokerService",
		}},
		{args: []string{address, "describe", "fairlead.build.v1.BuildService"}, wants: []string{"rpc Create"}},
		{args: []string{address, "grpc.health.v1.Health/Check"}, wants: []string{"SERVING"}},
		{args: []string{"-d", `{"namespace":"default"}`, address, "fairlead.build.v1.BuildService/List"}, fails: true, wants: []string{"Unauthenticated"}},
		{args: []string{"-d", `{}`, address, "fairlead.auth.v1.TokenService/WhoAmI"}, fails: true, wants: []string{"Unauthenticated"}},
	})
}
