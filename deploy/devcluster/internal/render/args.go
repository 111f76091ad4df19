// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"strconv"

	"fairlead.dev/deploy/devcluster/internal/topology"
)

// Component names a program of the cluster: its log, its record and, but for
// containerd, its argv[0] under which this binary plays that part.
type Component string

// The components, in the order in which they start.
const (
	Containerd        Component = "containerd"
	Etcd              Component = "etcd"
	Registry          Component = "registry"
	APIServer         Component = "kube-apiserver"
	ControllerManager Component = "kube-controller-manager"
	Scheduler         Component = "kube-scheduler"
	Kubelet           Component = "kubelet"
	Proxy             Component = "kube-proxy"
	DNS               Component = "dns"
	Storage           Component = "storage"
)

// Components lists all in the order in which they start.
func Components() []Component {
	return []Component{
		Containerd, Etcd, Registry, APIServer, ControllerManager, Scheduler, Kubelet, Proxy, DNS, Storage,
	}
}

// Args returns a component's arguments, without its name.
func Args(paths topology.Paths, component Component) []string {
	switch component {
	case Containerd:
		return []string{"--config", paths.Config("containerd.toml")}
	case Etcd:
		return []string{paths.Config("etcd.yaml")}
	case Registry:
		return []string{paths.Config("registry.yaml")}
	case APIServer:
		return apiServerArgs(paths)
	case ControllerManager:
		return controllerManagerArgs(paths)
	case Scheduler:
		kubeconfig := paths.Kubeconfig(string(Scheduler))
		return []string{
			"--config=" + paths.Config("scheduler.yaml"),
			"--authentication-kubeconfig=" + kubeconfig,
			"--authorization-kubeconfig=" + kubeconfig,
			"--bind-address=127.0.0.1",
			"--secure-port=" + strconv.Itoa(topology.SchedulerPort),
		}
	case Kubelet:
		return []string{
			"--config=" + paths.Config("kubelet.yaml"),
			"--kubeconfig=" + paths.Kubeconfig(string(Kubelet)),
			"--root-dir=" + paths.Kubelet(),
			"--cert-dir=" + paths.Kubelet() + "/pki",
			"--hostname-override=" + topology.NodeName,
			"--node-ip=" + topology.NodeIP,
		}
	case Proxy:
		return []string{"--config=" + paths.Config("proxy.yaml")}
	case DNS:
		return []string{paths.Config("Corefile")}
	case Storage:
		return []string{paths.Kubeconfig(string(Storage)), paths.Volumes()}
	}
	return nil
}

func apiServerArgs(paths topology.Paths) []string {
	return []string{
		"--advertise-address=" + topology.BridgeIP,
		"--bind-address=" + topology.BridgeIP,
		"--secure-port=" + strconv.Itoa(topology.APIServerPort),
		"--service-cluster-ip-range=" + topology.ServiceCIDR,
		"--etcd-servers=" + topology.EtcdURL(),
		"--etcd-cafile=" + paths.PKI("etcd-ca.crt"),
		"--etcd-certfile=" + paths.PKI("etcd-client.crt"),
		"--etcd-keyfile=" + paths.PKI("etcd-client.key"),
		"--tls-cert-file=" + paths.PKI("apiserver.crt"),
		"--tls-private-key-file=" + paths.PKI("apiserver.key"),
		"--client-ca-file=" + paths.PKI("ca.crt"),
		"--kubelet-certificate-authority=" + paths.PKI("ca.crt"),
		"--kubelet-client-certificate=" + paths.PKI("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + paths.PKI("apiserver-kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + paths.PKI("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + paths.PKI("front-proxy-client.crt"),
		"--proxy-client-key-file=" + paths.PKI("front-proxy-client.key"),
		"--enable-aggregator-routing=true",
		"--service-account-issuer=https://kubernetes.default.svc." + topology.ClusterDomain,
		"--service-account-key-file=" + paths.PKI("sa.pub"),
		"--service-account-signing-key-file=" + paths.PKI("sa.key"),
		"--authentication-config=" + paths.Config("authentication.yaml"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--max-requests-inflight=1600",
		"--max-mutating-requests-inflight=800",
		"--profiling=false",
	}
}

func controllerManagerArgs(paths topology.Paths) []string {
	kubeconfig := paths.Kubeconfig(string(ControllerManager))
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(topology.ControllerManagerPort),
		"--leader-elect=false",
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + paths.PKI("sa.key"),
		"--root-ca-file=" + paths.PKI("ca.crt"),
		"--client-ca-file=" + paths.PKI("ca.crt"),
		"--requestheader-client-ca-file=" + paths.PKI("front-proxy-ca.crt"),
		"--cluster-signing-cert-file=" + paths.PKI("ca.crt"),
		"--cluster-signing-key-file=" + paths.PKI("ca.key"),
		"--cluster-name=devcluster",
		"--allocate-node-cidrs",
		"--cluster-cidr=" + topology.PodCIDR,
		"--node-cidr-mask-size=" + strconv.Itoa(topology.PodMaskBits),
		"--service-cluster-ip-range=" + topology.ServiceCIDR,
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
		"--concurrent-deployment-syncs=20",
		"--concurrent-replicaset-syncs=20",
		"--concurrent-job-syncs=20",
		"--concurrent-gc-syncs=20",
		"--concurrent-namespace-syncs=20",
		"--concurrent-service-endpoint-syncs=20",
		"--concurrent-serviceaccount-token-syncs=20",
		"--profiling=false",
	}
}
