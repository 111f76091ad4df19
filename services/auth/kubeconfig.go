// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"fairlead.dev/services/internal/apierror"
)

// kubeconfigTarget is the front door that kubeconfigs lead to.
type kubeconfigTarget struct {
	url string
	ca  []byte
}

// SetKubeconfigTarget says where kubeconfigs lead: the front door's URL, and the PEM of the certificates by which it is
// known; none for those that the system trusts. Until it is called none are made.
func (s *Server) SetKubeconfigTarget(url string, ca []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target = kubeconfigTarget{url: url, ca: ca}
}

func (s *Server) kubeconfigTarget() (kubeconfigTarget, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.target.url == "" {
		return kubeconfigTarget{}, apierror.Unavailable(time.Second, "the server does not know its own address yet; try again in a moment")
	}
	return s.target, nil
}

// SetClusterURL says at which URL others reach the cluster's own API, for kubeconfigs; until it is called, that by which
// the server does.
func (s *Server) SetClusterURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clusterURL = url
}

// targetCluster is what requests call the cluster's own API; all else is the front door.
const targetCluster = "cluster"

// clusterTarget is the cluster's own API.
func (s *Server) clusterTarget() (kubeconfigTarget, error) {
	if s.mirror == nil {
		return kubeconfigTarget{}, apierror.Unavailable(time.Minute, "this server knows no Kubernetes to lead to; start it with --kubeconfig")
	}
	config := s.mirror.Kube().Config()
	if err := rest.LoadTLSFiles(config); err != nil {
		return kubeconfigTarget{}, apierror.Internal(fmt.Errorf("auth: certificates of the cluster: %w", err))
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return kubeconfigTarget{url: cmp.Or(s.clusterURL, config.Host), ca: config.CAData}, nil
}

// Kubeconfig makes a kubeconfig that leads where SetKubeconfigTarget says. An empty namespace is `default`.
func (s *Server) Kubeconfig(user, namespace, token string) (string, error) {
	target, err := s.kubeconfigTarget()
	if err != nil {
		return "", err
	}
	return target.kubeconfig(user, namespace, token)
}

// kubeconfig makes a kubeconfig by which a user reaches the front door.
func (t kubeconfigTarget) kubeconfig(user, namespace, token string) (string, error) {
	const name = "fairlead"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: t.url, CertificateAuthorityData: t.ca}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user, Namespace: cmp.Or(namespace, "default")}
	config.CurrentContext = name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return "", fmt.Errorf("auth: write a kubeconfig: %w", err)
	}
	return string(data), nil
}
