// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package topology names everything a devcluster occupies: addresses, ports,
// names and paths. One machine holds at most one running devcluster, so all of
// it but the state folder is fixed.
package topology

import "path/filepath"

// Addresses. The node's own address is the bridge's, so that nothing depends
// on which networks the machine happens to be connected to.
const (
	PodCIDR      = "10.244.0.0/16"
	PodMaskBits  = 16
	PodRangeFrom = "10.244.0.10"
	ServiceCIDR  = "10.96.0.0/16"
	BridgeIP     = "10.244.0.1"
	NodeIP       = BridgeIP
	APIServiceIP = "10.96.0.1"
	ClusterDNS   = "10.96.0.10"
)

// Names.
const (
	Bridge        = "fairlead0"
	NodeName      = "devcluster"
	ClusterDomain = "cluster.local"
	RegistryHost  = "registry.fairlead.local"
	StorageClass  = "local-path"
	Provisioner   = "fairlead.dev/local-path"
	// PauseImage gets another tag when its program changes: a node that has
	// an image of this name takes it.
	PauseImage = "fairlead.dev/devcluster/pause:1"
	// Marker tags what is made outside of the state folder: the run folder,
	// the cgroup, the nftables table, iptables comments, the CNI network and
	// the line in /etc/hosts.
	Marker = "fairlead-devcluster"
)

// Ports. They bind to the bridge address (API server, kubelet, DNS, registry)
// or to 127.0.0.1 (all others).
const (
	APIServerPort         = 24443
	EtcdClientPort        = 24379
	EtcdPeerPort          = 24380
	KubeletPort           = 24250
	KubeletHealthPort     = 24248
	ControllerManagerPort = 24257
	SchedulerPort         = 24259
	ProxyHealthPort       = 24256
	ProxyMetricsPort      = 24249
	DNSPort               = 24053
	DNSReadyPort          = 24181
	RegistryPort          = 24500
	StorageMetricsPort    = 24271
)

// RunDir holds sockets, network namespaces and container mounts. It is short,
// since a unix socket's path has at most 107 bytes, and on a tmpfs, so that it
// is gone after a reboot, as is all that the kernel held.
const RunDir = "/run/" + Marker

// ContainerdSocket is where containerd listens.
const ContainerdSocket = RunDir + "/containerd.sock"

// Paths derives every path below one state folder.
type Paths struct {
	// State is the absolute path of the state folder.
	State string
}

// NewPaths makes state absolute.
func NewPaths(state string) (Paths, error) {
	abs, err := filepath.Abs(state)
	if err != nil {
		return Paths{}, err
	}
	return Paths{State: abs}, nil
}

func (p Paths) in(elem ...string) string {
	return filepath.Join(append([]string{p.State}, elem...)...)
}

// AdminKubeconfig is the kubeconfig of the cluster's administrator.
func (p Paths) AdminKubeconfig() string { return p.in("admin.kubeconfig") }

// RegistryFile holds the registry's name:port.
func (p Paths) RegistryFile() string { return p.in("registry") }

// PKI returns a file of the key folder.
func (p Paths) PKI(name string) string { return p.in("pki", name) }

// Config returns a rendered configuration file.
func (p Paths) Config(elem ...string) string { return p.in(append([]string{"config"}, elem...)...) }

// Kubeconfig returns the kubeconfig of a component.
func (p Paths) Kubeconfig(name string) string { return p.Config(name + ".kubeconfig") }

// Pids is the folder of process records.
func (p Paths) Pids() string { return p.in("pids") }

// Log returns the log file of a component.
func (p Paths) Log(name string) string { return p.in("logs", name+".log") }

// Etcd is etcd's data folder.
func (p Paths) Etcd() string { return p.in("etcd") }

// Containerd is containerd's persistent folder.
func (p Paths) Containerd() string { return p.in("containerd") }

// Kubelet is the kubelet's root folder.
func (p Paths) Kubelet() string { return p.in("kubelet") }

// PodLogs is where the kubelet keeps the containers' logs.
func (p Paths) PodLogs() string { return p.in("pod-logs") }

// Volumes is the folder of provisioned volumes.
func (p Paths) Volumes() string { return p.in("volumes") }

// RegistryData is the registry's storage folder.
func (p Paths) RegistryData() string { return p.in("registry-data") }

// Images is the folder of image archives made here.
func (p Paths) Images() string { return p.in("images") }
