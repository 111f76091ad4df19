// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import "regexp"

var labelValue = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$`)

// CheckName says where a flag's value is no name that Kubernetes takes for labels and namespaces.
func CheckName(f *Faults, flag, value string) {
	if !labelValue.MatchString(value) {
		f.Addf(flag, "is %q; use at most 42 lower-case letters, digits and -", value)
	}
}

// CheckAddresses says where the addresses of a service that this process calls are missing or no addresses.
func CheckAddresses(f *Faults, flag string, addresses []string) {
	if len(addresses) == 0 {
		f.Addf(flag, "is empty; write the host:port of each replica's --grpc-listen")
	}
	for _, a := range addresses {
		(&Address{flag: flag, value: a}).validate(f)
	}
}
