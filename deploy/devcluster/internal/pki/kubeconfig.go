// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"fairlead.dev/deploy/devcluster/internal/topology"
)

// Names of the components' kubeconfigs.
const (
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kubelet           = "kubelet"
	Proxy             = "kube-proxy"
	DNS               = "dns"
	Storage           = "storage"
)

// User names bound to roles by the manifests applied by `up`.
const (
	DNSUser     = "devcluster:dns"
	StorageUser = "devcluster:storage"
)

type identity struct {
	path, user, group string
}

func identities(paths topology.Paths) []identity {
	return []identity{
		{paths.AdminKubeconfig(), "devcluster-admin", "system:masters"},
		{paths.Kubeconfig(ControllerManager), "system:kube-controller-manager", ""},
		{paths.Kubeconfig(Scheduler), "system:kube-scheduler", ""},
		{paths.Kubeconfig(Kubelet), "system:node:" + topology.NodeName, "system:nodes"},
		{paths.Kubeconfig(Proxy), "system:kube-proxy", ""},
		{paths.Kubeconfig(DNS), DNSUser, ""},
		{paths.Kubeconfig(Storage), StorageUser, ""},
	}
}

func ensureKubeconfigs(paths topology.Paths) error {
	for _, id := range identities(paths) {
		if ok, err := exists(id.path); err != nil {
			return err
		} else if ok {
			continue
		}
		if err := writeKubeconfig(paths, id); err != nil {
			return err
		}
	}
	return nil
}

func writeKubeconfig(paths topology.Paths, id identity) error {
	der, key, err := issue(paths, Certificate{
		Name: id.user, Authority: ClusterCA, CommonName: id.user, Organization: id.group,
	})
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(paths.PKI(string(ClusterCA) + ".crt"))
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	const name = "devcluster"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: topology.APIServerURL(), CertificateAuthorityData: ca}
	config.AuthInfos[id.user] = &clientcmdapi.AuthInfo{
		ClientCertificateData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		ClientKeyData:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: id.user, Namespace: "default"}
	config.CurrentContext = name
	if err := os.MkdirAll(filepath.Dir(id.path), 0o750); err != nil {
		return err
	}
	if err := clientcmd.WriteToFile(*config, id.path); err != nil {
		return fmt.Errorf("write the kubeconfig of %s: %w", id.user, err)
	}
	return nil
}
