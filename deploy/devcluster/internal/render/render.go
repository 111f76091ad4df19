// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package render writes the configuration files of a devcluster's components
// and their command lines.
package render

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"fairlead.dev/deploy/devcluster/internal/debian"
	"fairlead.dev/deploy/devcluster/internal/topology"
)

//go:embed files
var files embed.FS

// Machine is what the files depend on besides the topology.
type Machine struct {
	// RestrictOOMScore is for machines on which root may not lower an OOM
	// score: there containers get the score of containerd at least.
	RestrictOOMScore bool
	// Upstream is a resolv.conf whose servers answer for names outside of the
	// cluster; without one they do not exist.
	Upstream string
}

// Values is what the templates see.
type Values struct {
	Machine

	Paths topology.Paths

	RunDir, ContainerdSocket, CNIPlugins, PauseImage string
	Marker, Bridge, BridgeIP, NodeIP, NodeName       string
	PodCIDR, PodRangeFrom, ClusterDNS, ClusterDomain string
	Registry, RegistryListen, EtcdURL, EtcdPeerURL   string
	ProxyHealth, ProxyMetrics, DNSReady              string
	KubeletPort, KubeletHealthPort, DNSPort          int
}

func values(paths topology.Paths, machine Machine) Values {
	return Values{
		Machine: machine, Paths: paths,
		RunDir: topology.RunDir, ContainerdSocket: topology.ContainerdSocket,
		CNIPlugins: debian.CNIPlugins, PauseImage: topology.PauseImage,
		Marker: topology.Marker, Bridge: topology.Bridge, BridgeIP: topology.BridgeIP,
		NodeIP: topology.NodeIP, NodeName: topology.NodeName,
		PodCIDR: topology.PodCIDR, PodRangeFrom: topology.PodRangeFrom,
		ClusterDNS: topology.ClusterDNS, ClusterDomain: topology.ClusterDomain,
		Registry: topology.Registry(), RegistryListen: topology.OnBridge(topology.RegistryPort),
		EtcdURL: topology.EtcdURL(), EtcdPeerURL: "https://" + topology.OnLoopback(topology.EtcdPeerPort),
		ProxyHealth:  topology.OnLoopback(topology.ProxyHealthPort),
		ProxyMetrics: topology.OnLoopback(topology.ProxyMetricsPort),
		DNSReady:     topology.OnLoopback(topology.DNSReadyPort),
		KubeletPort:  topology.KubeletPort, KubeletHealthPort: topology.KubeletHealthPort, DNSPort: topology.DNSPort,
	}
}

// Files returns the configuration files by path.
func Files(paths topology.Paths, machine Machine) (map[string][]byte, error) {
	templates, err := template.New("files").Option("missingkey=error").ParseFS(files, "files/*")
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{
		paths.Config("dns.hosts"): []byte(topology.BridgeIP + " " + topology.RegistryHost + "\n"),
		// For pods with dnsPolicy Default: the host's own file may name a
		// resolver on a loopback address, which they cannot reach.
		paths.Config("resolv.conf"): []byte("nameserver " + topology.ClusterDNS + "\n"),
		paths.RegistryFile():        []byte(topology.Registry() + "\n"),
	}
	for name, target := range map[string]string{
		"containerd.toml":     paths.Config("containerd.toml"),
		"hosts.toml":          paths.Config("certs.d", topology.Registry(), "hosts.toml"),
		"cni.conflist":        paths.Config("cni", "10-fairlead.conflist"),
		"etcd.yaml":           paths.Config("etcd.yaml"),
		"authentication.yaml": paths.Config("authentication.yaml"),
		"scheduler.yaml":      paths.Config("scheduler.yaml"),
		"kubelet.yaml":        paths.Config("kubelet.yaml"),
		"proxy.yaml":          paths.Config("proxy.yaml"),
		"Corefile":            paths.Config("Corefile"),
		"registry.yaml":       paths.Config("registry.yaml"),
	} {
		var buffer bytes.Buffer
		if err := templates.ExecuteTemplate(&buffer, name, values(paths, machine)); err != nil {
			return nil, fmt.Errorf("render %s: %w", name, err)
		}
		out[target] = buffer.Bytes()
	}
	return out, nil
}

// Write renders the files into the state folder.
func Write(paths topology.Paths, machine Machine) error {
	rendered, err := Files(paths, machine)
	if err != nil {
		return err
	}
	for path, content := range rendered {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		// kube-proxy ends when its file is written, whatever it says.
		if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, content) {
			continue
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Upstream returns path if that resolv.conf names a server, else nothing.
func Upstream(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "nameserver" {
			return path
		}
	}
	return ""
}
