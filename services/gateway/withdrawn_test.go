// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"

	"fairlead.dev/services/internal/clientauth"
	"fairlead.dev/services/internal/clientauth/clientauthtest"
)

// open begins a request of whoever shows a certificate, and returns its answer, which goes on.
func (d *door) open(cert tls.Certificate, path string, headers ...string) *http.Response {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), 20*time.Second)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}}}
	d.Cleanup(func() { cancel(); transport.CloseIdleConnections() })
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+path, nil)
	if err != nil {
		d.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		d.Fatalf("%s: %s", path, res.Status)
	}
	return res
}

// ends tells whether an answer comes to its end.
func ends(res *http.Response) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, res.Body)
	}()
	select {
	case <-done:
		return true
	case <-time.After(5 * time.Second):
		_ = res.Body.Close()
		<-done
		return false
	}
}

// TestWatchesEndWithTheAuthority withdraws the authority of a person and that of a front proxy while they watch. A watch of
// somebody whose authority is still believed goes on.
func TestWatchesEndWithTheAuthority(t *testing.T) {
	d := openDoor(t, nil)
	const watch = "/apis/build.knative.dev/v1alpha1/builds?watch=true"
	ada := d.open(*d.company.Issue(t, "ada", "staff"), watch)
	ofProxy := d.open(*d.proxies.Issue(t, "proxy"), watch, "X-Auth-User", "ada")
	next := clientauthtest.NewIssuer(t, "next")
	set := func(clients ...[]byte) {
		t.Helper()
		var s clientauth.Set
		for _, pem := range clients {
			s.Clients = append(s.Clients, clientauth.Authorities{PEM: pem})
		}
		if err := d.trust.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	set(d.company.PEM, next.PEM)
	if !ends(ofProxy) {
		t.Error("the watch of a front proxy goes on that is believed no more")
	}
	later := d.open(*next.Issue(t, "ada"), watch)
	set(next.PEM)
	if !ends(ada) {
		t.Error("the watch goes on of somebody whose authority is believed no more")
	}
	set(next.PEM, d.cluster.PEM)
	going := make(chan struct{})
	go func() {
		defer close(going)
		_, _ = io.Copy(io.Discard, later.Body)
	}()
	select {
	case <-going:
		t.Error("the watch has ended of somebody whose authority is believed")
	case <-time.After(200 * time.Millisecond):
	}
	_ = later.Body.Close()
	<-going
}
