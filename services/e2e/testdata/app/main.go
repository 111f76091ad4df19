// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// App is what test images run: its first argument says what it does.
package main

import (
	"archive/tar"
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if filepath.Base(os.Args[0]) == "tar" { // kubectl cp wants one in the image
		if err := archive(os.Args[1:]); err != nil {
			log.Fatal(err)
		}
		return
	}
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
	case "echo":
		fmt.Println("say something")
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			fmt.Println(lines.Text())
		}
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

// archive packs the file that the last argument names, or unpacks files into the folder that it names, as kubectl cp asks of tar.
func archive(args []string) error {
	last := args[len(args)-1]
	if slices.Contains(args, "cf") {
		data, err := os.ReadFile(last)
		if err != nil {
			return err
		}
		w := tar.NewWriter(os.Stdout)
		if err := w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(last, "/"), Mode: 0o600, Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		return w.Close()
	}
	for r := tar.NewReader(os.Stdin); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(last, filepath.Base(h.Name)), data, 0o600); err != nil {
			return err
		}
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
