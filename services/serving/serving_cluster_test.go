// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package serving_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/serving"
)

// newService is a service of the test's app.
func (g *rig) newService(t *testing.T, name, target string, change func(*servingv1.Service)) *servingv1.Service {
	t.Helper()
	img, err := image()
	if err != nil {
		t.Fatal(err)
	}
	s := &servingv1.Service{
		Metadata: &metav1.ObjectMeta{Namespace: g.namespace, Name: name},
		Spec: &servingv1.ServiceSpec{Template: &servingv1.RevisionTemplateSpec{
			Metadata: &metav1.ObjectMeta{Annotations: map[string]string{"autoscaling.knative.dev/window": "6s"}},
			Spec: &servingv1.RevisionSpec{PodSpec: &corepb.PodSpec{Containers: []*corepb.Container{{
				Image: img, Env: []*corepb.EnvVar{{Name: "TARGET", Value: target}},
			}}}},
		}},
	}
	if change != nil {
		change(s)
	}
	return s
}

func (g *rig) create(t *testing.T, s *servingv1.Service) {
	t.Helper()
	if _, err := g.services.Create(g.ctx, &servingv1.ServiceServiceCreateRequest{Object: s}); err != nil {
		t.Fatal(err)
	}
}

func (g *rig) service(t *testing.T, name string) *servingv1.Service {
	t.Helper()
	s, err := g.services.Get(g.ctx, &metav1.GetRequest{Namespace: g.namespace, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// await waits until the Service's Ready is as wanted for its newest generation.
func (g *rig) await(t *testing.T, name, status string) *servingv1.Service {
	t.Helper()
	var s *servingv1.Service
	eventually(t, fmt.Sprintf("service %s is Ready=%s", name, status), func() bool {
		s = g.service(t, name)
		ready := condition.Get(s.GetStatus().GetConditions(), condition.Ready)
		return s.GetStatus().GetObservedGeneration() == s.GetMetadata().GetGeneration() && ready.GetStatus() == status
	})
	return s
}

func (g *rig) pods(t *testing.T) int {
	t.Helper()
	list, err := g.kube.Clientset().CoreV1().Pods(g.namespace).List(t.Context(), kmetav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

func TestServiceFromZeroAndBack(t *testing.T) {
	g := startRig(t, nil)
	g.create(t, g.newService(t, "hello", "hello", nil))
	s := g.await(t, "hello", condition.True)
	if want := "http://hello." + g.namespace + ".localhost:8000"; s.GetStatus().GetUrl() != want {
		t.Errorf("url is %s, want %s", s.GetStatus().GetUrl(), want)
	}
	if code, body := g.get(t, s.GetStatus().GetUrl()); code != http.StatusOK || !strings.HasPrefix(body, "hello from hello-00001 of hello") {
		t.Fatalf("got %d %s", code, body)
	}
	if a := s.GetMetadata().GetAnnotations(); a["serving.knative.dev/creator"] != "alice" {
		t.Errorf("annotations are %v", a)
	}
	rev, err := g.revisions.Get(g.ctx, &metav1.GetRequest{Namespace: g.namespace, Name: "hello-00001"})
	if err != nil || len(rev.GetStatus().GetContainerStatuses()) != 1 || !strings.Contains(rev.GetStatus().GetContainerStatuses()[0].GetImageDigest(), "@sha256:") {
		t.Errorf("revision: %v, status %v", err, rev.GetStatus())
	}
	for i := range 3 {
		eventually(t, "no pods are left", func() bool { return g.pods(t) == 0 })
		began := time.Now()
		if code, body := g.get(t, s.GetStatus().GetUrl()); code != http.StatusOK {
			t.Fatalf("got %d %s", code, body)
		}
		t.Logf("cold start %d took %s", i, time.Since(began))
		if ready := condition.Get(g.service(t, "hello").GetStatus().GetConditions(), condition.Ready); ready.GetStatus() != condition.True {
			t.Errorf("Ready is %v after a cold start", ready)
		}
	}
	eventually(t, "events tell of scaling", func() bool {
		events, err := g.kube.Clientset().CoreV1().Events(g.namespace).List(t.Context(), kmetav1.ListOptions{FieldSelector: "reason=Scaled"})
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.InvolvedObject.Kind == "Revision" && strings.HasPrefix(e.Message, "from 0 to 1 pods: requests that wait for a pod")
		})
	})
}

func TestClusterLocalName(t *testing.T) {
	g := startRig(t, nil)
	g.create(t, g.newService(t, "hello", "hello", nil))
	s := g.await(t, "hello", condition.True)
	svc, err := g.kube.Clientset().CoreV1().Services(g.namespace).Get(t.Context(), "hello", kmetav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+svc.Spec.ClusterIP, http.NoBody)
	req.Host = strings.TrimPrefix(s.GetStatus().GetAddress().GetUrl(), "http://")
	client := &http.Client{Timeout: 5 * time.Second}
	eventually(t, "the cluster-local name answers", func() bool {
		resp, err := client.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if _, err := g.services.Delete(g.ctx, &metav1.DeleteRequest{Namespace: g.namespace, Name: "hello"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is left in the cluster", func() bool {
		services, err := g.kube.Clientset().CoreV1().Services(g.namespace).List(t.Context(), kmetav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		slices, err := g.kube.Clientset().DiscoveryV1().EndpointSlices(g.namespace).List(t.Context(), kmetav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sets, err := g.kube.Clientset().AppsV1().ReplicaSets(g.namespace).List(t.Context(), kmetav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return len(services.Items)+len(slices.Items)+len(sets.Items) == 0
	})
	eventually(t, "the host is unknown", func() bool {
		code, _ := g.get(t, s.GetStatus().GetUrl())
		return code == http.StatusNotFound
	})
}

func TestTrafficOverRevisions(t *testing.T) {
	g := startRig(t, nil)
	g.create(t, g.newService(t, "hello", "one", nil))
	g.await(t, "hello", condition.True)
	update := func(change func(*servingv1.Service)) *servingv1.Service {
		s := g.service(t, "hello")
		change(s)
		if _, err := g.services.Update(g.ctx, &servingv1.ServiceServiceUpdateRequest{Object: s}); err != nil {
			t.Fatal(err)
		}
		return g.await(t, "hello", condition.True)
	}
	s := update(func(s *servingv1.Service) {
		s.Spec.Template.Spec.PodSpec.Containers[0].Env[0].Value = "two"
		s.Spec.Traffic = []*servingv1.TrafficTarget{
			{RevisionName: "hello-00001", Percent: proto.Int64(80)},
			{LatestRevision: new(true), Percent: proto.Int64(20), Tag: "next"},
		}
	})
	if got := s.GetStatus().GetLatestReadyRevisionName(); got != "hello-00002" {
		t.Fatalf("latest ready revision is %s", got)
	}
	counts := map[string]int{}
	for range 200 {
		_, body := g.get(t, s.GetStatus().GetUrl())
		first, _, _ := strings.Cut(body, " ")
		counts[first]++
	}
	if counts["one"] < 120 || counts["two"] < 10 {
		t.Errorf("shares are %v, want about 160 and 40", counts)
	}
	if _, body := g.get(t, "http://next-hello."+g.namespace+".localhost:8000"); !strings.HasPrefix(body, "two") {
		t.Errorf("the tag answers %q", body)
	}
	// Metadata makes no revision.
	update(func(s *servingv1.Service) { s.Metadata.Labels = map[string]string{"team": "a"} })
	list, err := g.revisions.List(g.ctx, &metav1.ListRequest{Namespace: g.namespace})
	if err != nil || len(list.GetItems()) != 2 {
		t.Errorf("%d revisions, %v", len(list.GetItems()), err)
	}
}

func TestFailuresSayWhatToDo(t *testing.T) {
	g := startRig(t, nil)
	deadline := func(s *servingv1.Service) {
		s.Spec.Template.Metadata.Annotations["serving.knative.dev/progress-deadline"] = "8s"
	}
	container := func(s *servingv1.Service) *corepb.Container { return s.Spec.Template.Spec.PodSpec.Containers[0] }
	for _, tc := range []struct {
		name    string
		change  func(*servingv1.Service)
		reason  string
		message string
	}{
		{"absent", func(s *servingv1.Service) { container(s).Image += "-absent" }, "ContainerMissing", "check its name and tag"},
		{"crash", func(s *servingv1.Service) {
			container(s).Env = append(container(s).Env, &corepb.EnvVar{Name: "MISBEHAVE", Value: "crash"})
		}, "ExitCode3", "cannot reach the database"},
		{"silent", func(s *servingv1.Service) {
			container(s).Env = append(container(s).Env, &corepb.EnvVar{Name: "MISBEHAVE", Value: "silent"})
			deadline(s)
		}, "ProgressDeadlineExceeded", "does it listen on 0.0.0.0, at port 8080"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g.create(t, g.newService(t, tc.name, "x", tc.change))
			s := g.await(t, tc.name, condition.False)
			message := condition.Get(s.GetStatus().GetConditions(), condition.Ready).GetMessage()
			rev, err := g.revisions.Get(g.ctx, &metav1.GetRequest{Namespace: g.namespace, Name: tc.name + "-00001"})
			if err != nil {
				t.Fatal(err)
			}
			ready := condition.Get(rev.GetStatus().GetConditions(), condition.Ready)
			if ready.GetReason() != tc.reason || !strings.Contains(ready.GetMessage(), tc.message) || !strings.Contains(message, tc.message) {
				t.Errorf("revision: %s: %s\nservice: %s", ready.GetReason(), ready.GetMessage(), message)
			}
			eventually(t, "the router names the reason and where to ask, and none of the insides", func() bool {
				code, body := g.get(t, "http://"+tc.name+"."+g.namespace+".localhost:8000")
				return code == http.StatusServiceUnavailable && strings.Contains(body, tc.reason) &&
					strings.Contains(body, "kubectl describe revision "+tc.name) && !strings.Contains(body, tc.message)
			})
		})
	}
	eventually(t, "the failed revision has no pods", func() bool {
		rs, err := g.kube.Clientset().AppsV1().ReplicaSets(g.namespace).Get(t.Context(), "silent-00001-deployment", kmetav1.GetOptions{})
		return err == nil && *rs.Spec.Replicas == 0
	})
}

func TestQuota(t *testing.T) {
	g := startRig(t, nil)
	quota := &corev1.ResourceQuota{
		ObjectMeta: kmetav1.ObjectMeta{Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}
	if _, err := g.kube.Clientset().CoreV1().ResourceQuotas(g.namespace).Create(t.Context(), quota, kmetav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	g.create(t, g.newService(t, "hello", "hello", nil))
	s := g.await(t, "hello", condition.False)
	if message := condition.Get(s.GetStatus().GetConditions(), condition.Ready).GetMessage(); !strings.Contains(message, "QuotaExceeded") {
		t.Errorf("message is %q", message)
	}
}

// TestNoRequestIsLost sends requests at moments when the last pod is about to go, is going, or has just gone.
func TestNoRequestIsLost(t *testing.T) {
	g := startRig(t, func(c *serving.Config) { c.Autoscaler.ScaleToZeroGrace = 0 })
	const services = 8
	for i := range services {
		g.create(t, g.newService(t, fmt.Sprintf("hello-%d", i), "hello", nil))
	}
	var wg sync.WaitGroup
	for i := range services {
		url := g.await(t, fmt.Sprintf("hello-%d", i), condition.True).GetStatus().GetUrl()
		// The last pod goes six seconds after the last report of load, which comes within one second of the request.
		pause := 6600*time.Millisecond + time.Duration(i)*200*time.Millisecond
		wg.Go(func() {
			for range 5 {
				<-time.After(pause)
				if code, body := g.get(t, url); code != http.StatusOK {
					t.Errorf("after a pause of %s: %d %s", pause, code, body)
				}
				pause += 30 * time.Millisecond
			}
		})
	}
	wg.Wait()
}

// TestRestart ends serving and its router, and starts them anew: pods stay, requests are answered, and what is idle goes to
// zero only once a router has reported for a whole window.
func TestRestart(t *testing.T) {
	g := startRig(t, func(c *serving.Config) { c.Autoscaler.ScaleToZeroGrace = 0 })
	g.create(t, g.newService(t, "hello", "hello", nil))
	url := g.await(t, "hello", condition.True).GetStatus().GetUrl()
	before := g.podNames(t)
	g.stop()
	g.boot(t)
	booted := time.Now()
	if code, body := g.get(t, url); code != http.StatusOK {
		t.Fatalf("got %d %s", code, body)
	}
	if after := g.podNames(t); !slices.Equal(before, after) {
		t.Errorf("pods were %v and are %v", before, after)
	}
	eventually(t, "no pods are left", func() bool { return g.pods(t) == 0 })
	if took := time.Since(booted); took < 6*time.Second {
		t.Errorf("the pod went after %s", took)
	}
	g.stop()
	g.boot(t)
	if code, body := g.get(t, url); code != http.StatusOK {
		t.Fatalf("got %d %s", code, body)
	}
}

func (g *rig) podNames(t *testing.T) []string {
	t.Helper()
	list, err := g.kube.Clientset().CoreV1().Pods(g.namespace).List(t.Context(), kmetav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return names
}

// TestPodsFollowLoad sends more requests at a time than a pod takes.
func TestPodsFollowLoad(t *testing.T) {
	g := startRig(t, nil)
	g.create(t, g.newService(t, "hello", "hello", func(s *servingv1.Service) {
		s.Spec.Template.Spec.ContainerConcurrency = proto.Int64(2)
		s.Spec.Template.Metadata.Annotations["autoscaling.knative.dev/max-scale"] = "3"
	}))
	url := g.await(t, "hello", condition.True).GetStatus().GetUrl()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if code, body := g.get(t, url+"/?sleep=200ms"); code != http.StatusOK {
					t.Errorf("got %d %s", code, body)
					return
				}
			}
		})
	}
	ready := func() int32 {
		rev, err := g.revisions.Get(g.ctx, &metav1.GetRequest{Namespace: g.namespace, Name: "hello-00001"})
		if err != nil {
			t.Fatal(err)
		}
		return rev.GetStatus().GetActualReplicas()
	}
	eventually(t, "three pods are ready", func() bool { return ready() == 3 })
	close(stop)
	wg.Wait()
	eventually(t, "no pods are left", func() bool { return g.pods(t) == 0 })
}
