// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// App is what test images run: its first argument says what it does.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	what := "serve"
	if len(os.Args) > 1 {
		what = os.Args[1]
	}
	switch what {
	case "serve":
		serve()
	case "crash":
		fmt.Fprintln(os.Stderr, "no configuration: giving up")
		os.Exit(7)
	case "exit":
		code, err := strconv.Atoi(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("leaving with", code)
		os.Exit(code)
	case "deaf", "sleep":
		time.Sleep(time.Hour)
	case "write":
		if err := os.WriteFile(os.Args[2], []byte(os.Args[3]), 0o600); err != nil {
			log.Fatal(err)
		}
	case "cat":
		data, err := os.ReadFile(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		os.Stdout.Write(data)
	case "env":
		for _, e := range os.Environ() {
			fmt.Println(e)
		}
	default:
		log.Fatalf("unknown argument %q", what)
	}
}

func serve() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if len(body) > 0 {
			log.Printf("%s %s %s", r.Method, r.Header.Get("Ce-Id"), body)
		}
		fmt.Fprintf(w, "%s\n", os.Getenv("TEXT"))
	})
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
