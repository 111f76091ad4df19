// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"fairlead.dev/services/e2e/harness"
	"fairlead.dev/services/internal/nettest"
)

// anotherServer starts a server beside the suite's, with an installation, ports and data of its own, until the test ends.
func anotherServer(t *testing.T, name string, change func(*harness.ServerConfig)) *harness.Server {
	t.Helper()
	cfg := s.server.Config()
	dir := t.TempDir()
	ports, err := harness.FreePorts(s.cluster.BridgeIP)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Dir, cfg.Ports = filepath.Join(dir, "server"), ports
	cfg.Installation, cfg.SystemNamespace = name+"-"+s.id, "fairlead-"+name+"-"+s.id
	cfg.Kubeconfig, cfg.Token = filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "token")
	change(&cfg)
	server, err := harness.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := s.kube.RbacV1().ClusterRoleBindings().DeleteCollection(ctx, kmetav1.DeleteOptions{},
			kmetav1.ListOptions{LabelSelector: "fairlead.dev/installation=" + cfg.Installation})
		if err != nil {
			t.Error(err)
		}
	})
	return server
}

// throughProxy puts a line that can be cut between a server and Kubernetes.
func throughProxy(t *testing.T, cfg *harness.ServerConfig) *nettest.Proxy {
	t.Helper()
	kubeconfig, err := clientcmd.LoadFromFile(s.cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	cluster := kubeconfig.Clusters[kubeconfig.Contexts[kubeconfig.CurrentContext].Cluster]
	at, err := url.Parse(cluster.Server)
	if err != nil {
		t.Fatal(err)
	}
	line := nettest.New(t, "tcp", at.Host)
	cluster.Server, cluster.TLSServerName = "https://"+line.Address(), at.Hostname()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*kubeconfig, file); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	through := *cfg.Cluster
	through.Kubeconfig = file
	cfg.Cluster = &through
	return line
}

// TestKubernetesDown has Kubernetes out of reach for a while under a mixed load: what is written is kept, builds go on
// once it is back, in the pods that they had.
func TestKubernetesDown(t *testing.T) {
	var line *nettest.Proxy
	server := anotherServer(t, "k8s", func(cfg *harness.ServerConfig) { line = throughProxy(t, cfg) })
	l, ns := mixedLoad(t, server.Config())
	pause(t, 3*time.Second)
	before := l.Acknowledged()
	line.Cut()
	pause(t, short(6*time.Second, 30*time.Second))
	during := l.Acknowledged()
	line.Restore()
	pause(t, 2*time.Second)
	checkLoad(t, l, ns)
	if during == before {
		t.Error("no write was acknowledged while Kubernetes was out of reach")
	}
}
