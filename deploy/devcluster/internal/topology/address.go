// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"net"
	"strconv"
)

// Registry is the one name:port under which pods, node and host reach the
// registry.
func Registry() string { return net.JoinHostPort(RegistryHost, strconv.Itoa(RegistryPort)) }

// APIServerURL is the API server's address for host and pods.
func APIServerURL() string { return "https://" + OnBridge(APIServerPort) }

// EtcdURL is etcd's client address.
func EtcdURL() string { return "https://" + OnLoopback(EtcdClientPort) }

// OnBridge is a port of the bridge address.
func OnBridge(port int) string { return net.JoinHostPort(BridgeIP, strconv.Itoa(port)) }

// OnLoopback is a port of 127.0.0.1.
func OnLoopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
