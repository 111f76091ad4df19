// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// App is what the tests run as a revision: a small web server, which can also misbehave.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	switch os.Getenv("MISBEHAVE") {
	case "crash":
		fmt.Fprintln(os.Stderr, "cannot reach the database")
		os.Exit(3)
	case "silent":
		time.Sleep(time.Hour)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if d, err := time.ParseDuration(r.URL.Query().Get("sleep")); err == nil {
			time.Sleep(d)
		}
		fmt.Fprintf(w, "%s from %s of %s, host %s\n", os.Getenv("TARGET"), os.Getenv("K_REVISION"), os.Getenv("K_SERVICE"), r.Host)
	})
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: mux, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed { //nolint:errorlint // as documented
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-done
}
