// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// kubectlPods are the commands about what is the cluster's own, passed through.
func kubectlPods() map[string]func(t *testing.T, k kubectlAt) {
	return map[string]func(t *testing.T, k kubectlAt){
		"logs": steps(
			step{args: args("logs box --container echo"), wants: []string{"say something"}},
			step{args: args("logs box --container echo --follow --limit-bytes 3"), wants: []string{"^say$"}},
			step{args: args("logs box --container absent"), fails: true, wants: []string{"container absent is not valid for pod box"}},
			step{args: args("logs absent"), fails: true, wants: []string{`pods "absent" not found`}},
		),
		"exec": steps(
			step{args: args("exec box --container web -- /app exit 0"), wants: []string{"leaving with 0"}},
			step{args: args("exec box --container web -- /app exit 7"), fails: true, wants: []string{"leaving with 7", "exit code 7"}},
			step{args: args("exec --stdin box --container web -- /app echo"), stdin: "over here\n", wants: []string{"over here"}},
			step{args: args("exec box --container web -- /absent"), fails: true, wants: []string{"/absent"}},
			step{args: args("exec absent -- /app"), fails: true, wants: []string{`pods "absent" not found`}},
		),
		"attach":       kubectlAttach,
		"cp":           kubectlCopy,
		"port-forward": kubectlForward,
		"rollout": steps(
			step{args: append(args("create deployment rolled --replicas 0 --image"), "registry.test/a:1"), wants: []string{"created"}},
			step{args: args("rollout status deployment/rolled --timeout 60s"), wants: []string{"successfully rolled out"}},
			step{args: append(args("set image deployment/rolled"), "a=registry.test/a:2"), wants: []string{"image updated"}},
			step{args: args("rollout restart deployment/rolled"), wants: []string{"restarted"}},
			step{args: args("rollout status deployment/rolled --timeout 60s"), wants: []string{"successfully rolled out"}},
			step{args: args("rollout history deployment/rolled"), wants: []string{`REVISION`, `(?m)^3\s`}},
			step{args: args("rollout undo deployment/rolled --to-revision 1"), wants: []string{"rolled back"}},
			step{args: args("get deployment rolled --output jsonpath={.spec.template.spec.containers[0].image}"), wants: []string{"^registry.test/a:1$"}},
			step{args: args("rollout status deployment/absent"), fails: true, wants: []string{`deployments.apps "absent" not found`}},
			step{args: args("rollout restart ksvc/web"), fails: true, wants: []string{`no kind "Service" is registered`}},
		),
		"scale": steps(
			step{args: append(args("create deployment scaled --replicas 0 --image"), "registry.test/a:1"), wants: []string{"created"}},
			step{args: args("scale deployment scaled --replicas 0 --current-replicas 0"), wants: []string{"scaled"}},
			step{args: args("scale deployment scaled --replicas 1 --current-replicas 5"), fails: true, wants: []string{"[Ee]xpected replicas to be 5, was 0"}},
			step{args: args("scale ksvc web --replicas 2"), fails: true, wants: []string{`services.serving.knative.dev have no subresource "scale"`}},
			step{args: args("scale deployment absent --replicas 0"), fails: true, wants: []string{"absent"}},
		),
	}
}

// kubectlAttach says something to a container that repeats it.
func kubectlAttach(t *testing.T, k kubectlAt) {
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	attach := k.command(ctx, args("attach --stdin box --container echo")...)
	in, err := attach.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := attach.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := attach.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = attach.Wait()
	}()
	if _, err := io.WriteString(in, "is anybody there\n"); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); !strings.Contains(lines.Text(), "is anybody there"); {
		if !lines.Scan() {
			t.Fatalf("attach ended before the answer: %v", lines.Err())
		}
	}
	runSteps(t, k.run, []step{{args: args("attach absent"), fails: true, wants: []string{`pods "absent" not found`}}})
}

// kubectlCopy copies a file into a pod and back.
func kubectlCopy(t *testing.T, k kubectlAt) {
	dir := t.TempDir()
	there, back := filepath.Join(dir, "there.txt"), filepath.Join(dir, "back.txt")
	if err := os.WriteFile(there, []byte("copied"), 0o600); err != nil {
		t.Fatal(err)
	}
	runSteps(t, k.run, []step{
		{args: []string{"cp", there, "box:/data/there.txt", "--container", "web", "--no-preserve"}},
		{args: args("exec box --container web -- /app cat /data/there.txt"), wants: []string{"^copied$"}},
		{args: []string{"cp", "box:/data/there.txt", back, "--container", "web"}},
		{args: []string{"cp", "box:/data/absent", back, "--container", "web"}, fails: true, wants: []string{"absent"}},
	})
	if data, err := os.ReadFile(back); err != nil || string(data) != "copied" {
		t.Errorf("what came back: %q %v", data, err)
	}
}

// kubectlForward asks a pod's server through a port of this machine.
func kubectlForward(t *testing.T, k kubectlAt) {
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	forward := k.command(ctx, args("port-forward pod/box :8080 --address 127.0.0.1")...)
	out, err := forward.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = forward.Wait()
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("port-forward said nothing: %v", lines.Err())
	}
	found := regexp.MustCompile(`Forwarding from (\S+) -> 8080`).FindStringSubmatch(lines.Text())
	if found == nil {
		t.Fatalf("no address in %q", lines.Text())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+found[1]+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if data, err := io.ReadAll(res.Body); err != nil || string(data) != "out of the box\n" {
		t.Errorf("the pod's answer: %q %v", data, err)
	}
	runSteps(t, k.run, []step{{args: args("port-forward pod/absent :8080"), fails: true, wants: []string{`pods "absent" not found`}}})
}
