// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package topology_test

import (
	"net/netip"
	"strings"
	"testing"

	"fairlead.dev/deploy/devcluster/internal/topology"
)

func TestAddressesLieInTheirRanges(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		reason  string
		address string
		cidr    string
	}{
		"Bridge":     {"pods route through the bridge", topology.BridgeIP, topology.PodCIDR},
		"FirstPod":   {"host-local hands out addresses of the pod range", topology.PodRangeFrom, topology.PodCIDR},
		"ClusterDNS": {"the API server refuses a ClusterIP out of range", topology.ClusterDNS, topology.ServiceCIDR},
		"APIService": {"the API server takes the first address of the range", topology.APIServiceIP, topology.ServiceCIDR},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !netip.MustParsePrefix(tc.cidr).Contains(netip.MustParseAddr(tc.address)) {
				t.Errorf("%s is not in %s: %s", tc.address, tc.cidr, tc.reason)
			}
		})
	}
}

func TestRangesDoNotOverlap(t *testing.T) {
	t.Parallel()
	pods, services := netip.MustParsePrefix(topology.PodCIDR), netip.MustParsePrefix(topology.ServiceCIDR)
	if pods.Overlaps(services) {
		t.Errorf("%s overlaps %s", pods, services)
	}
	if got := pods.Bits(); got != topology.PodMaskBits {
		t.Errorf("PodMaskBits = %d, want %d", topology.PodMaskBits, got)
	}
	if got, want := services.Masked().Addr().Next().String(), topology.APIServiceIP; got != want {
		t.Errorf("first service address = %s, want %s", got, want)
	}
}

func TestPortsAreDistinctAndNotFairleads(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{8080: true, 8443: true, 9090: true, 9091: true, 8000: true, 8090: true}
	for _, port := range []int{
		topology.APIServerPort, topology.EtcdClientPort, topology.EtcdPeerPort, topology.KubeletPort,
		topology.KubeletHealthPort, topology.ControllerManagerPort, topology.SchedulerPort,
		topology.ProxyHealthPort, topology.ProxyMetricsPort, topology.DNSPort, topology.DNSReadyPort,
		topology.RegistryPort, topology.StorageMetricsPort,
	} {
		if seen[port] {
			t.Errorf("port %d is taken twice", port)
		}
		if port >= 30000 {
			t.Errorf("port %d is in the NodePort or ephemeral range", port)
		}
		seen[port] = true
	}
}

func TestSocketPathFits(t *testing.T) {
	t.Parallel()
	const longest = 107
	if got := len(topology.ContainerdSocket + ".ttrpc"); got > longest {
		t.Errorf("socket path has %d bytes, the kernel takes %d", got, longest)
	}
	if !strings.HasPrefix(topology.ContainerdSocket, topology.RunDir+"/") {
		t.Errorf("%s is not in the run folder", topology.ContainerdSocket)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	if got, want := topology.Registry(), "registry.fairlead.local:24500"; got != want {
		t.Errorf("Registry() = %q, want %q", got, want)
	}
}
