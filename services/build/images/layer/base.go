// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"io/fs"
	"os"
)

// Nobody is the numeric user as which images of ours run; Kubernetes' runAsNonRoot wants a number.
const Nobody = 65532

// certificates are where systems keep the authorities they trust, all in one file.
func certificates() []string {
	return []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"}
}

// Base returns what a program needs of a system: users, a folder for temporary files, and the trusted authorities of the
// system it is made on, where that has some.
func Base() []Entry {
	entries := []Entry{
		{Path: "etc/passwd", Mode: 0o644, Data: []byte("root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65532:65532:nobody:/:/sbin/nologin\n")},
		{Path: "etc/group", Mode: 0o644, Data: []byte("root:x:0:\nnobody:x:65532:\n")},
		{Path: "tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
	}
	for _, path := range certificates() {
		if data, err := os.ReadFile(path); err == nil {
			return append(entries, Entry{Path: "etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Data: data})
		}
	}
	return entries
}
