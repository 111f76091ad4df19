// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package mainjob

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// What the two commits answer with.
const (
	firstMessage  = "Hello from the first commit.\n"
	secondMessage = "Hello from the second commit.\n"
)

// namespace makes the namespace and takes away what an earlier run made in it, and nothing else.
func (j *job) namespace(ctx context.Context) error {
	doc := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", j.env.Namespace)
	if _, err := j.kubectl(ctx, doc, "apply", "--filename", "-"); err != nil {
		return err
	}
	_, err := j.kubectl(ctx, "", "delete", "--wait", "--ignore-not-found", "triggers.eventing.knative.dev/hello",
		"brokers.eventing.knative.dev/default", "services.serving.knative.dev/hello",
		"builds.build.knative.dev/hello-1", "builds.build.knative.dev/hello-2")
	return err
}

func (j *job) repository(ctx context.Context) error {
	var err error
	if j.repo, err = newRepository(ctx, j.dir, j.env.Sample, j.env.HostAddress); err != nil {
		return err
	}
	if err := j.repo.write("message.txt", firstMessage); err != nil {
		return err
	}
	return j.commit(ctx, "hello: first message")
}

func (j *job) commit(ctx context.Context, message string) error {
	commit, err := j.repo.commit(ctx, message)
	if err != nil {
		return err
	}
	j.commits = append(j.commits, commit)
	j.sayf("%.8s", commit)
	return nil
}

func (j *job) image(tag string) string {
	return j.env.Registry + "/" + j.env.Namespace + "/hello:" + tag
}

func (j *job) firstBuild(ctx context.Context) error {
	doc := fmt.Sprintf(`apiVersion: build.knative.dev/v1alpha1
kind: Build
metadata: {name: hello-1, namespace: %s}
spec:
  source: {git: {url: %q, revision: %s}}
  steps:
  - {name: image, image: %q, args: [%q]}
  timeout: 5m
`, j.env.Namespace, j.repo.url, j.commits[0], j.env.Registry+"/builders/go:latest", j.image("1"))
	if _, err := j.curl(ctx, j.env.REST+"/apply", doc); err != nil {
		return err
	}
	if err := j.env.At(ctx, PointBuilding); err != nil {
		return err
	}
	return j.built(ctx, "hello-1")
}

// built follows a build's log and waits for its end.
func (j *job) built(ctx context.Context, name string) error {
	// The log ends with the build, or with the server; the condition is what counts.
	_, _ = j.fairlead(ctx, "logs", "build/"+name, "--follow")
	type condition struct{ Type, Status, Reason, Message string }
	var build struct {
		Status struct{ Conditions []condition }
	}
	return eventually(ctx, 500*time.Millisecond, func() (bool, error) {
		out, err := j.kubectl(ctx, "", "get", "build", name, "--output", "json")
		if err != nil {
			return false, err
		}
		if err := json.Unmarshal([]byte(out), &build); err != nil {
			return true, fmt.Errorf("build %s: %w", name, err)
		}
		for _, c := range build.Status.Conditions {
			if c.Type == "Succeeded" && c.Status == "True" {
				return true, nil
			}
			if c.Type == "Succeeded" && c.Status == "False" {
				log, _ := j.fairlead(ctx, "logs", "build/"+name)
				return true, fmt.Errorf("build %s: %s: %s\n%s", name, c.Reason, c.Message, log)
			}
		}
		return false, fmt.Errorf("build %s has not ended", name)
	})
}

// serviceYAML is the service at an image, with a short window so that it idles soon.
func (j *job) serviceYAML(image, traffic string) string {
	return fmt.Sprintf(`apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello, namespace: %s}
spec:
  template:
    metadata:
      annotations: {autoscaling.knative.dev/window: 6s}
    spec:
      containers: [{image: %q}]
%s`, j.env.Namespace, image, traffic)
}

func (j *job) service(ctx context.Context) error {
	if _, err := j.kubectl(ctx, j.serviceYAML(j.image("1"), ""), "apply", "--filename", "-"); err != nil {
		return err
	}
	if err := j.env.At(ctx, PointDeploying); err != nil {
		return err
	}
	if err := j.ready(ctx, "services.serving.knative.dev/hello"); err != nil {
		return err
	}
	return j.answers(ctx, firstMessage)
}

// ready waits until an object is Ready, and says why it is not.
func (j *job) ready(ctx context.Context, object string) error {
	_, err := j.kubectl(ctx, "", "wait", object, "--for", "condition=Ready", "--timeout", "120s")
	if err != nil {
		described, _ := j.kubectl(ctx, "", "get", object, "--output", "yaml")
		return fmt.Errorf("%w\n%s", err, described)
	}
	return nil
}

func (j *job) answers(ctx context.Context, message string) error {
	code, text, err := j.get(ctx, "/")
	switch {
	case err != nil:
		return err
	case code != http.StatusOK || !strings.HasPrefix(text, message):
		return fmt.Errorf("the service answered %d %q, not %q", code, text, message)
	}
	return nil
}

func (j *job) idle(ctx context.Context) error {
	start := time.Now()
	if _, err := j.kubectl(ctx, "", "wait", "pod", "--selector", "serving.knative.dev/service=hello", "--for", "delete", "--timeout", "180s"); err != nil {
		return err
	}
	out, err := j.kubectl(ctx, "", "get", "pod", "--selector", "serving.knative.dev/service=hello", "--output", "name")
	if err != nil {
		return err
	}
	if strings.TrimSpace(out) != "" {
		return fmt.Errorf("pods are left: %s", out)
	}
	j.sayf("zero after %.1f s", time.Since(start).Seconds())
	start = time.Now()
	if err := j.answers(ctx, firstMessage); err != nil {
		return err
	}
	j.sayf("cold start %.2f s", time.Since(start).Seconds())
	return nil
}

func (j *job) secondBuild(ctx context.Context) error {
	if err := j.repo.write("message.txt", secondMessage); err != nil {
		return err
	}
	if err := j.commit(ctx, "hello: second message"); err != nil {
		return err
	}
	request, err := json.Marshal(map[string]any{
		"namespace": j.env.Namespace,
		"object": map[string]any{
			"metadata": map[string]any{"name": "hello-2"},
			"spec": map[string]any{
				"source":  map[string]any{"git": map[string]any{"url": j.repo.url, "revision": j.commits[1]}},
				"steps":   []any{map[string]any{"name": "image", "image": j.env.Registry + "/builders/go:latest", "args": []string{j.image("2")}}},
				"timeout": "5m",
			},
		},
	})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if _, err := j.grpcurl(ctx, "fairlead.build.v1.BuildService/Create", string(request)); err != nil {
		return err
	}
	return j.built(ctx, "hello-2")
}

// splitRequests is how many requests are sent to see shares, and the bounds of what 20 % of them may be: four standard
// deviations on either side.
const (
	splitRequests = 200
	splitLow      = 17
	splitHigh     = 63
)

func (j *job) split(ctx context.Context) error {
	traffic := "  traffic:\n  - {revisionName: hello-00001, percent: 80}\n  - {latestRevision: true, percent: 20}\n"
	if _, err := j.kubectl(ctx, j.serviceYAML(j.image("2"), traffic), "apply", "--filename", "-"); err != nil {
		return err
	}
	if err := j.ready(ctx, "services.serving.knative.dev/hello"); err != nil {
		return err
	}
	first, second := 0, 0
	for range splitRequests {
		code, text, err := j.get(ctx, "/")
		switch {
		case err != nil:
			return err
		case code == http.StatusOK && strings.HasPrefix(text, firstMessage):
			first++
		case code == http.StatusOK && strings.HasPrefix(text, secondMessage):
			second++
		default:
			return fmt.Errorf("the service answered %d %q", code, text)
		}
	}
	j.sayf("%d/%d of %d", first, second, splitRequests)
	if second < splitLow || second > splitHigh {
		return fmt.Errorf("%d of %d requests went to the second commit, which is not about 20 %%", second, splitRequests)
	}
	return nil
}

const eventingYAML = `apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: hello}
spec:
  broker: default
  filter: {attributes: {type: dev.fairlead.hello}}
  subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: hello}}
`

func (j *job) event(ctx context.Context) error {
	if _, err := j.kubectl(ctx, eventingYAML, "apply", "--filename", "-"); err != nil {
		return err
	}
	for _, object := range []string{"brokers.eventing.knative.dev/default", "triggers.eventing.knative.dev/hello"} {
		if err := j.ready(ctx, object); err != nil {
			return err
		}
	}
	id := uuid.NewString()
	url := j.env.Broker + "/" + j.env.Namespace + "/default"
	_, err := j.run(ctx, `{"greeting":"hello"}`, "curl", "--silent", "--show-error", "--fail-with-body", url,
		"--header", "Content-Type: application/json", "--header", "Ce-Specversion: 1.0", "--header", "Ce-Id: "+id,
		"--header", "Ce-Type: dev.fairlead.hello", "--header", "Ce-Source: quickstart", "--data-binary", "@-")
	if err != nil {
		return err
	}
	if err := j.env.At(ctx, PointAccepted); err != nil {
		return err
	}
	// Both revisions get events, in their shares; asking keeps their pods from idling.
	return eventually(ctx, 100*time.Millisecond, func() (bool, error) {
		code, text, err := j.get(ctx, "/events")
		if err != nil {
			return false, err
		}
		if code == http.StatusOK && strings.Contains(text, id) {
			return true, nil
		}
		return false, errors.New("the event has not reached the service")
	})
}
