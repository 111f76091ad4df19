// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

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
