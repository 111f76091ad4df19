// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package protoname_test

import (
	"testing"

	"fairlead.dev/services/tools/protoname"
)

func TestSnake(t *testing.T) {
	cases := map[string]string{
		"name":                 "name",
		"hostIPC":              "host_ipc",
		"podIPs":               "pod_ips",
		"targetWWNs":           "target_wwns",
		"setHostnameAsFQDN":    "set_hostname_as_fqdn",
		"awsElasticBlockStore": "aws_elastic_block_store",
		"nonResourceURLs":      "non_resource_urls",
		"APIServerSource":      "api_server_source",
		"ClusterRoleBinding":   "cluster_role_binding",
		"fieldsV1":             "fields_v1",
	}
	for name, want := range cases {
		if got := protoname.Snake(name); got != want {
			t.Errorf("Snake(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	cases := map[string]string{"name": "name", "host_ipc": "hostIpc", "fs_group": "fsGroup", "fields_v1": "fieldsV1"}
	for name, want := range cases {
		if got := protoname.JSON(name); got != want {
			t.Errorf("JSON(%q) = %q, want %q", name, got, want)
		}
	}
}
