// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"fairlead.dev/services/e2e/matrix"
)

const buildGroup = "build.knative.dev"

// matrixTarget is the server that is tested, over gRPC.
func matrixTarget(t *testing.T) matrix.Target {
	t.Helper()
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", s.server.Config().Ports.GRPC), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return matrix.Target{Conn: conn, Admin: token(t), Namespace: namespace(t), Other: namespace(t)}
}

// TestMatrix calls every RPC that the server has as everybody, and some over REST.
func TestMatrix(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	target := matrixTarget(t)
	services, err := matrix.Registered(ctx, target.Conn)
	if err != nil {
		t.Fatal(err)
	}
	rows, faults := matrix.RowsOf(services)
	for _, fault := range faults {
		t.Error(fault)
	}
	people, err := matrix.Gather(ctx, target, rows)
	defer func() {
		if err := people.Leave(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	cells := people.Cells(rows)
	for _, fault := range target.Run(ctx, cells) {
		t.Error(fault)
	}
	t.Logf("%d calls of %d RPCs", len(cells), len(rows))
	restMatrix(t, target, people)
}

// restMatrix makes the same calls over REST, of one kind.
func restMatrix(t *testing.T, target matrix.Target, people *matrix.People) {
	t.Helper()
	here, elsewhere := path(buildGroup+"/v1alpha1", target.Namespace, "builds"), path(buildGroup+"/v1alpha1", target.Other, "builds")
	rows := []struct {
		verb, method, name, query, body string
		in                              int
	}{
		{"list", http.MethodGet, "", "", "", http.StatusOK},
		{"get", http.MethodGet, "/absent", "", "", http.StatusNotFound},
		{"watch", http.MethodGet, "", "?watch=true&timeoutSeconds=1", "", http.StatusOK},
		{"delete", http.MethodDelete, "/absent", "?dryRun=All", "", http.StatusNotFound},
		{"deletecollection", http.MethodDelete, "", "?dryRun=All&labelSelector=a%3Db", "", http.StatusOK},
		{"create", http.MethodPost, "", "?dryRun=All", `{"apiVersion":"build.knative.dev/v1alpha1","kind":"Build","metadata":{"name":"a"}}`, http.StatusUnprocessableEntity},
	}
	for _, row := range rows {
		holder := people.Holders[matrix.Right{Verb: row.verb, Group: buildGroup, Resource: "builds", Namespaced: true}]
		check := func(who, at, token string, want int) {
			t.Helper()
			if token == "" {
				token = "-"
			}
			r := request{method: row.method, path: at + row.name + row.query, body: row.body, token: token, contentType: "application/json"}
			if a := do(t, r); a.code != want {
				t.Errorf("%s %s as %q: got %d %s, want %d", row.method, r.path, who, a.code, abridge(a.body), want)
			}
		}
		for who, stranger := range people.Strangers {
			check(who, here, stranger, http.StatusUnauthorized)
		}
		check("no right", here, people.Nobody, http.StatusForbidden)
		check("other namespace", here, holder.Elsewhere, http.StatusForbidden)
		check("right, in the other namespace", elsewhere, holder.Here, http.StatusForbidden)
		check("right", here, holder.Here, row.in)
	}
}

// TestStreamsEndWithTheirCallers has a watch and both programs of the data plane end when their callers lose what let
// them in.
func TestStreamsEndWithTheirCallers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	target := matrixTarget(t)
	rows, _ := matrix.RowsOf(matrix.Services())
	for _, row := range rows {
		switch row.Method {
		case "/fairlead.build.v1.BuildService/Watch", "/fairlead.serving.v1.RouterService/Sync", "/fairlead.eventing.v1.DispatcherService/Sync":
		default:
			continue
		}
		ends, err := target.EndStreams(ctx, row)
		if err != nil {
			t.Error(err)
		}
		for _, e := range ends {
			t.Logf("%s: the %s is gone: ended after %s: %v", row.Method, e.What, e.After, e.Err)
		}
	}
}
