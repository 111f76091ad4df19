// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/store"
)

func metaOf(prefix string) *metav1.ObjectMeta {
	return &metav1.ObjectMeta{GenerateName: prefix, Namespace: "default"}
}

func TestWait(t *testing.T) {
	f := start(t)
	f.write("one.yaml", serviceYAML("one", ", labels: {app: shop}"))
	f.transcript(t, "wait.golden",
		call{args: "apply -f one.yaml"},
		call{args: "wait ksvc/one --for=condition=Ready --timeout=1s"},
		call{args: "wait ksvc/one --for=condition=Ready --timeout=1s", before: func(f *fixture) {
			f.ready("one", "False", "RevisionFailed", "the image cannot be pulled")
		}},
		call{args: "wait ksvc one --for=condition=ready=false"},
		call{args: "wait ksvc one --for=condition=Ready --timeout=0"},
		call{args: "wait -f one.yaml --for=condition=Ready", before: func(f *fixture) { f.ready("one", "True", "", "") }},
		call{args: "wait ksvc -l app=shop --for=condition=Ready=True"},
		call{args: "wait ksvc --all -A --for=jsonpath='{.status.url}'=http://one.default.localhost:8000"},
		call{args: "wait ksvc/one --for=jsonpath='{.metadata.name}'=two --timeout=1s"},
		call{args: "wait ksvc/one --for=jsonpath='{.status.latestReadyRevisionName}' --timeout=1s"},
		call{args: "wait ksvc/one --for=jsonpath=.status.url"},
		call{args: "wait ksvc/one --for=jsonpath='{.metadata.name}{.metadata.namespace}'"},
		call{args: "wait ksvc/one --for=create"},
		call{args: "wait ksvc/absent --for=create --timeout=1s"},
		call{args: "wait ksvc/absent ksvc/one build/absent --for=condition=Ready"},
		call{args: "wait ksvc/absent --for=delete"},
		call{args: "wait ksvc/one --for=delete --timeout=1s"},
		call{args: "wait builds --all --for=condition=Succeeded"},
		call{args: "wait ksvc/one"},
		call{args: "wait ksvc/one --for=peace"},
		call{args: "wait ksvc/one --for=condition="},
		call{args: "wait ksvc/one --for=jsonpath="},
		call{args: "wait ksvc/one --for=jsonpath={.x"},
		call{args: "wait ksvc --for=delete"},
		call{args: "wait role/x --for=condition=Ready"},
		call{args: "wait"},
	)
}

// TestWaitGoesOn has the state come while a command waits: past False, for a newer generation, and for what is deleted.
func TestWaitGoesOn(t *testing.T) {
	f := start(t)
	if r := run(t.Context(), serviceYAML("one", "")+"---\n"+serviceYAML("two", "")+"---\n"+buildYAML("b"), "apply", "-f", "-"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	both := background(t, "wait", "ksvc/one", "ksvc/two", "--for=condition=Ready", "--timeout=-1s")
	both.err.until(t, "service.serving.knative.dev/two: it has no condition Ready yet")
	f.ready("one", "False", "RevisionFailed", "no luck")
	both.err.until(t, "service.serving.knative.dev/one: Ready is False (RevisionFailed): no luck")
	f.ready("one", "True", "", "")
	both.out.until(t, "service.serving.knative.dev/one condition met\n")
	if r := run(t.Context(), strings.Replace(serviceYAML("two", ""), "two:1", "two:2", 1), "apply", "-f", "-"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	f.ready("two", "True", "", "")
	if code := both.wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, both.err.text())
	}

	build := background(t, "wait", "build", "b", "--for=condition=Succeeded")
	build.err.until(t, "it has no condition Succeeded yet")
	k := kindOf(t, &buildv1.Build{})
	_, err := f.store.Update(t.Context(), k, store.Key{Namespace: "default", Name: "b"}, "", func(obj store.Object) (store.Object, error) {
		obj.(*buildv1.Build).Status = &buildv1.BuildStatus{ObservedGeneration: 1, Conditions: []*metav1.Condition{{Type: "Succeeded", Status: "True"}}}
		return obj, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if code := build.wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, build.err.text())
	}

	gone := background(t, "wait", "ksvc", "--all", "--for=delete")
	ready := background(t, "wait", "ksvc/two", "--for=condition=Ready=False")
	gone.err.until(t, "service.serving.knative.dev/two: it is still there")
	ready.err.until(t, "Ready is True")
	if r := run(t.Context(), "", "delete", "ksvc", "--all"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	if code := gone.wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, gone.err.text())
	}
	if code := ready.wait(); code != exitFailed || !strings.Contains(ready.err.text(), `Error from server (NotFound): services.serving.knative.dev "two" not found`) {
		t.Errorf("exit code %d: %s", code, ready.err.text())
	}
}

// TestWaitOutdated has a condition of an older generation not count.
func TestWaitOutdated(t *testing.T) {
	f := start(t)
	apply := func(image string) {
		t.Helper()
		if r := run(t.Context(), strings.Replace(serviceYAML("one", ""), "one:1", image, 1), "apply", "-f", "-"); r.code != 0 {
			t.Fatal(r.stderr)
		}
	}
	apply("one:1")
	f.ready("one", "True", "", "")
	apply("one:2")
	r := background(t, "wait", "ksvc/one", "--for=condition=Ready")
	r.err.until(t, "its newest change has not been acted on yet")
	f.ready("one", "True", "", "")
	if code := r.wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, r.err.text())
	}
}
