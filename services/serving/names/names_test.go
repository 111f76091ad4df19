// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"strings"
	"testing"
)

func TestChild(t *testing.T) {
	long := strings.Repeat("n", 60)
	if got := Revision("hello", 7); got != "hello-00007" {
		t.Errorf("got %s", got)
	}
	a, b := Revision(long, 1), Revision(long, 2)
	if len(a) > maxLabel || a == b || !strings.HasSuffix(a, "-00001") || a != Revision(long, 1) {
		t.Errorf("got %s and %s", a, b)
	}
	if c := Child("x", strings.Repeat("s", 70)); len(c) > maxLabel {
		t.Errorf("got %s", c)
	}
}

func TestHosts(t *testing.T) {
	if got := ExternalHost(Tagged("next", "hello"), "ns", "localhost"); got != "next-hello.ns.localhost" {
		t.Errorf("got %s", got)
	}
	if got := ClusterHosts(Tagged("", "hello"), "ns"); strings.Join(got, " ") != "hello.ns.svc.cluster.local hello.ns.svc hello.ns" {
		t.Errorf("got %v", got)
	}
}
