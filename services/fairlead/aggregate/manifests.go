// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"bytes"
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"fairlead.dev/gen/go/kinds"
)

// What the manifests in deploy/aggregated are for; whoever applies them by hand replaces the address, and sets caBundle.
const (
	manifestInstallation = "fairlead"
	manifestNamespace    = "fairlead-system"
	manifestAddress      = "192.0.2.1:8444"
	manifestPort         = 8444
)

// Manifests are what deploy/aggregated holds, by the names of its files: what a gateway with --aggregate-listen keeps in the
// cluster by itself, for those who would rather apply it by hand, and what it needs to be allowed.
func Manifests(served []kinds.Kind) (map[string][]byte, error) {
	to := Service{Namespace: manifestNamespace, Name: "fairlead-" + manifestInstallation}
	account := Service{Namespace: manifestNamespace, Name: "fairlead"}
	files := []struct {
		name, says string
		objects    []*unstructured.Unstructured
	}{
		{
			"apiservices.yaml", "One APIService for each version of each group. caBundle is the gateway's authority, TLS-DIR/ca.crt, in base64.",
			APIServices(served, manifestInstallation, to, nil),
		},
		{
			"service-host.yaml", "For a gateway outside of the cluster: " + manifestAddress + " stands for its --aggregate-listen.",
			HostService(manifestInstallation, to, netip.MustParseAddrPort(manifestAddress)),
		},
		{
			"service-cluster.yaml", "For gateways in the cluster, with --aggregate-listen 0.0.0.0:8444 and --aggregate-service " + to.Namespace + "/" + to.Name + ".",
			[]*unstructured.Unstructured{ClusterService(manifestInstallation, to, manifestPort)},
		},
		{
			"roles.yaml", "What viewers, editors and admins of namespaces may do with our kinds at the cluster's endpoint.",
			Roles(served, manifestInstallation),
		},
		{
			"access.yaml", "What a gateway in the cluster needs to register our groups, and to go by the cluster's users.",
			Access(manifestInstallation, account),
		},
	}
	out := map[string][]byte{}
	for _, f := range files {
		var b bytes.Buffer
		fmt.Fprintf(&b, "# %s\n# Made from the registry of kinds by services/fairlead/aggregate. DO NOT EDIT.\n", f.says)
		for _, o := range f.objects {
			data, err := yaml.Marshal(o.Object)
			if err != nil {
				return nil, fmt.Errorf("aggregate: %s: %w", f.name, err)
			}
			b.WriteString("---\n")
			b.Write(data)
		}
		out[f.name] = b.Bytes()
	}
	return out, nil
}
