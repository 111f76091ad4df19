// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead.dev/services/e2e/harness"
)

// kubectlAt is the real kubectl, at an endpoint and in a namespace.
type kubectlAt struct {
	endpoint

	namespace string
	// home is where it keeps what it learnt about the server.
	home string
	// env are further variables of its environment.
	env []string
}

// commandTime is how long one command may take.
const commandTime = 2 * time.Minute

// command is a command that has not run yet.
func (k kubectlAt) command(ctx context.Context, args ...string) *exec.Cmd {
	all := []string{"--kubeconfig", k.kubeconfig}
	if k.namespace != "" {
		all = append(all, "--namespace", k.namespace)
	}
	cmd := exec.CommandContext(ctx, harness.Kubectl(s.state), append(all, args...)...)
	cmd.Env = append(append(os.Environ(), "HOME="+k.home, "KUBECACHEDIR="+k.home), k.env...)
	return cmd
}

// run runs a command, and returns what it wrote.
func (k kubectlAt) run(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	cmd := k.command(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// kubectl runs a command at the front door.
func kubectl(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	return kubectlAt{endpoint: endpoint{kubeconfig: s.server.Config().Kubeconfig}, home: t.TempDir()}.run(t, stdin, args...)
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

// broker is an object of ours that needs no pods.
func broker(name, label string) string {
	return fmt.Sprintf("apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: %s, labels: {tier: %s}}\nspec: {}\n", name, label)
}

// trigger belongs to a broker, also as its dependent if there is a uid.
func trigger(name, ofBroker, uid string) string {
	owners := ""
	if uid != "" {
		owners = fmt.Sprintf(", ownerReferences: [{apiVersion: eventing.knative.dev/v1, kind: Broker, name: %s, uid: %s, blockOwnerDeletion: true}]", ofBroker, uid)
	}
	return fmt.Sprintf("apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {name: %s%s}\nspec: {broker: %s, filter: {attributes: {type: a}}, subscriber: {uri: 'http://127.0.0.1:1/'}}\n", name, owners, ofBroker)
}

// webService is a service whose pod answers with a text.
func webService(image, text string) string {
	return fmt.Sprintf("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: web, labels: {app: web}}\nspec:\n  template:\n    spec:\n      containers:\n      - image: %s\n        env: [{name: TEXT, value: %s}]\n", image, text)
}

// box is a pod of the cluster's own, with a server and with somebody who repeats what is said.
func box(image string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: box}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: data, emptyDir: {}}]
  containers:
  - {name: web, image: %[1]q, args: [serve], env: [{name: PORT, value: "8080"}, {name: TEXT, value: out of the box}], volumeMounts: [{name: data, mountPath: /data}]}
  - {name: echo, image: %[1]q, args: [echo], stdin: true}
`, image)
}

// prepare makes what most commands look at: a service with its pod, and a pod of the cluster's own.
func (k kubectlAt) prepare(t *testing.T) {
	t.Helper()
	runSteps(t, k.run, []step{
		{args: []string{"apply", "--filename", "-"}, stdin: webService(app(t), "one") + "---\n" + box(app(t)), wants: []string{
			"service.serving.knative.dev/web created", "pod/box created",
		}},
		{args: []string{"wait", "ksvc/web", "--for", "condition=Ready", "--timeout", "120s"}, wants: []string{"condition met"}},
		{args: []string{"wait", "pod/box", "--for", "condition=Ready", "--timeout", "120s"}, wants: []string{"condition met"}},
	})
}

// TestKubectl has every command do what people do with it, and refuse what it must, at every endpoint.
func TestKubectl(t *testing.T) {
	tests := map[string]func(t *testing.T, k kubectlAt){}
	for _, some := range []map[string]func(t *testing.T, k kubectlAt){kubectlReads(), kubectlWrites(), kubectlDeletions(), kubectlPods()} {
		maps.Copy(tests, some)
	}
	for _, e := range endpoints(t) {
		t.Run(e.name, func(t *testing.T) {
			k := kubectlAt{endpoint: e, namespace: namespace(t), home: t.TempDir()}
			k.prepare(t)
			for _, name := range slices.Sorted(maps.Keys(tests)) {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					tests[name](t, k)
				})
			}
		})
	}
}

// steps is a test that runs commands one after another.
func steps(of ...step) func(t *testing.T, k kubectlAt) {
	return func(t *testing.T, k kubectlAt) {
		t.Helper()
		runSteps(t, k.run, of)
	}
}

// apply is the step that applies documents.
func applied(documents string) step {
	return step{args: []string{"apply", "--filename", "-"}, stdin: documents, wants: []string{"created"}}
}

// args splits a command at its spaces.
func args(line string) []string { return strings.Fields(line) }
