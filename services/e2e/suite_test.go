// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

// Package e2e holds the tests that need everything: the local Kubernetes, and a fairlead server in a process of its own,
// with ports, namespaces and state of its own, so that nothing else on the machine is disturbed.
package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"fairlead.dev/services/build/images"
	"fairlead.dev/services/e2e/harness"
)

// suite is what all tests share. The server is replaced by the tests that kill it; they do not run beside others.
type suite struct {
	state   string
	dir     string
	id      string
	cluster *harness.Cluster
	kube    kubernetes.Interface
	server  *harness.Server
	spaces  atomic.Int32
	// aggregated serves our groups at the cluster's own endpoint.
	aggregated aggregated
}

var s *suite //nolint:gochecknoglobals // made once by TestMain

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	state := os.Getenv("FAIRLEAD_STATE")
	if state == "" {
		return 0, fmt.Errorf("FAIRLEAD_STATE is not set; run these tests with 'make test'")
	}
	s = &suite{state: state}
	if s.dir, err = os.MkdirTemp("", "fairlead-e2e-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(s.dir)
	if s.cluster, err = harness.Status(ctx, state); err != nil {
		return 0, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", s.cluster.Kubeconfig)
	if err != nil {
		return 0, err
	}
	if s.kube, err = kubernetes.NewForConfig(config); err != nil {
		return 0, err
	}
	pushed, err := images.Push(ctx, images.Config{Registry: s.cluster.Registry, Insecure: true, Out: os.Stderr})
	if err != nil {
		return 0, err
	}
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		return 0, err
	}
	s.id = "test-" + hex.EncodeToString(random)
	ports, err := harness.FreePorts(s.cluster.BridgeIP)
	if err != nil {
		return 0, err
	}
	s.server, err = harness.Start(ctx, harness.ServerConfig{
		Binary: filepath.Join(state, "bin", "fairlead"), Dir: filepath.Join(s.dir, "server"), Cluster: s.cluster,
		Installation: s.id, SystemNamespace: "fairlead-" + s.id, Ports: ports, StepImage: pushed[images.Step],
		Kubeconfig: filepath.Join(s.dir, "kubeconfig"), Token: filepath.Join(s.dir, "token"),
		Flags: []string{"--image-pull-timeout", "15s", "--audit-log", auditFile()},
	})
	if err != nil {
		return 0, err
	}
	code = m.Run()
	if err := s.aggregated.down(); err != nil {
		return code, err
	}
	if err := s.server.Stop(); err != nil {
		return code, err
	}
	return code, s.cleanUp()
}

// cleanUp removes from the cluster what the tests made in it.
func (s *suite) cleanUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	list, err := s.kube.CoreV1().Namespaces().List(ctx, kmetav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, ns := range list.Items {
		if strings.HasSuffix(ns.Name, s.id) || strings.HasPrefix(ns.Name, s.id) {
			if err := s.kube.CoreV1().Namespaces().Delete(ctx, ns.Name, kmetav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
	}
	return s.kube.RbacV1().ClusterRoleBindings().DeleteCollection(ctx, kmetav1.DeleteOptions{},
		kmetav1.ListOptions{LabelSelector: "fairlead.dev/installation=" + s.id})
}

// namespace makes a namespace for one test.
func namespace(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("%s-%d", s.id, s.spaces.Add(1))
	_, err := s.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: kmetav1.ObjectMeta{Name: name}}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.kube.CoreV1().Namespaces().Delete(ctx, name, kmetav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("delete namespace: %v", err)
		}
	})
	return name
}
