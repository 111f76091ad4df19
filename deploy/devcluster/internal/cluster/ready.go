// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"fairlead.dev/deploy/devcluster/internal/render"
	"fairlead.dev/deploy/devcluster/internal/topology"
)

const (
	pollInterval = 50 * time.Millisecond
	probeLimit   = 2 * time.Second
	// dialLimit is short, since a ClusterIP without a proxy swallows packets.
	dialLimit = 250 * time.Millisecond
	// leaseLimit is how old the node's lease may be; the kubelet renews it
	// every 10 s.
	leaseLimit = 40 * time.Second
)

// eventually repeats probe until it passes; if the context ends first, the
// probe's last error tells what was missing.
func eventually(ctx context.Context, probe func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, probeLimit)
		defer cancel()
		last = probe(ctx)
		return last == nil, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("not ready: %w", last)
	}
	return err
}

func dialProbe(network, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, network, address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

func tcpReady(address string) func(context.Context) error {
	return func(ctx context.Context) error { return eventually(ctx, dialProbe("tcp", address)) }
}

func unixReady(path string) func(context.Context) error {
	return func(ctx context.Context) error { return eventually(ctx, dialProbe("unix", path)) }
}

func (c *Cluster) restConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.paths.AdminKubeconfig())
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 200, 400
	return config, nil
}

func (c *Cluster) client() (kubernetes.Interface, error) {
	config, err := c.restConfig()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// withClient makes the client once and polls the probe with it.
func (c *Cluster) withClient(ctx context.Context, probe func(context.Context, kubernetes.Interface) error) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return eventually(ctx, func(ctx context.Context) error { return probe(ctx, client) })
}

func (c *Cluster) apiReady(ctx context.Context) error { return c.withClient(ctx, probeAPI) }

func probeAPI(ctx context.Context, client kubernetes.Interface) error {
	return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// nodeReady waits for the node's condition to be reported by the kubelet that
// runs now: the one in etcd may be from before.
func (c *Cluster) nodeReady(ctx context.Context) error {
	record := c.store.Get(string(render.Kubelet))
	started, err := record.Started()
	if err != nil {
		return err
	}
	return c.withClient(ctx, func(ctx context.Context, client kubernetes.Interface) error {
		return probeNode(ctx, client, started)
	})
}

// probeNode passes if the node is Ready, and has said so since a given time.
func probeNode(ctx context.Context, client kubernetes.Interface, since time.Time) error {
	node, err := client.CoreV1().Nodes().Get(ctx, topology.NodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady {
			return fmt.Errorf("node %s is tainted %s", node.Name, taint.Key)
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != corev1.NodeReady {
			continue
		}
		if condition.Status != corev1.ConditionTrue {
			return fmt.Errorf("node %s: %s", node.Name, condition.Message)
		}
		if condition.LastHeartbeatTime.Time.Before(since.Truncate(time.Second)) {
			return fmt.Errorf("node %s has not reported since %s", node.Name, since)
		}
		return nil
	}
	return fmt.Errorf("node %s has reported no condition yet", node.Name)
}

// probeLease passes if the kubelet has renewed its lease lately. A new node has no lease for some seconds after it is
// Ready; should it never come, the node stops being Ready.
func probeLease(ctx context.Context, client kubernetes.Interface) error {
	lease, err := client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, topology.NodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if renewed := lease.Spec.RenewTime; renewed == nil || time.Since(renewed.Time) > leaseLimit {
		return fmt.Errorf("the kubelet has not renewed its lease since %s", renewed)
	}
	return nil
}

func (c *Cluster) serviceAccountReady(ctx context.Context) error {
	return c.withClient(ctx, func(ctx context.Context, client kubernetes.Interface) error {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// dnsReady asks through the Service's address, as pods do.
func (c *Cluster) dnsReady(ctx context.Context) error { return eventually(ctx, probeDNS) }

func probeDNS(ctx context.Context) error {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(topology.ClusterDNS, "53"))
	}}
	for name, want := range map[string]string{
		"kubernetes.default.svc." + topology.ClusterDomain + ".": topology.APIServiceIP,
		topology.RegistryHost + ".":                              topology.BridgeIP,
	} {
		got, err := resolver.LookupHost(ctx, name)
		if err != nil {
			return err
		}
		if len(got) != 1 || got[0] != want {
			return fmt.Errorf("%s resolves to %v, want %s", name, got, want)
		}
	}
	return nil
}

func registryReady(ctx context.Context) error { return eventually(ctx, probeRegistry) }

func probeRegistry(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+topology.Registry()+"/v2/", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the registry answers %s", response.Status)
	}
	return nil
}
